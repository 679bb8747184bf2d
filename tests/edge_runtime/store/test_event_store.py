"""The outbox keeps its order and drops what was acknowledged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_runtime.store.errors import StoreDamaged
from edge_runtime.store.event_store import EventStore
from tunnel.sync import EventReport

if TYPE_CHECKING:
    from edge_runtime.store.database import Database


def _event(event_id: str, count: int = 1) -> EventReport:
    return EventReport(
        id=event_id,
        regarding={"kind": "Pod"},
        event_type="Normal",
        reason="Started",
        message="Container started",
        count=count,
        first_timestamp="2026-01-01T00:00:00Z",
        last_timestamp="2026-01-01T00:00:00Z",
    )


async def test_changed_event_moves_to_the_end(database: Database) -> None:
    """One row per id, the last change last."""
    store = EventStore(database)
    await store.change(put=[_event("a"), _event("b")], remove=[])
    await store.change(put=[_event("a", 2)], remove=[])
    assert await store.load() == [_event("b"), _event("a", 2)]
    await store.change(put=[], remove=["b", "unknown"])
    assert await store.load() == [_event("a", 2)]


async def test_unreadable_row_is_named(database: Database) -> None:
    """The error says which event."""
    await database.run(lambda c: c.execute("INSERT INTO events VALUES ('e', 1, x'7b')").rowcount)
    with pytest.raises(StoreDamaged, match="event e "):
        await EventStore(database).load()
