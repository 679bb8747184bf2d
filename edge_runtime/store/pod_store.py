"""Desired pods, written before anybody acts on them or acknowledges them (DESIGN §4, law 1)."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from edge_runtime.objects.pod import Pod, PodUID
from edge_runtime.store.errors import StoreDamaged

if TYPE_CHECKING:
    import sqlite3

    from edge_runtime.store.database import Database


_PUT = (
    "INSERT OR REPLACE INTO pods (uid, revision, state, pod, gone_sequence) VALUES (?, ?, ?, ?, ?)"
)


class PodState(enum.Enum):
    """What the cloud wants of a pod, as far as the edge was told.

        DESIRED ──the object vanished──> FORGOTTEN ──nothing is left──> (no row)
           │
           └─deleted, nothing is left──> GONE ──PodForget──> (no row)

    A tombstone (GONE) keeps the UID from ever being started again.
    """

    DESIRED = "desired"
    FORGOTTEN = "forgotten"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPod:
    """One row.

    Attributes:
        pod: None for a tombstone.
        gone_sequence: Sequence of the last status, told with PodGone.
    """

    uid: PodUID
    revision: str
    state: PodState
    pod: Pod | None
    gone_sequence: int = 0


class PodStore:
    """Pods by UID; every method returns once the change is on disk.

    Raises:
        StoreError: From every method, when the disk refuses.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> list[StoredPod]:
        """Read all rows.

        Raises:
            StoreDamaged: A row cannot be read as what was written.
        """
        return await self._database.run(_load)

    async def put(self, pod: Pod, *, revision: str, state: PodState = PodState.DESIRED) -> None:
        """Keep a pod at this revision."""
        row = (pod.uid, revision, state.value, msgspec.json.encode(pod.raw), 0)
        await self._database.write(_PUT, [row])

    async def set_state(self, uid: PodUID, state: PodState) -> None:
        """Change what is wanted of a pod; without a row, or over a tombstone, no change."""
        await self._database.write(
            "UPDATE pods SET state = ? WHERE uid = ? AND state <> ?",
            [(state.value, uid, PodState.GONE.value)],
        )

    async def bury(self, uid: PodUID, *, gone_sequence: int) -> None:
        """Replace a pod, known or not, by its tombstone; its tokens go in the same transaction."""

        def bury(connection: sqlite3.Connection) -> None:
            row = (uid, "", PodState.GONE.value, b"", gone_sequence)
            connection.execute(_PUT, row)
            connection.execute("DELETE FROM tokens WHERE uid = ?", (uid,))

        await self._database.run(bury)

    async def remove(self, uid: PodUID) -> None:
        """Forget everything of a pod in one transaction: row, status, local state, tokens."""

        def remove(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM pods WHERE uid = ?", (uid,))
            connection.execute("DELETE FROM statuses WHERE uid = ?", (uid,))
            connection.execute("DELETE FROM containers WHERE uid = ?", (uid,))
            connection.execute("DELETE FROM failures WHERE uid = ?", (uid,))
            connection.execute("DELETE FROM allocations WHERE uid = ?", (uid,))
            connection.execute("DELETE FROM tokens WHERE uid = ?", (uid,))

        await self._database.run(remove)


def _load(connection: sqlite3.Connection) -> list[StoredPod]:
    rows = connection.execute("SELECT uid, revision, state, pod, gone_sequence FROM pods")
    return [_decode(*row) for row in rows]


def _decode(uid: str, revision: str, state: str, pod: bytes, gone_sequence: int) -> StoredPod:
    try:
        return StoredPod(
            uid=PodUID(uid),
            revision=revision,
            state=PodState(state),
            pod=Pod(msgspec.json.decode(pod, type=dict)) if pod else None,
            gone_sequence=gone_sequence,
        )
    except (msgspec.DecodeError, ValueError) as exc:
        raise StoreDamaged(f"the stored pod {uid} cannot be read: {exc}") from exc
