"""The Services of namespaces survive a restart, and whoever needs them waits for the first list."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from edge_runtime.store.database import Database
from edge_runtime.store.errors import StoreDamaged
from edge_runtime.store.service_store import ServiceStore
from tunnel.sync import ServicesPut

if TYPE_CHECKING:
    from pathlib import Path

WEB = {"metadata": {"namespace": "ns", "name": "web"}, "spec": {"clusterIP": "10.0.0.7"}}
PUT = ServicesPut(namespace="ns", services=[WEB], complete=True, revision="r1")
NONE = ServicesPut(namespace="empty", services=[], complete=True, revision="r0")


async def test_services_are_read_back(path: Path) -> None:
    """After a restart; a namespace without Services is known, one that nobody told of is not."""
    database = Database(path)
    store = ServiceStore(database)
    await store.put(PUT)
    await store.put(NONE)
    database.close()
    database = Database(path)
    store = ServiceStore(database)
    await store.load()
    assert store.get("ns") == (WEB,)
    assert store.get("empty") == ()
    assert store.get("other") is None
    assert store.revisions() == {"ns": "r1", "empty": "r0"}
    database.close()


async def test_newer_list_replaces_the_older(database: Database) -> None:
    """A Service that was deleted is in no environment of later starts."""
    store = ServiceStore(database)
    await store.put(PUT)
    await store.put(ServicesPut(namespace="ns", services=[], complete=True, revision="r2"))
    assert store.get("ns") == ()
    await store.load()
    assert (store.get("ns"), store.revisions()) == ((), {"ns": "r2"})


async def test_incomplete_list_is_forgotten_not_taken_for_none(database: Database) -> None:
    """No pod of the site is in the namespace any more; a later one waits for the list anew."""
    store = ServiceStore(database)
    await store.put(PUT)
    await store.put(ServicesPut(namespace="ns", services=[], complete=False))
    assert store.get("ns") is None
    await store.load()
    assert store.get("ns") is None


async def test_reader_waits_for_all_namespaces_that_it_needs(database: Database) -> None:
    """Its own and ``default``."""
    store = ServiceStore(database)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(store.wait_known(["ns", "empty"], timeout_s=5))
        await store.put(PUT)
        assert not waiting.done()
        await store.put(NONE)
    assert waiting.result()
    assert not await store.wait_known(["other"], timeout_s=0.01)


async def test_first_list_of_a_namespace_is_told(database: Database) -> None:
    """Pods may wait for it; later ones change nothing for those that run."""
    told: list[str] = []
    store = ServiceStore(database)
    store.on_known = told.append
    await store.put(PUT)
    await store.put(PUT)
    await store.put(NONE)
    await store.put(ServicesPut(namespace="ns", services=[], complete=False))
    await store.put(PUT)
    assert told == ["ns", "empty", "ns"]


async def test_damaged_row_is_not_taken_for_services(database: Database) -> None:
    """A person has to decide."""
    await database.write("INSERT INTO services VALUES (?, ?, ?)", [("ns", "r", b"[1]")])
    with pytest.raises(StoreDamaged, match="namespace ns"):
        await ServiceStore(database).load()
