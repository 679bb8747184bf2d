"""What the edge alone knows of a pod: its containers' attempts and back-offs, why it is ended.

The runtime keeps a restart count with each container, but a reboot may lose the containers; then
only this remembers that they ever ran (DESIGN §4, law 9).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_runtime.objects.pod import PodUID
from edge_runtime.objects.pod_failure import PodFailure

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from edge_runtime.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerRecord:
    """What outlives a container.

    Attributes:
        attempt: Restart count of the newest attempt, written while that attempt is started; until
            then the runtime alone knows it, from the annotation of the created container.
        backoff_key: What the back-off is for; another key starts a new one. "" for none.
        backoff_s: Delay after the last failure.
        backoff_updated_at_s: When the delay last grew, seconds since the epoch.
    """

    name: str
    attempt: int
    backoff_key: str = ""
    backoff_s: float = 0.0
    backoff_updated_at_s: float = 0.0


class LocalPodState:
    """Records by pod UID, all in memory, every change on disk before it counts."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._records: dict[PodUID, dict[str, ContainerRecord]] = {}
        self._failures: dict[PodUID, PodFailure] = {}

    async def load(self) -> None:
        """Read all records; once, before anything else."""
        self._records = await self._database.run(_load)
        self._failures = await self._database.run(_load_failures)

    def failure(self, uid: PodUID) -> PodFailure | None:
        """Return why a pod is ended, None for one that is not."""
        return self._failures.get(uid)

    async def put_failure(self, uid: PodUID, failure: PodFailure) -> None:
        """Keep why a pod is ended, BEFORE its containers are stopped; return once it is on disk.

        Raises:
            StoreError: The disk refuses; nothing changed.
        """
        if self._failures.get(uid) == failure:
            return
        row = (
            uid,
            failure.reason,
            failure.message,
            failure.grace_period_s,
            int(failure.is_disruption),
        )
        await self._database.write(
            "INSERT OR REPLACE INTO failures (uid, reason, message, grace_period_s, is_disruption)"
            " VALUES (?, ?, ?, ?, ?)",
            [row],
        )
        self._failures[uid] = failure

    def containers(self, uid: PodUID) -> Mapping[str, ContainerRecord]:
        """Return the records of a pod by container name."""
        return dict(self._records.get(uid, {}))

    async def put(self, uid: PodUID, records: Sequence[ContainerRecord]) -> None:
        """Keep these records, all or none; return once they are on disk.

        Raises:
            StoreError: The disk refuses; nothing changed.
        """
        rows = [
            (
                uid,
                each.name,
                each.attempt,
                each.backoff_key,
                each.backoff_s,
                each.backoff_updated_at_s,
            )
            for each in records
        ]
        await self._database.write(
            "INSERT OR REPLACE INTO containers (uid, name, attempt, backoff_key, backoff_s,"
            " backoff_updated_at_s) VALUES (?, ?, ?, ?, ?, ?)",
            rows,
        )
        self._records.setdefault(uid, {}).update({each.name: each for each in records})

    def forget(self, uid: PodUID) -> None:
        """Drop a pod's records from memory; PodStore.remove took them off the disk."""
        self._records.pop(uid, None)
        self._failures.pop(uid, None)


def _load(connection: sqlite3.Connection) -> dict[PodUID, dict[str, ContainerRecord]]:
    records: dict[PodUID, dict[str, ContainerRecord]] = {}
    rows = connection.execute(
        "SELECT uid, name, attempt, backoff_key, backoff_s, backoff_updated_at_s FROM containers"
    )
    for uid, name, attempt, key, backoff_s, updated_at_s in rows:
        records.setdefault(PodUID(uid), {})[name] = ContainerRecord(
            name=name,
            attempt=attempt,
            backoff_key=key,
            backoff_s=backoff_s,
            backoff_updated_at_s=updated_at_s,
        )
    return records


def _load_failures(connection: sqlite3.Connection) -> dict[PodUID, PodFailure]:
    rows = connection.execute(
        "SELECT uid, reason, message, grace_period_s, is_disruption FROM failures"
    )
    return {
        PodUID(uid): PodFailure(
            reason=reason,
            message=message,
            grace_period_s=grace_period_s,
            is_disruption=bool(is_disruption),
        )
        for uid, reason, message, grace_period_s, is_disruption in rows
    }
