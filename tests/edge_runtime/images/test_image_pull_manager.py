"""Intents of pulls that overlap."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from edge_runtime.images.image_pull_manager import ImagePullManager
from edge_runtime.images.pull_verification import Verification
from edge_runtime.runtime.cri_client import CriClient
from edge_runtime.store.database import Database
from edge_runtime.store.pull_record_store import PullRecordStore
from tests.fakes.fake_cri import FakeCri

if TYPE_CHECKING:
    from pathlib import Path

IMAGE = "r.io/x:1"


async def test_end_of_one_pull_leaves_the_intent_of_another(tmp_path: Path) -> None:
    """Whichever is on its way to the disk: without it a killed process's pull is everybody's."""
    database = Database(tmp_path / "edgelet.db")
    async with FakeCri(tmp_path) as fake, CriClient(fake.endpoint) as client:
        store = PullRecordStore(database)
        await store.load()
        manager = ImagePullManager(store, runtime=client, verification=Verification())
        await manager.record_intent(IMAGE)
        async with asyncio.TaskGroup() as group:
            group.create_task(manager.record_intent(IMAGE))
            # The second one's write is queued by now, and not answered.
            await asyncio.sleep(0)
            group.create_task(manager.record_failed(IMAGE))
        again = PullRecordStore(database)
        await again.load()
        assert list(again.intents) == [IMAGE]
        await manager.record_failed(IMAGE)
        assert not store.intents
    database.close()
