"""What pods were admitted with survives a restart and goes with the pod."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_runtime.objects.pod import PodUID
from edge_runtime.store.allocation_store import AllocationStore, PodAllocation
from edge_runtime.store.database import Database
from edge_runtime.store.errors import StoreDamaged
from edge_runtime.store.pod_store import PodStore

if TYPE_CHECKING:
    from pathlib import Path

UID = PodUID("u")
HELD = PodAllocation(
    allocated={"a": {"requests": {"cpu": "200m"}}, "b": {}},
    actuated={"id-1": {"requests": {"cpu": "100m"}}},
)


async def test_allocations_are_read_back(path: Path) -> None:
    """After a restart of the process."""
    database = Database(path)
    await AllocationStore(database).put(UID, HELD)
    database.close()
    database = Database(path)
    store = AllocationStore(database)
    await store.load()
    assert store.get(UID) == HELD
    assert store.get(PodUID("other")) is None
    database.close()


async def test_forgotten_pod_holds_nothing(database: Database) -> None:
    """Neither in memory nor on disk."""
    store = AllocationStore(database)
    await store.put(UID, HELD)
    await PodStore(database).remove(UID)
    store.forget(UID)
    assert store.get(UID) is None
    await store.load()
    assert store.get(UID) is None


@pytest.mark.parametrize("body", [b"{", b"{}", b'{"allocated": 1, "actuated": {}}'])
async def test_damaged_allocation_is_told(database: Database, body: bytes) -> None:
    """A pod that holds nothing by mistake would be asked again whether it may run."""
    store = AllocationStore(database)
    await store.put(UID, HELD)
    await database.write("UPDATE allocations SET allocation = ?", [(body,)])
    with pytest.raises(StoreDamaged, match="allocation of pod u"):
        await store.load()
