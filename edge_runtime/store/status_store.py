"""The newest status of each pod, written before it is sent (DESIGN §4, law 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from edge_runtime.objects.pod import PodUID
from edge_runtime.store.errors import StoreDamaged

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from edge_runtime.objects.container import Json
    from edge_runtime.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredStatus:
    """One pod's status.

    Attributes:
        sequence: Counts up per pod, from 1.
        hash: Hex digest of the canonical JSON.
    """

    uid: PodUID
    sequence: int
    hash: str
    status: Json


class StatusStore:
    """Statuses by pod UID; every method returns once the change is on disk.

    Raises:
        StoreError: From every method, when the disk refuses.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> list[StoredStatus]:
        """Read all rows.

        Raises:
            StoreDamaged: A row cannot be read as what was written.
        """
        return await self._database.run(_load)

    async def put_all(self, statuses: Sequence[StoredStatus]) -> None:
        """Keep these statuses, all or none; an older sequence never replaces a newer one."""
        rows = [(each.uid, each.sequence, each.hash, _encode(each.status)) for each in statuses]
        await self._database.write(
            "INSERT INTO statuses (uid, sequence, hash, status)"
            " VALUES (?, ?, ?, ?) ON CONFLICT (uid) DO UPDATE SET"
            " sequence = excluded.sequence, hash = excluded.hash, status = excluded.status"
            " WHERE excluded.sequence >= statuses.sequence",
            rows,
        )


def _encode(status: Json) -> bytes:
    return msgspec.json.encode(status, order="deterministic")


def _load(connection: sqlite3.Connection) -> list[StoredStatus]:
    rows = connection.execute("SELECT uid, sequence, hash, status FROM statuses")
    return [_decode(*row) for row in rows]


def _decode(uid: str, sequence: int, digest: str, body: bytes) -> StoredStatus:
    try:
        return StoredStatus(
            uid=PodUID(uid),
            sequence=sequence,
            hash=digest,
            status=msgspec.json.decode(body, type=dict),
        )
    except msgspec.DecodeError as exc:
        raise StoreDamaged(f"the stored status of pod {uid} cannot be read: {exc}") from exc
