"""Pods and tombstones survive a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_runtime.objects.pod import Pod, PodUID
from edge_runtime.store.database import Database
from edge_runtime.store.errors import StoreDamaged
from edge_runtime.store.pod_store import PodState, PodStore, StoredPod

if TYPE_CHECKING:
    from pathlib import Path

POD = Pod({"metadata": {"uid": "u1", "name": "p"}, "spec": {"unknownField": {"kept": [1, None]}}})


async def test_pod_is_read_back_whole(path: Path) -> None:
    """No field is lost, known to us or not."""
    database = Database(path)
    await PodStore(database).put(POD, revision="r1")
    database.close()
    database = Database(path)
    assert await PodStore(database).load() == [
        StoredPod(uid=PodUID("u1"), revision="r1", state=PodState.DESIRED, pod=POD)
    ]
    database.close()


async def test_states_and_tombstones(database: Database) -> None:
    """A tombstone replaces the pod; removal leaves nothing, of status and containers either."""
    store = PodStore(database)
    await store.put(POD, revision="r1")
    await store.set_state(PodUID("u1"), PodState.FORGOTTEN)
    assert (await store.load())[0].state is PodState.FORGOTTEN
    await store.bury(PodUID("u1"), gone_sequence=7)
    await store.bury(PodUID("never-known"), gone_sequence=0)
    assert {
        (each.uid, each.state, each.pod, each.gone_sequence) for each in await store.load()
    } == {
        ("u1", PodState.GONE, None, 7),
        ("never-known", PodState.GONE, None, 0),
    }
    await store.remove(PodUID("u1"))
    assert [each.uid for each in await store.load()] == ["never-known"]


async def test_unreadable_row_is_named(database: Database) -> None:
    """Better no start than a start that forgot a pod."""
    await database.run(
        lambda c: c.execute("INSERT INTO pods VALUES ('u', 'r', 'desired', x'7b', 0)").rowcount
    )
    with pytest.raises(StoreDamaged, match="pod u "):
        await PodStore(database).load()


async def test_tombstone_is_not_turned_back_into_a_pod_that_ends(database: Database) -> None:
    """PodForget and the pod's own end may meet: a pod without its JSON could never be worked on."""
    store = PodStore(database)
    await store.put(POD, revision="r1")
    await store.bury(PodUID("u1"), gone_sequence=7)
    await store.set_state(PodUID("u1"), PodState.FORGOTTEN)
    assert [(each.state, each.gone_sequence) for each in await store.load()] == [(PodState.GONE, 7)]
