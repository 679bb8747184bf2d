"""Records of pulls, on disk before a pull begins and before a pod uses what it brought."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edge_runtime.objects.pull_records import PulledRecord
from edge_runtime.store.errors import StoreDamaged

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Mapping

    from edge_runtime.store.database import Database


class PullRecordStore:
    """Pulled images by the runtime's id, and names that were being pulled; all in memory, too."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._records: dict[str, PulledRecord] = {}
        self._intents: set[str] = set()

    async def load(self) -> None:
        """Read everything; once, before anything else.

        Raises:
            StoreDamaged: A row cannot be read as what was written.
        """
        self._records, self._intents = await self._database.run(_load)

    @property
    def records(self) -> Mapping[str, PulledRecord]:
        """All records, by the runtime's id of the image."""
        return self._records

    @property
    def intents(self) -> Collection[str]:
        """Names of images whose pull began and was not seen to end."""
        return self._intents

    async def add_intent(self, image: str) -> None:
        """Note that a pull begins.

        Raises:
            StoreError: The disk refuses; nothing changed.
        """
        sql = "INSERT OR IGNORE INTO pull_intents (image) VALUES (?)"
        await self._database.write(sql, [(image,)])
        self._intents.add(image)

    async def remove_intent(self, image: str) -> None:
        """Note that no pull of this name is under way any more.

        Raises:
            StoreError: The disk refuses; nothing changed.
        """
        await self._database.write("DELETE FROM pull_intents WHERE image = ?", [(image,)])
        self._intents.discard(image)

    async def put(self, record: PulledRecord) -> None:
        """Keep a record in place of what was known of the image.

        Raises:
            StoreError: The disk refuses; nothing changed.
        """
        row = (record.image_ref, msgspec.json.encode(record))
        sql = "INSERT OR REPLACE INTO pulled_images (image_ref, record) VALUES (?, ?)"
        await self._database.write(sql, [row])
        self._records[record.image_ref] = record

    async def remove(self, image_refs: Collection[str]) -> None:
        """Drop the records of images that are no more.

        Raises:
            StoreError: The disk refuses; nothing changed.
        """
        rows = [(each,) for each in image_refs]
        await self._database.write("DELETE FROM pulled_images WHERE image_ref = ?", rows)
        for image_ref in image_refs:
            self._records.pop(image_ref, None)


def _load(connection: sqlite3.Connection) -> tuple[dict[str, PulledRecord], set[str]]:
    rows = connection.execute("SELECT image_ref, record FROM pulled_images")
    records = {image_ref: _decode(image_ref, body) for image_ref, body in rows}
    return records, {row[0] for row in connection.execute("SELECT image FROM pull_intents")}


def _decode(image_ref: str, body: bytes) -> PulledRecord:
    try:
        return msgspec.json.decode(body, type=PulledRecord)
    except msgspec.DecodeError as exc:
        raise StoreDamaged(f"the record of image {image_ref} cannot be read: {exc}") from exc
