"""Which images may go, in which order, and how much is to be freed."""

from __future__ import annotations

import pytest

from edge_runtime.images.image_eviction import (
    ImageGCPolicy,
    SeenImage,
    SeenImages,
    format_size,
    is_old_enough,
    is_too_old,
    used_percent,
)
from edge_runtime.objects.runtime_info import RuntimeImage

GIB = 1 << 30


def image(image_id: str, *, pinned: bool = False) -> RuntimeImage:
    """An image of one GiB."""
    return RuntimeImage(id=image_id, size_bytes=GIB, pinned=pinned)


@pytest.mark.parametrize(
    ("available", "percent", "to_free"),
    [
        (100, 0, 0),
        (16, 84, 0),
        (15, 85, 5),
        (0, 100, 20),
        (150, 0, 0),  # more than there is: a filesystem that counts oddly
    ],
)
def test_what_is_to_be_freed(available: int, percent: int, to_free: int) -> None:
    """From 85 percent on, down to 80."""
    assert used_percent(100, available) == percent
    policy = ImageGCPolicy(high_percent=85, low_percent=80)
    assert policy.bytes_to_free(capacity_bytes=100, available_bytes=available) == to_free


@pytest.mark.parametrize(
    ("policy", "is_on"),
    [
        (ImageGCPolicy(), True),
        (ImageGCPolicy(high_percent=100), False),
        (ImageGCPolicy(high_percent=100, max_age_s=1.0), True),
    ],
)
def test_policy_that_removes_nothing_is_off(policy: ImageGCPolicy, is_on: bool) -> None:
    """Neither for space nor for age."""
    assert policy.is_on is is_on


def test_the_longest_unused_go_first() -> None:
    """Never used before used, the older before the newer; neither used nor pinned ones go."""
    seen = SeenImages()
    first = [image("used"), image("was-used"), image("never")]
    seen.observe(first, used={"used", "was-used"}, now=1.0)
    later = [*first, image("new"), image("pinned", pinned=True)]
    seen.observe(later, used={"used"}, now=2.0)
    assert [each.id for each in seen.removable()] == ["never", "new", "was-used"]
    # An image that the runtime lost is forgotten, and is a new one when it comes back.
    seen.observe([image("never")], used=(), now=3.0)
    seen.observe([image("was-used"), image("never")], used=(), now=4.0)
    assert [(each.id, each.first_seen_at) for each in seen.removable()] == [
        ("never", 1.0),
        ("was-used", 4.0),
    ]


def test_young_images_stay() -> None:
    """Perhaps they were pulled for a container that comes at once."""
    policy, young = ImageGCPolicy(min_age_s=120.0), SeenImage(id="i", first_seen_at=10.0)
    assert not is_old_enough(young, policy, now=129.9)
    assert is_old_enough(young, policy, now=130.0)


@pytest.mark.parametrize(
    ("max_age_s", "last_used_at", "now", "started_at", "expected"),
    [
        (0.0, None, 1000.0, 0.0, False),  # never
        (100.0, None, 101.0, 0.0, True),
        (100.0, 50.0, 101.0, 0.0, False),
        (100.0, 50.0, 151.0, 0.0, True),
        # A process that just began does not know of what was used before.
        (100.0, None, 101.0, 1.0, False),
    ],
)
def test_long_unused_images_go(
    max_age_s: float, last_used_at: float | None, now: float, started_at: float, expected: bool
) -> None:
    """Whatever the disk says."""
    seen = SeenImage(id="i", first_seen_at=0.0, last_used_at=last_used_at)
    policy = ImageGCPolicy(max_age_s=max_age_s)
    assert is_too_old(seen, policy, now=now, started_at=started_at) is expected


@pytest.mark.parametrize(
    ("size", "text"),
    [(512, "512 B"), (1536, "1.5 KiB"), (20 * GIB, "20.0 GiB"), (3 << 50, "3072.0 TiB")],
)
def test_sizes_for_people(size: int, text: str) -> None:
    """As in the kubelet's message."""
    assert format_size(size) == text
