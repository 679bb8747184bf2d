"""Statuses: numbered once per change, told only when on disk, never backwards."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.objects.pod import PodUID
from edge_runtime.status.status_manager import StatusManager
from edge_runtime.store.database import Database
from edge_runtime.store.errors import StoreError
from edge_runtime.store.status_store import StatusStore
from tunnel.sync import StatusDigest, compute_status_hash

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge_runtime.objects.container import Json

UID = PodUID("u")
PENDING: Json = {"phase": "Pending"}
RUNNING: Json = {"phase": "Running"}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database of its own."""
    opened = Database(tmp_path / "edgelet.db")
    yield opened
    opened.close()


async def test_equal_status_makes_no_sequence(database: Database) -> None:
    """Whatever the order of its keys."""
    manager = StatusManager(StatusStore(database))
    assert manager.set(UID, {"a": 1, "b": 2})
    assert not manager.set(UID, {"b": 2, "a": 1})
    assert await manager.persist(UID) == 1


async def test_status_is_told_only_when_on_disk(database: Database) -> None:
    """Hello and StatusWant see what is persisted, deciding sees the newest."""
    manager = StatusManager(StatusStore(database))
    changes = manager.changed()
    manager.set(UID, PENDING)
    assert manager.statuses() == {}
    assert manager.body(UID) is None
    assert manager.get(UID) == PENDING
    await manager.persist(UID)
    assert manager.statuses() == {UID: StatusDigest(sequence=1, hash=compute_status_hash(PENDING))}
    told = await anext(changes)
    assert (told.uid, told.sequence, told.status) == (UID, 1, PENDING)


async def test_run_persists_and_coalesces(database: Database) -> None:
    """Changes while the disk is busy become one, the newest."""
    manager = StatusManager(StatusStore(database))
    changes = manager.changed()
    async with asyncio.TaskGroup() as tg:
        running = tg.create_task(manager.run())
        manager.set(UID, PENDING)
        manager.set(UID, RUNNING)
        told = await anext(changes)
        assert (told.sequence, told.status) == (2, RUNNING)
        running.cancel()


async def test_sequence_goes_on_after_a_restart(database: Database) -> None:
    """A restart must not make an old status look newer than a new one."""
    manager = StatusManager(StatusStore(database))
    manager.set(UID, PENDING)
    await manager.persist(UID)
    again = StatusManager(StatusStore(database))
    await again.load()
    assert again.get(UID) == PENDING
    assert not again.set(UID, PENDING)
    again.set(UID, RUNNING)
    assert await again.persist(UID) == 2


async def test_forgotten_pod_is_not_told(database: Database) -> None:
    """Neither from memory nor from a late write."""
    manager = StatusManager(StatusStore(database))
    changes = manager.changed()
    manager.set(UID, PENDING)
    await manager.persist(UID)
    manager.forget(UID)
    other = PodUID("other")
    manager.set(other, RUNNING)
    await manager.persist(other)
    assert (await anext(changes)).uid == other
    assert manager.body(UID) is None
    assert await manager.persist(UID) == 0


async def test_acknowledged_statuses_are_counted(database: Database) -> None:
    """An old acknowledgement does not cover a newer status."""
    manager = StatusManager(StatusStore(database))
    manager.set(UID, PENDING)
    await manager.persist(UID)
    assert manager.unacknowledged() == 1
    manager.acknowledge(UID, sequence=1)
    assert manager.unacknowledged() == 0
    manager.set(UID, RUNNING)
    await manager.persist(UID)
    manager.acknowledge(UID, sequence=1)
    assert manager.unacknowledged() == 1


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2), st.booleans()), max_size=30))
def test_sequences_never_go_back(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, bool]]
) -> None:
    """Whatever is set and persisted in whatever order, what is told only grows."""

    async def scenario() -> None:
        database = Database(tmp_path_factory.mktemp("db") / "edgelet.db")
        try:
            manager = StatusManager(StatusStore(database))
            told: dict[str, int] = {}
            for name, value, is_persisted in steps:
                uid = PodUID(name)
                manager.set(uid, {"value": value})
                if is_persisted:
                    await manager.persist(uid)
                    body = manager.body(uid)
                    assert body is not None
                    assert body.status == {"value": value}
                    assert body.sequence >= told.get(name, 0)
                    told[name] = body.sequence
        finally:
            database.close()

    asyncio.run(scenario())


async def _limit_pages(database: Database, pages: int) -> None:
    """Let the file grow to so many pages and no further, as a full disk does."""
    await database.run(lambda c: c.execute(f"PRAGMA max_page_count={pages}").fetchone())


async def test_full_disk_is_waited_for(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not on disk is not told; the process lives, so that somebody can make room."""
    monkeypatch.setattr("edge_runtime.status.status_manager.RETRY_S", 0.01)
    await _limit_pages(database, 1)
    manager = StatusManager(StatusStore(database))
    changes = manager.changed()
    large = {"phase": "Pending", "message": "x" * 100_000}
    async with asyncio.TaskGroup() as group:
        loop = group.create_task(manager.run())
        manager.set(UID, large)
        with pytest.raises(StoreError, match="full"):
            await manager.persist(UID)
        await asyncio.sleep(0.03)  # several refusals of the disk
        assert manager.statuses() == {}
        await _limit_pages(database, 10_000)
        async with asyncio.timeout(10):
            assert (await anext(changes)).status == large
        loop.cancel()
