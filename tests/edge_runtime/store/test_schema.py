"""A database of an earlier version opens, and keeps all that was in it.

The schema stands here as that version made it: a migration that was released is never changed.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import msgspec
import pytest

from edge_runtime.objects.pod import Pod, PodUID
from edge_runtime.objects.pod_failure import PodFailure
from edge_runtime.store.allocation_store import AllocationStore, PodAllocation
from edge_runtime.store.database import Database
from edge_runtime.store.errors import StoreError
from edge_runtime.store.event_store import EventStore
from edge_runtime.store.local_pod_state import ContainerRecord, LocalPodState
from edge_runtime.store.pod_store import PodState, PodStore, StoredPod
from edge_runtime.store.status_store import StatusStore, StoredStatus
from tunnel.sync import EventReport

if TYPE_CHECKING:
    from pathlib import Path

# Before pods had objects, allocations, pull records and reasons to fail.
FIRST_SCHEMA = """
CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY, "migration_set" TEXT, "name" TEXT, "applied_at" TEXT
);
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
INSERT INTO "_sqlite_migrations" VALUES (1, 'edgelet', 'create_pods', '');
INSERT INTO "_sqlite_migrations" VALUES (2, 'edgelet', 'create_statuses', '');
INSERT INTO "_sqlite_migrations" VALUES (3, 'edgelet', 'create_containers', '');
INSERT INTO "_sqlite_migrations" VALUES (4, 'edgelet', 'create_events', '');
CREATE TABLE "containers" (
   "uid" TEXT,
   "name" TEXT,
   "attempt" INTEGER NOT NULL,
   "backoff_key" TEXT NOT NULL,
   "backoff_s" REAL NOT NULL,
   "backoff_updated_at_s" REAL NOT NULL,
   PRIMARY KEY ("uid", "name")
);
CREATE TABLE "events" (
   "id" TEXT PRIMARY KEY, "position" INTEGER NOT NULL, "event" BLOB NOT NULL
);
CREATE TABLE "pods" (
   "uid" TEXT PRIMARY KEY,
   "revision" TEXT NOT NULL,
   "state" TEXT NOT NULL,
   "pod" BLOB NOT NULL,
   "gone_sequence" INTEGER NOT NULL
);
CREATE TABLE "statuses" (
   "uid" TEXT PRIMARY KEY,
   "sequence" INTEGER NOT NULL,
   "hash" TEXT NOT NULL,
   "status" BLOB NOT NULL
);
"""
UID = PodUID("u")
POD = Pod({"metadata": {"uid": "u", "name": "p"}, "spec": {"containers": [{"name": "c"}]}})
STATUS = {"phase": "Running", "containerStatuses": [{"name": "c", "restartCount": 3}]}
RECORD = ContainerRecord(
    name="c", attempt=3, backoff_key="k", backoff_s=40.0, backoff_updated_at_s=1.5
)
EVENT = EventReport(
    id="e",
    regarding={"kind": "Pod", "uid": "u"},
    event_type="Normal",
    reason="Started",
    message="Started container c",
    count=1,
    first_timestamp="2026-01-01T00:00:00Z",
    last_timestamp="2026-01-01T00:00:00Z",
)


def _first_version(path: Path) -> None:
    path.parent.mkdir(parents=True)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.executescript(FIRST_SCHEMA)
    encode = msgspec.json.encode
    pods = "INSERT INTO pods VALUES (?, ?, ?, ?, ?)"
    connection.execute(pods, ("u", "r1", "desired", encode(POD.raw), 0))
    connection.execute(pods, ("gone", "", "gone", b"", 7))
    connection.execute("INSERT INTO statuses VALUES ('u', 12, 'h', ?)", (encode(STATUS),))
    connection.execute("INSERT INTO containers VALUES ('u', 'c', 3, 'k', 40.0, 1.5)")
    connection.execute("INSERT INTO events VALUES ('e', 1, ?)", (encode(EVENT),))
    connection.commit()
    connection.close()


async def test_database_of_the_first_version_keeps_everything(path: Path) -> None:
    """Pods, tombstones, statuses with their sequences, restart counts, back-offs, events."""
    _first_version(path)
    database = Database(path)
    pods = {each.uid: each for each in await PodStore(database).load()}
    assert pods[UID] == StoredPod(uid=UID, revision="r1", state=PodState.DESIRED, pod=POD)
    assert pods[PodUID("gone")].gone_sequence == 7
    assert await StatusStore(database).load() == [
        StoredStatus(uid=UID, sequence=12, hash="h", status=STATUS)
    ]
    records = LocalPodState(database)
    await records.load()
    assert records.containers(UID) == {"c": RECORD}
    assert records.failure(UID) is None
    assert await EventStore(database).load() == [EVENT]
    database.close()


async def test_what_came_later_works_in_it(path: Path) -> None:
    """Also over another start, in which no migration runs twice."""
    _first_version(path)
    failure = PodFailure(reason="Evicted", message="m", grace_period_s=1, is_disruption=True)
    allocation = PodAllocation(allocated={"c": {"requests": {"cpu": "1"}}})
    database = Database(path)
    await LocalPodState(database).put_failure(UID, failure)
    await AllocationStore(database).put(UID, allocation)
    database.close()
    database = Database(path)
    records, allocations = LocalPodState(database), AllocationStore(database)
    await records.load()
    await allocations.load()
    assert records.failure(UID) == failure
    assert records.containers(UID) == {"c": RECORD}
    assert allocations.get(UID) == allocation
    await PodStore(database).remove(UID)
    assert [each.uid for each in await PodStore(database).load()] == ["gone"]
    database.close()


def test_migration_that_fails_leaves_the_database_as_it_was(path: Path) -> None:
    """Also those that went through before it in the same start."""
    _first_version(path)
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE failures (uid TEXT)")
    connection.commit()
    before = list(connection.iterdump())
    connection.close()

    with pytest.raises(StoreError, match="table failures already exists"):
        Database(path)

    connection = sqlite3.connect(path)
    assert list(connection.iterdump()) == before
    connection.close()
