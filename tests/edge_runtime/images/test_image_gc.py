"""Images go by use and age, and only when the disk is full."""

from __future__ import annotations

import asyncio
import dataclasses
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import pytest

from edge_runtime.images.image_eviction import ImageGCPolicy
from edge_runtime.images.image_gc import PERIOD_S, ImageGC, ImageGCError
from edge_runtime.images.image_pull_manager import ImagePullManager
from edge_runtime.images.pull_verification import Verification
from edge_runtime.objects.pull_records import PulledRecord
from edge_runtime.runtime.cri_client import CriClient
from edge_runtime.store.database import Database
from edge_runtime.store.pull_record_store import PullRecordStore
from tests.fakes.edge_pods import edge_pods, is_running, pod_json
from tests.fakes.fake_cri import FakeCri

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

GIB = 1 << 30


class Site:
    """Image GC with its runtime, disk and clock."""

    def __init__(self, fake: FakeCri, cri: CriClient, records: PullRecordStore) -> None:
        self.fake = fake
        self.now = 0.0
        self.disk = (100 * GIB, 10 * GIB)
        self.events: list[tuple[str, str]] = []
        self.records = records
        pulls = ImagePullManager(records, runtime=cri, verification=Verification())
        self.policy = ImageGCPolicy()
        self.gc = ImageGC(
            cri,
            pulls=pulls,
            policy=self.policy,
            event=self.record,
            space=lambda _: self.disk,
            monotonic=lambda: self.now,
            now_s=lambda: 1000.0,
        )
        self._parts = (cri, pulls)

    def set_policy(self, **changes: float) -> None:
        """Start anew with another policy."""
        cri, pulls = self._parts
        self.gc = ImageGC(
            cri,
            pulls=pulls,
            policy=dataclasses.replace(self.policy, **changes),  # type: ignore[arg-type]
            event=self.record,
            space=lambda _: self.disk,
            monotonic=lambda: self.now,
            now_s=lambda: 1000.0,
        )

    def record(self, *, event_type: str, reason: str, message: str) -> None:
        """Take an event of the node."""
        assert event_type == "Warning"
        self.events.append((reason, message))

    @property
    def images(self) -> list[str]:
        """Names of the images that are left."""
        return sorted(self.fake.images)


@asynccontextmanager
async def running_site(folder: Path) -> AsyncIterator[Site]:
    """A runtime, and a disk that is nine tenths full."""
    database = Database(folder / "gc.db")
    try:
        async with FakeCri(folder) as fake, CriClient(fake.endpoint) as cri:
            yield Site(fake, cri, PullRecordStore(database))
    finally:
        database.close()


def add(site: Site, name: str, *, size: int = 3 * GIB, pinned: bool = False) -> str:
    """Put an image into the runtime; return its id."""
    return str(site.fake.add_image(name, size=size, pinned=pinned).id)


async def test_disk_that_is_not_full_keeps_all(tmp_path: Path) -> None:
    """Below 85 %."""
    async with running_site(tmp_path) as site:
        add(site, "a:1")
        site.disk = (100 * GIB, 16 * GIB)
        await site.gc.collect()
        site.now = 1000.0
        await site.gc.collect()
        assert site.images == ["a:1"]


async def test_longest_unused_go_until_enough_is_free(tmp_path: Path) -> None:
    """Down to 80 %: ten GiB are four images; the one of yesterday stays, and what is pinned."""
    async with running_site(tmp_path) as site:
        for index in range(4):
            add(site, f"i{index}:1")
        add(site, "pause:1", pinned=True)
        with pytest.raises(ImageGCError):
            await site.gc.collect()
        assert len(site.images) == 5
        site.now = 60.0
        add(site, "new:1")
        with pytest.raises(ImageGCError):
            await site.gc.collect()
        site.events.clear()
        site.now = 120.0
        await site.gc.collect()
        assert site.images == ["new:1", "pause:1"]
        assert site.events == []


async def test_too_little_to_free_is_told(tmp_path: Path) -> None:
    """In the kubelet's words."""
    async with running_site(tmp_path) as site:
        add(site, "a:1", size=1 * GIB)
        site.set_policy(min_age_s=0.0)
        message = (
            "Insufficient free disk space on the node's image filesystem (90% of 100.0 GiB used). "
            "Failed to free sufficient space by deleting unused images (freed 1073741824 bytes). "
            "Investigate disk usage, as it could be used by active images, logs, volumes, "
            "or other data."
        )
        with pytest.raises(ImageGCError) as failed:
            await site.gc.collect()
        assert str(failed.value) == message
        assert site.events == [("FreeDiskSpaceFailed", message)]


async def test_records_go_with_their_images(tmp_path: Path) -> None:
    """Those that changed since it began stay."""
    async with running_site(tmp_path) as site:
        image_id = add(site, "a:1", size=11 * GIB)
        for ref, updated_at_s in ((image_id, 0.0), ("gone", 0.0), ("coming", 2000.0)):
            record = PulledRecord(image_ref=ref, credentials={}, updated_at_s=updated_at_s)
            await site.records.put(record)
        site.set_policy(min_age_s=0.0)
        await site.gc.collect()
        assert set(site.records.records) == {"coming"}


async def test_image_that_cannot_be_removed_does_not_stop_the_others(tmp_path: Path) -> None:
    """It is told; twice in a row, on the node."""
    async with running_site(tmp_path) as site:
        add(site, "a:1", size=11 * GIB)
        add(site, "b:1", size=11 * GIB)
        site.set_policy(min_age_s=0.0)
        site.fake.fail("RemoveImage", grpc.StatusCode.UNKNOWN, "read-only")
        with pytest.raises(ImageGCError, match="errors in image deletion: read-only"):
            await site.gc.collect()
        assert len(site.images) == 1


async def test_unused_for_too_long_goes_whatever_the_disk_says(tmp_path: Path) -> None:
    """Only once this process has run for as long."""
    async with running_site(tmp_path) as site:
        site.disk = (100 * GIB, 90 * GIB)
        site.set_policy(max_age_s=100.0)
        add(site, "a:1")
        await site.gc.collect()
        site.now = 100.0
        await site.gc.collect()
        assert site.images == ["a:1"]
        site.now = 101.0
        await site.gc.collect()
        assert site.images == []


async def test_eviction_may_ask_for_all_that_is_unused(tmp_path: Path) -> None:
    """But for what is young."""
    async with running_site(tmp_path) as site:
        add(site, "a:1", size=5)
        await site.gc.delete_unused()
        site.now = 121.0
        add(site, "b:1", size=5)
        assert await site.gc.delete_unused() == 5
        assert site.images == ["b:1"]


async def test_disk_that_cannot_be_is_told(tmp_path: Path) -> None:
    """As a kubelet does."""
    async with running_site(tmp_path) as site:
        site.disk = (0, 0)
        with pytest.raises(ImageGCError):
            await site.gc.collect()
        assert site.events == [("InvalidDiskCapacity", "invalid capacity 0 on image filesystem")]


async def test_image_of_a_container_stays(tmp_path: Path) -> None:
    """Dead or alive."""
    async with running_site(tmp_path) as site:
        site.fake.add_image("busybox:1", size=11 * GIB)
        add(site, "b:1", size=11 * GIB)
        site.set_policy(min_age_s=0.0)
        async with edge_pods(tmp_path, site.fake) as edge:
            await edge.put(pod_json())
            await edge.status("u", is_running)
            await site.gc.collect()
        assert site.images == ["busybox:1"]


@pytest.mark.looptime
async def test_failure_is_an_event_when_it_lasts() -> None:
    """A first one may be a runtime that has just started."""
    events: list[str] = []

    class Broken:
        """A runtime that has no images to tell of."""

        async def list_images(self) -> tuple[()]:
            """Fail as a disk does."""
            raise OSError("broken")

    gc = ImageGC(
        Broken(),  # type: ignore[arg-type]
        pulls=None,  # type: ignore[arg-type]
        policy=ImageGCPolicy(),
        event=lambda **event: events.append(event["reason"]),
        monotonic=lambda: 0.0,
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(gc.run())
        await asyncio.sleep(PERIOD_S / 2)
        assert events == []
        await asyncio.sleep(PERIOD_S)
        assert events == ["ImageGCFailed"]
        task.cancel()
