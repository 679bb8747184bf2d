"""Objects that pods refer to, written before anybody reads or acknowledges them (DESIGN §4, law 1).

Readers find three answers: the object, that the API does not have it, or that the provider has not
told yet. The last one is worth a wait, since the provider sends what a pod refers to with the pod.

The bodies of Secrets are sealed on disk, and nowhere but there.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from edge_runtime.store.errors import StoreDamaged
from edge_runtime.store.sealed_rows import SEALED_KIND, object_row
from tunnel.sync import object_key

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection

    from edge_runtime.objects.container import Json
    from edge_runtime.store.database import Database
    from tunnel.sync import ObjectForget, ObjectPut


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """What is known of one object.

    Attributes:
        revision: The provider's name for this content.
        body: JSON, empty when the API does not have the object.
    """

    revision: str
    body: bytes = field(repr=False)

    @property
    def is_missing(self) -> bool:
        """Whether the API does not have it."""
        return not self.body

    @property
    def json(self) -> Json:
        """The object as the API has it, decoded anew; an empty mapping when it is missing."""
        decoded: dict[str, Any] = msgspec.json.decode(self.body) if self.body else {}
        return decoded


class ObjectStore:
    """Objects by kind, namespace and name: all in memory, every change on disk before it counts.

    Attributes:
        on_change: Called with the ``object_key`` of each object that was put or forgotten, after
            that; MUST NOT raise. None for nobody who wants to know.
    """

    def __init__(self, database: Database) -> None:
        self.on_change: Callable[[str], None] | None = None
        self._database = database
        self._objects: dict[str, StoredObject] = {}
        self._changed = asyncio.Event()

    async def load(self) -> None:
        """Read all objects; once, before anything else.

        Raises:
            StoreDamaged: A row cannot be read as what was written.
        """
        objects: dict[str, StoredObject] = {}
        for kind, namespace, name, revision, body in await self._database.run(_read):
            key = object_key(kind=kind, namespace=namespace, name=name)
            if body and kind == SEALED_KIND:
                row = object_row(kind=kind, namespace=namespace, name=name)
                body = self._database.sealer.open(body, row=row)
            if body and not isinstance(_decode(key, body), dict):
                raise StoreDamaged(f"the stored object {key} is no object")
            objects[key] = StoredObject(revision=revision, body=body)
        self._objects = objects

    def revisions(self) -> dict[str, str]:
        """Return the persisted revision of each object, by ``object_key``."""
        return {key: each.revision for key, each in self._objects.items()}

    def get(self, *, kind: str, namespace: str, name: str) -> StoredObject | None:
        """Return what is known of an object; None when the provider has not told yet."""
        return self._objects.get(object_key(kind=kind, namespace=namespace, name=name))

    async def wait_known(self, keys: Collection[str], *, timeout_s: float) -> bool:
        """Wait until the provider told of all these objects, at most so long.

        Returns:
            Whether it did. Cancelling is safe.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while not all(key in self._objects for key in keys):
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def put(self, message: ObjectPut) -> None:
        """Keep an object, or that there is none; return once that is on disk.

        Raises:
            StoreError: The disk refuses; nothing changed.
        """
        body = b"" if message.object is None else msgspec.json.encode(message.object)
        stored = StoredObject(revision=message.revision, body=body)
        await self._database.write(
            "INSERT OR REPLACE INTO objects (kind, namespace, name, revision, object)"
            " VALUES (?, ?, ?, ?, ?)",
            [
                (
                    message.kind,
                    message.namespace,
                    message.name,
                    stored.revision,
                    self._sealed(message, body),
                )
            ],
        )
        self._objects[_key(message)] = stored
        self._tell(_key(message))
        # Whoever waits holds this event; the next one waits for the next.
        self._changed.set()
        self._changed = asyncio.Event()

    async def forget(self, message: ObjectForget) -> None:
        """Drop an object, on disk too; an unknown one changes nothing.

        Raises:
            StoreError: The disk refuses; nothing changed.
        """
        await self._database.write(
            "DELETE FROM objects WHERE kind = ? AND namespace = ? AND name = ?",
            [(message.kind, message.namespace, message.name)],
        )
        if self._objects.pop(_key(message), None) is not None:
            self._tell(_key(message))

    def _sealed(self, message: ObjectPut, body: bytes) -> bytes:
        if message.kind != SEALED_KIND or not body:
            return body
        row = object_row(kind=message.kind, namespace=message.namespace, name=message.name)
        return self._database.sealer.seal(body, row=row)

    def _tell(self, key: str) -> None:
        if self.on_change is not None:
            self.on_change(key)


def _key(message: ObjectPut | ObjectForget) -> str:
    return object_key(kind=message.kind, namespace=message.namespace, name=message.name)


def _read(connection: sqlite3.Connection) -> list[tuple[str, str, str, str, bytes]]:
    sql = "SELECT kind, namespace, name, revision, object FROM objects"
    return connection.execute(sql).fetchall()


def _decode(key: str, body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError as exc:
        raise StoreDamaged(f"the stored object {key} cannot be read: {exc}") from exc
