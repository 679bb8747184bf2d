"""Events that wait until the API holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edge_runtime.store.errors import StoreDamaged
from tunnel.sync import EventReport

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from edge_runtime.store.database import Database


class EventStore:
    """The outbox on disk; every method returns once the change is there.

    Raises:
        StoreError: From every method, when the disk refuses.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> list[EventReport]:
        """Read all events, those that changed last at the end.

        Raises:
            StoreDamaged: A row cannot be read as what was written.
        """
        return await self._database.run(_load)

    async def change(self, *, put: Sequence[EventReport], remove: Sequence[str]) -> None:
        """Keep and drop events in one transaction; an event's id names it in both."""
        events = [(each.id, msgspec.json.encode(each)) for each in put]

        def change(connection: sqlite3.Connection) -> None:
            connection.executemany("DELETE FROM events WHERE id = ?", [(each,) for each in remove])
            connection.executemany(
                "INSERT OR REPLACE INTO events (id, position, event)"
                " VALUES (?, (SELECT coalesce(max(position), 0) + 1 FROM events), ?)",
                events,
            )

        await self._database.run(change)


def _load(connection: sqlite3.Connection) -> list[EventReport]:
    rows = connection.execute("SELECT id, event FROM events ORDER BY position")
    return [_decode(*row) for row in rows]


def _decode(event_id: str, body: bytes) -> EventReport:
    try:
        return msgspec.json.decode(body, type=EventReport)
    except msgspec.DecodeError as exc:
        raise StoreDamaged(f"the stored event {event_id} cannot be read: {exc}") from exc
