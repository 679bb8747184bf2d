"""Objects that pods refer to survive a restart, and readers are told when they come."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from edge_runtime.store.database import Database
from edge_runtime.store.errors import StoreDamaged
from edge_runtime.store.object_store import ObjectStore
from tunnel.sync import ObjectForget, ObjectPut

if TYPE_CHECKING:
    from pathlib import Path

SECRET = {"kind": "Secret", "metadata": {"name": "a"}, "data": {"k": "dmFsdWU="}}
PUT = ObjectPut(kind="Secret", namespace="ns", name="a", revision="r1", object=SECRET)
MISSING = ObjectPut(kind="Secret", namespace="ns", name="b", revision="missing", object=None)
KEY = "Secret/ns/a"


async def test_objects_are_read_back(path: Path) -> None:
    """After a restart of the process, and that one is missing, too."""
    database = Database(path)
    store = ObjectStore(database)
    await store.put(PUT)
    await store.put(MISSING)
    database.close()
    database = Database(path)
    store = ObjectStore(database)
    await store.load()
    assert store.revisions() == {KEY: "r1", "Secret/ns/b": "missing"}
    found = store.get(kind="Secret", namespace="ns", name="a")
    absent = store.get(kind="Secret", namespace="ns", name="b")
    assert found is not None
    assert absent is not None
    assert (found.is_missing, found.json) == (False, SECRET)
    assert (absent.is_missing, absent.json) == (True, {})
    assert store.get(kind="ConfigMap", namespace="ns", name="a") is None
    assert "dmFsdWU" not in repr(found)
    database.close()


async def test_forgotten_object_is_gone_from_memory_and_disk(database: Database) -> None:
    """Nobody needs the secret any more."""
    store = ObjectStore(database)
    await store.put(PUT)
    forget = ObjectForget(kind="Secret", namespace="ns", name="a")
    await store.forget(forget)
    await store.forget(forget)
    assert store.revisions() == {}
    await store.load()
    assert store.revisions() == {}


async def test_reader_waits_for_all_that_it_needs(database: Database) -> None:
    """That an object is missing is worth as much as the object."""
    store = ObjectStore(database)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(store.wait_known([KEY, "Secret/ns/b"], timeout_s=5))
        await store.put(PUT)
        assert not waiting.done()
        await store.put(MISSING)
    assert waiting.result()
    assert not await store.wait_known(["Secret/ns/c"], timeout_s=0.01)


async def test_each_change_is_told_once_it_can_be_read(database: Database) -> None:
    """By its key; forgetting what is unknown is no change."""
    store = ObjectStore(database)
    told: list[tuple[str, bool]] = []
    store.on_change = lambda key: told.append((key, key in store.revisions()))
    await store.put(PUT)
    await store.put(MISSING)
    forget = ObjectForget(kind="Secret", namespace="ns", name="a")
    await store.forget(forget)
    await store.forget(forget)
    assert told == [(KEY, True), ("Secret/ns/b", True), (KEY, False)]


async def test_damaged_row_is_not_taken_for_an_object(database: Database) -> None:
    """A person has to decide."""
    await database.write("INSERT INTO objects VALUES (?, ?, ?, ?, ?)", [("S", "n", "a", "r", b"[")])
    with pytest.raises(StoreDamaged, match="S/n/a"):
        await ObjectStore(database).load()
