"""Statuses keep their sequence over restarts and never go back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_runtime.objects.pod import PodUID
from edge_runtime.store.errors import StoreDamaged
from edge_runtime.store.status_store import StatusStore, StoredStatus

if TYPE_CHECKING:
    from edge_runtime.store.database import Database


def _status(sequence: int, phase: str) -> StoredStatus:
    return StoredStatus(
        uid=PodUID("u"), sequence=sequence, hash=f"h{sequence}", status={"phase": phase}
    )


async def test_newer_replaces_older(database: Database) -> None:
    """One row per pod."""
    store = StatusStore(database)
    await store.put_all([_status(1, "Pending")])
    await store.put_all([_status(2, "Running")])
    assert await store.load() == [_status(2, "Running")]


async def test_older_never_replaces_newer(database: Database) -> None:
    """A late write of an old status is dropped."""
    store = StatusStore(database)
    await store.put_all([_status(2, "Running")])
    await store.put_all([_status(1, "Pending")])
    assert await store.load() == [_status(2, "Running")]


async def test_unreadable_row_is_named(database: Database) -> None:
    """The error says which pod."""
    await database.run(
        lambda c: c.execute("INSERT INTO statuses VALUES ('u', 1, '', x'7b')").rowcount
    )
    with pytest.raises(StoreDamaged, match="pod u "):
        await StatusStore(database).load()
