"""The edge's own Node as the cloud last told it, so that admission knows it while it is away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edge_runtime.objects.node import Node, Taint
from edge_runtime.store.errors import StoreDamaged
from tunnel.sync import NodePut

if TYPE_CHECKING:
    import sqlite3

    from edge_runtime.store.database import Database


class NodeStore:
    """One Node, in memory and on disk."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._node: Node | None = None

    @property
    def node(self) -> Node | None:
        """The Node, None before the cloud ever told of it."""
        return self._node

    async def load(self) -> None:
        """Read what was told; once, before anything else.

        Raises:
            StoreDamaged: It cannot be read as what was written.
        """
        self._node = await self._database.run(_load)

    async def put(self, message: NodePut) -> None:
        """Keep a newer Node; return once it is on disk.

        Raises:
            StoreError: The disk refuses; nothing changed.
        """
        await self._database.write(
            "INSERT OR REPLACE INTO nodes (name, node) VALUES (?, ?)",
            [(_ONLY, msgspec.json.encode(message))],
        )
        self._node = _node(message)


# There is one row: the site's own Node, whatever it is called.
_ONLY = ""


def _load(connection: sqlite3.Connection) -> Node | None:
    row = connection.execute("SELECT node FROM nodes WHERE name = ?", (_ONLY,)).fetchone()
    if row is None:
        return None
    try:
        return _node(msgspec.json.decode(row[0], type=NodePut))
    except msgspec.DecodeError as exc:
        raise StoreDamaged(f"the stored Node cannot be read: {exc}") from exc


def _node(message: NodePut) -> Node:
    return Node(
        name=message.name,
        labels=message.labels,
        annotations=message.annotations,
        taints=tuple(
            Taint(
                key=str(each.get("key") or ""),
                value=str(each.get("value") or ""),
                effect=str(each.get("effect") or ""),
            )
            for each in message.taints
        ),
        pod_cidrs=tuple(message.pod_cidrs),
    )
