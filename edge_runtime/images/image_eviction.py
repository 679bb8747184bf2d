"""Which images may go, and in which order; pure.

Source: kubernetes pkg/kubelet/images/image_gc_manager.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from edge_runtime.objects.runtime_info import RuntimeImage


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageGCPolicy:
    """When images go.

    Attributes:
        high_percent: Above this use of the disk, unused images are removed; 100 for never.
        low_percent: Until it is this low.
        min_age_s: Younger ones stay: perhaps they were pulled for a container that comes at once.
        max_age_s: Longer unused ones go whatever the disk says; 0 for never.
    """

    high_percent: int = 85
    low_percent: int = 80
    min_age_s: float = 120.0
    max_age_s: float = 0.0

    @property
    def is_on(self) -> bool:
        """Whether any image ever goes."""
        return self.high_percent < 100 or self.max_age_s > 0

    def bytes_to_free(self, *, capacity_bytes: int, available_bytes: int) -> int:
        """Return how much is to be freed, 0 while there is enough."""
        available_bytes = min(available_bytes, capacity_bytes)
        if used_percent(capacity_bytes, available_bytes) < self.high_percent:
            return 0
        return capacity_bytes * (100 - self.low_percent) // 100 - available_bytes


def used_percent(capacity_bytes: int, available_bytes: int) -> int:
    """Return how much of a disk is used."""
    return 100 - min(available_bytes, capacity_bytes) * 100 // capacity_bytes


@dataclass(slots=True, kw_only=True)
class SeenImage:
    """What is known of one image; times are a monotonic clock's, in seconds.

    Attributes:
        last_used_at: When a container was last seen to have it; None for never.
    """

    id: str
    first_seen_at: float
    last_used_at: float | None = None
    size_bytes: int = 0
    is_pinned: bool = False
    is_used: bool = False


class SeenImages:
    """All images that the runtime has, since when, and when they were last used."""

    def __init__(self) -> None:
        self._images: dict[str, SeenImage] = {}

    def observe(self, images: Iterable[RuntimeImage], *, used: Container[str], now: float) -> None:
        """Take what the runtime has now.

        Args:
            images: All of them.
            used: Ids of those that any container has, dead or alive.
            now: A monotonic clock, in seconds.
        """
        old, self._images = self._images, {}
        for image in images:
            seen = old.get(image.id) or SeenImage(id=image.id, first_seen_at=now)
            seen.size_bytes, seen.is_pinned = image.size_bytes, image.pinned
            seen.is_used = image.id in used
            if seen.is_used:
                seen.last_used_at = now
            self._images[image.id] = seen

    def removable(self) -> list[SeenImage]:
        """Return what no container has and nobody pinned, the longest unused first."""
        found = [each for each in self._images.values() if not (each.is_used or each.is_pinned)]
        return sorted(found, key=_order)


def is_old_enough(image: SeenImage, policy: ImageGCPolicy, *, now: float) -> bool:
    """Return whether an image may go because the disk is full."""
    return now - image.first_seen_at >= policy.min_age_s


def is_too_old(image: SeenImage, policy: ImageGCPolicy, *, now: float, started_at: float) -> bool:
    """Return whether an image goes because nobody used it for long.

    What was used before this process began is not known: it must run for as long first.
    """
    if not policy.max_age_s or now - started_at <= policy.max_age_s:
        return False
    last = image.first_seen_at if image.last_used_at is None else image.last_used_at
    return now - last > policy.max_age_s


def format_size(size_bytes: int) -> str:
    """Write bytes for a person: ``512 B``, ``1.5 KiB``, ``20.0 GiB``."""
    if size_bytes < 1024:
        return f"{size_bytes} B"
    size, units = size_bytes / 1024, ["KiB", "MiB", "GiB", "TiB"]
    while size >= 1024 and len(units) > 1:
        size /= 1024
        del units[0]
    return f"{size:.1f} {units[0]}"


def _order(image: SeenImage) -> tuple[float, float]:
    last = float("-inf") if image.last_used_at is None else image.last_used_at
    return last, image.first_seen_at
