"""Attempts and back-offs survive a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.objects.pod import PodUID
from edge_runtime.store.database import Database
from edge_runtime.store.local_pod_state import ContainerRecord, LocalPodState
from edge_runtime.store.pod_store import PodStore

if TYPE_CHECKING:
    from pathlib import Path

UID = PodUID("u")
FIRST = ContainerRecord(name="a", attempt=0)
SECOND = ContainerRecord(
    name="b", attempt=3, backoff_key="k", backoff_s=40.0, backoff_updated_at_s=1.5
)


async def test_records_are_read_back(path: Path) -> None:
    """After a restart of the process."""
    database = Database(path)
    state = LocalPodState(database)
    await state.load()
    await state.put(UID, [FIRST, SECOND])
    database.close()
    database = Database(path)
    state = LocalPodState(database)
    await state.load()
    assert state.containers(UID) == {"a": FIRST, "b": SECOND}
    assert state.containers(PodUID("other")) == {}
    database.close()


async def test_forgotten_pod_leaves_no_records(database: Database) -> None:
    """Neither in memory nor on disk."""
    state = LocalPodState(database)
    await state.put(UID, [FIRST])
    await PodStore(database).remove(UID)
    state.forget(UID)
    assert state.containers(UID) == {}
    await state.load()
    assert state.containers(UID) == {}
