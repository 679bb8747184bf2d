"""Whose credentials opened which image outlives the process; so does a pull that was cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_runtime.objects.pull_records import PullCredentials, PulledRecord, PullSecret
from edge_runtime.store.database import Database
from edge_runtime.store.errors import StoreDamaged
from edge_runtime.store.pull_record_store import PullRecordStore

if TYPE_CHECKING:
    from pathlib import Path

SECRET = PullSecret(namespace="ns", name="mine", uid="s", credential_hash="h")


def _record(image_ref: str, *secrets: PullSecret, updated_at_s: float = 1.5) -> PulledRecord:
    credentials = PullCredentials(for_all_pods=not secrets, secrets=secrets)
    return PulledRecord(
        image_ref=image_ref, credentials={"r.io/x": credentials}, updated_at_s=updated_at_s
    )


async def _restarted(path: Path) -> tuple[dict[str, PulledRecord], set[str]]:
    """Return what the next process reads."""
    database = Database(path)
    try:
        store = PullRecordStore(database)
        await store.load()
        return dict(store.records), set(store.intents)
    finally:
        database.close()


async def test_records_are_read_back(path: Path) -> None:
    """The newest of each image, without those of images that are gone."""
    database = Database(path)
    store = PullRecordStore(database)
    await store.load()
    assert (dict(store.records), set(store.intents)) == ({}, set())
    await store.put(_record("sha256:1"))
    await store.put(_record("sha256:1", SECRET, updated_at_s=2.5))
    await store.put(_record("sha256:2"))
    await store.put(_record("sha256:3", SECRET))
    await store.remove(["sha256:2", "sha256:unknown"])
    expected = {
        "sha256:1": _record("sha256:1", SECRET, updated_at_s=2.5),
        "sha256:3": _record("sha256:3", SECRET),
    }
    assert store.records == expected
    database.close()
    assert await _restarted(path) == (expected, set())


async def test_cut_off_pull_is_remembered(path: Path) -> None:
    """An image that came meanwhile was not there before edgelet: it counts as pulled."""
    database = Database(path)
    store = PullRecordStore(database)
    await store.load()
    for image in ("r.io/x:1", "r.io/x:1", "r.io/y:1"):
        await store.add_intent(image)
    await store.remove_intent("r.io/y:1")
    await store.remove_intent("r.io/never:1")
    assert set(store.intents) == {"r.io/x:1"}
    database.close()
    assert await _restarted(path) == ({}, {"r.io/x:1"})


async def test_damaged_record_opens_nothing(database: Database) -> None:
    """What cannot be read must not look like an image that was always there."""
    await PullRecordStore(database).put(_record("sha256:1", SECRET))
    await database.write("UPDATE pulled_images SET record = ?", [(b"{}",)])
    with pytest.raises(StoreDamaged, match="image sha256:1"):
        await PullRecordStore(database).load()
