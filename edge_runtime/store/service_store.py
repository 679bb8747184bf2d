"""The Services of namespaces, for the environment of containers (DESIGN §4).

No container with service variables starts before the Services of its namespace are known once:
which of them a process sees is settled at its start.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from edge_runtime.store.errors import StoreDamaged

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection

    from edge_runtime.objects.container import Json
    from edge_runtime.store.database import Database
    from tunnel.sync import ServicesPut


@dataclass(frozen=True, slots=True, kw_only=True)
class _Services:
    revision: str
    services: tuple[Json, ...]


class ServiceStore:
    """Services by namespace: all in memory, every change on disk before it counts.

    Attributes:
        on_known: Called with a namespace whose Services are known from now on, and were not before;
            it must not wait.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._namespaces: dict[str, _Services] = {}
        self._changed = asyncio.Event()
        self.on_known: Callable[[str], None] | None = None

    async def load(self) -> None:
        """Read all Services; once, before anything else.

        Raises:
            StoreDamaged: A row cannot be read as what was written.
        """
        self._namespaces = await self._database.run(_load)

    def revisions(self) -> dict[str, str]:
        """Return the persisted revision of each namespace's Services."""
        return {name: each.revision for name, each in self._namespaces.items()}

    def get(self, namespace: str) -> tuple[Json, ...] | None:
        """Return all Services of a namespace; None when the provider has not told yet."""
        known = self._namespaces.get(namespace)
        return known.services if known is not None else None

    async def wait_known(self, namespaces: Collection[str], *, timeout_s: float) -> bool:
        """Wait until the Services of all these namespaces are known, at most so long.

        Returns:
            Whether they are. Cancelling is safe.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while not all(name in self._namespaces for name in namespaces):
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def put(self, message: ServicesPut) -> None:
        """Keep a namespace's Services, or forget them where the list is not complete.

        Returns once that is on disk.

        Raises:
            StoreError: The disk refuses; nothing changed.
        """
        if not message.complete:
            await self._database.write(
                "DELETE FROM services WHERE namespace = ?", [(message.namespace,)]
            )
            self._namespaces.pop(message.namespace, None)
            return
        services = tuple(message.services)
        await self._database.write(
            "INSERT OR REPLACE INTO services (namespace, revision, services) VALUES (?, ?, ?)",
            [(message.namespace, message.revision, msgspec.json.encode(services))],
        )
        known = _Services(revision=message.revision, services=services)
        is_new = message.namespace not in self._namespaces
        self._namespaces[message.namespace] = known
        if is_new and self.on_known is not None:
            self.on_known(message.namespace)
        # Whoever waits holds this event; the next one waits for the next.
        self._changed.set()
        self._changed = asyncio.Event()


def _load(connection: sqlite3.Connection) -> dict[str, _Services]:
    rows = connection.execute("SELECT namespace, revision, services FROM services")
    return {
        namespace: _Services(revision=revision, services=_decode(namespace, body))
        for namespace, revision, body in rows
    }


def _decode(namespace: str, body: bytes) -> tuple[Json, ...]:
    try:
        return msgspec.json.decode(body, type=tuple[dict[str, Any], ...])
    except msgspec.DecodeError as exc:
        raise StoreDamaged(
            f"the stored Services of namespace {namespace} cannot be read: {exc}"
        ) from exc
