"""Remove images that no container uses before the disk is full.

Source: kubernetes pkg/kubelet/images/image_gc_manager.go; pkg/kubelet/kubelet.go
``StartGarbageCollection``.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from typing import TYPE_CHECKING, Protocol

from edge_runtime.images.image_eviction import (
    ImageGCPolicy,
    SeenImage,
    SeenImages,
    format_size,
    is_old_enough,
    is_too_old,
    used_percent,
)
from edge_runtime.runtime.errors import RuntimeServiceError
from edge_runtime.store.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_runtime.images.image_pull_manager import ImagePullManager
    from edge_runtime.objects.runtime_info import RuntimeImage
    from edge_runtime.objects.runtime_stats import ImageFsInfo
    from edge_runtime.objects.runtime_status import RuntimeContainer

# Source: pkg/kubelet/kubelet.go ``ImageGCPeriod``.
PERIOD_S = 300.0

logger = logging.getLogger(__name__)


class ImageGCError(Exception):
    """Images could not be removed, or not enough of them; the message is a kubelet's.

    Attributes:
        reason: Of the node's event; "" where it is told only when it happens again.
    """

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class ImageGCRuntime(Protocol):
    """What holds images (runtime/cri_client.py); every method raises RuntimeServiceError."""

    async def list_images(self) -> tuple[RuntimeImage, ...]:
        """Return all images."""
        ...

    async def list_containers(self) -> tuple[RuntimeContainer, ...]:
        """Return all containers, dead or alive."""
        ...

    async def image_fs_info(self) -> ImageFsInfo:
        """Return where the images are."""
        ...

    async def remove_image(self, image: str) -> None:
        """Remove an image."""
        ...


class NodeEvent(Protocol):
    """Tell that something happened to the node."""

    def __call__(self, *, event_type: str, reason: str, message: str) -> None:
        """Record an event; never waits."""
        ...


def disk_space(folder: str) -> tuple[int, int]:
    """Return capacity and what is available of a folder's filesystem, in bytes; blocks.

    Raises:
        OSError: It cannot be read.
    """
    found = os.statvfs(folder)
    return found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize


class ImageGC:
    """Watches the use of images, and removes the longest unused when the disk fills up."""

    def __init__(
        self,
        runtime: ImageGCRuntime,
        *,
        pulls: ImagePullManager,
        policy: ImageGCPolicy,
        event: NodeEvent,
        space: Callable[[str], tuple[int, int]] = disk_space,
        monotonic: Callable[[], float] = time.monotonic,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            runtime: What holds the images.
            pulls: Told which images are left.
            policy: When images go.
            event: Takes events of the node.
            space: Returns capacity and available bytes of a folder's filesystem; may block.
            monotonic: A clock, in seconds.
            now_s: Seconds since the epoch.
        """
        self._runtime = runtime
        self._pulls = pulls
        self._policy = policy
        self._event = event
        self._space = space
        self._monotonic = monotonic
        self._now_s = now_s
        self._seen = SeenImages()
        self._started_at = monotonic()
        # Two at the same time would free twice as much.
        self._turn = asyncio.Lock()

    async def run(self) -> None:
        """Look every PERIOD_S until cancelled; what fails is tried again, and told if it lasts."""
        has_failed = False
        while True:
            try:
                await self.collect()
            except (ImageGCError, RuntimeServiceError, StoreError, OSError) as exc:
                logger.warning("images cannot be cleaned up", extra={"error": str(exc)})
                if has_failed:
                    self._event(event_type="Warning", reason="ImageGCFailed", message=str(exc))
                has_failed = True
            else:
                has_failed = False
            await asyncio.sleep(PERIOD_S)

    async def collect(self) -> None:
        """Remove what is too old, then, on a full disk, the longest unused.

        Raises:
            ImageGCError: Not enough could be freed; the node's event says so already.
            RuntimeServiceError: The runtime does not answer.
            StoreError: The records of removed images cannot be dropped.
            OSError: The disk's use cannot be read.
        """
        async with self._turn:
            now, began_at_s = self._monotonic(), self._now_s()
            images = await self._observe(now)
            if not self._policy.is_on:
                return
            too_old = [
                each
                for each in images
                if is_too_old(each, self._policy, now=now, started_at=self._started_at)
            ]
            await self._remove(too_old, bytes_to_free=None)
            left = [each for each in images if each not in too_old]
            await self._free_space(left, now=now)
            await self._forget(began_at_s)

    async def delete_unused(self) -> int:
        """Remove all that no container uses and is old enough; return the bytes that it had.

        Raises:
            ImageGCError: Some could not be removed.
            RuntimeServiceError: The runtime does not answer.
            StoreError: The records of removed images cannot be dropped.
        """
        async with self._turn:
            now, began_at_s = self._monotonic(), self._now_s()
            images = await self._observe(now)
            candidates = [each for each in images if is_old_enough(each, self._policy, now=now)]
            freed = await self._remove(candidates, bytes_to_free=None)
            await self._forget(began_at_s)
            return freed

    async def _observe(self, now: float) -> list[SeenImage]:
        images = await self._runtime.list_images()
        containers = await self._runtime.list_containers()
        used = {name for each in containers for name in (each.image_id, each.image_ref, each.image)}
        # A runtime may name an image by any of its names.
        used_ids = {
            image.id
            for image in images
            if not used.isdisjoint((image.id, *image.repo_tags, *image.repo_digests))
        }
        self._seen.observe(images, used=used_ids, now=now)
        return self._seen.removable()

    async def _free_space(self, images: list[SeenImage], *, now: float) -> None:
        capacity, available = await self._disk()
        wanted = self._policy.bytes_to_free(capacity_bytes=capacity, available_bytes=available)
        if self._policy.high_percent >= 100 or wanted <= 0:
            return
        percent = used_percent(capacity, available)
        logger.info("the disk of images fills up", extra={"percent": percent, "to_free": wanted})
        candidates = [each for each in images if is_old_enough(each, self._policy, now=now)]
        freed = await self._remove(candidates, bytes_to_free=wanted)
        if freed < wanted:
            message = (
                "Insufficient free disk space on the node's image filesystem "
                f"({percent}% of {format_size(capacity)} used). "
                f"Failed to free sufficient space by deleting unused images (freed {freed} bytes). "
                "Investigate disk usage, as it could be used by active images, logs, volumes, "
                "or other data."
            )
            self._event(event_type="Warning", reason="FreeDiskSpaceFailed", message=message)
            raise ImageGCError(message, reason="FreeDiskSpaceFailed")

    async def _disk(self) -> tuple[int, int]:
        info = await self._runtime.image_fs_info()
        if not info.image_filesystems:
            raise ImageGCError("the runtime does not tell where its images are")
        folder = info.image_filesystems[0].mountpoint
        capacity, available = await asyncio.to_thread(self._space, folder)
        if capacity <= 0:
            message = "invalid capacity 0 on image filesystem"
            self._event(event_type="Warning", reason="InvalidDiskCapacity", message=message)
            raise ImageGCError(message, reason="InvalidDiskCapacity")
        return capacity, available

    async def _remove(self, images: list[SeenImage], *, bytes_to_free: int | None) -> int:
        """Remove images in their order, until enough is freed; return how much."""
        freed, failures = 0, []
        for image in images:
            if bytes_to_free is not None and freed >= bytes_to_free:
                break
            logger.info("removing an image", extra={"image": image.id, "bytes": image.size_bytes})
            try:
                await self._runtime.remove_image(image.id)
            except RuntimeServiceError as exc:
                failures.append(exc.message)
            else:
                freed += image.size_bytes
        if failures:
            wanted = "" if bytes_to_free is None else f"{bytes_to_free} "
            text = ", ".join(failures)
            raise ImageGCError(
                f"wanted to free {wanted}bytes, but freed {freed} bytes space with errors in image "
                f"deletion: {text if len(failures) == 1 else f'[{text}]'}"
            )
        return freed

    async def _forget(self, began_at_s: float) -> None:
        left = await self._runtime.list_images()
        await self._pulls.forget_removed([each.id for each in left], before_s=began_at_s)
