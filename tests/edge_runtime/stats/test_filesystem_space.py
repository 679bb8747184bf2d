"""What is left on a filesystem is what its own table says."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from edge_runtime.stats.filesystem_space import filesystem_space, folders_in

if TYPE_CHECKING:
    from pathlib import Path


def test_space(tmp_path: Path) -> None:
    """What is used and what is free, also by others; the time is the caller's if he has one."""
    own = os.statvfs(tmp_path)
    found = filesystem_space(tmp_path, timestamp_ns=7)
    assert found.timestamp_ns == 7
    assert found.capacity_bytes == own.f_blocks * own.f_frsize
    assert found.inodes == own.f_files
    assert found.used_bytes is not None
    assert found.available_bytes is not None
    assert 0 < found.used_bytes + found.available_bytes <= found.capacity_bytes
    with pytest.raises(FileNotFoundError):
        filesystem_space(tmp_path / "none")


def test_folders_are_names_of_folders_alone(tmp_path: Path) -> None:
    """Sorted; a link to one is none."""
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("a")
    assert folders_in(tmp_path) == ["a", "b"]
    assert folders_in(tmp_path / "none") == folders_in(tmp_path / "file") == []
