"""Values of figures add up."""

from __future__ import annotations

from edge_runtime.objects.node_stats import DiskUse


def test_disk_uses_add_up() -> None:
    """Bytes to bytes, inodes to inodes."""
    first, second = DiskUse(size_bytes=1, inodes=2), DiskUse(size_bytes=10, inodes=20)
    assert first + second == DiskUse(size_bytes=11, inodes=22)
    assert first + DiskUse() == first
