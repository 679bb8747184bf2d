"""What lies in a folder, whatever its pod does there meanwhile."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from edge_runtime.objects.node_stats import DiskUse
from edge_runtime.stats.disk_use import disk_use

if TYPE_CHECKING:
    from pathlib import Path


# Folders whose names have 200 letters; a path may have 4096.
DEPTH = 40


def blocks(*files: Path) -> int:
    """What files take on the disk."""
    return sum(each.lstat().st_blocks * 512 for each in files)


def write(file: Path, size_bytes: int = 1) -> Path:
    """Make a file with its folders."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x" * size_bytes)
    return file


def test_folder(tmp_path: Path) -> None:
    """All that lies in it, at whatever depth, in blocks of the disk."""
    small, large = write(tmp_path / "f/small"), write(tmp_path / "f/a/b/large", 100_000)
    found = disk_use(tmp_path / "f")
    folders = (tmp_path / "f/a", tmp_path / "f/a/b")
    assert found == DiskUse(size_bytes=blocks(small, large, *folders), inodes=4)
    assert found.size_bytes >= 100_000


def test_file_of_two_names_is_one(tmp_path: Path) -> None:
    """As the disk sees it."""
    file = write(tmp_path / "f/a", 10_000)
    (tmp_path / "f/b").hardlink_to(file)
    assert disk_use(tmp_path / "f") == DiskUse(size_bytes=blocks(file), inodes=1)


def test_holes_take_no_room(tmp_path: Path) -> None:
    """A file may seem larger than the disk."""
    file = write(tmp_path / "f/sparse")
    os.truncate(file, 1 << 40)
    assert disk_use(tmp_path / "f").size_bytes == blocks(file) < 1 << 20


def test_links_are_not_followed(tmp_path: Path) -> None:
    """A pod could point them anywhere, at folders above itself as well."""
    write(tmp_path / "elsewhere/large", 100_000)
    (tmp_path / "f").mkdir()
    (tmp_path / "f/out").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "f/up").symlink_to("..")
    assert disk_use(tmp_path / "f").inodes == 2
    # Also if one is put in a folder's place just before it is looked into.
    assert disk_use(tmp_path / "f/out") == DiskUse()


def test_what_is_no_folder_holds_nothing(tmp_path: Path) -> None:
    """It may be removed or replaced at any moment."""
    assert disk_use(tmp_path / "none") == DiskUse()
    assert disk_use(write(tmp_path / "file")) == DiskUse()


def test_folders_deeper_than_a_path_can_name(tmp_path: Path) -> None:
    """A pod that nests them does not hide the others, nor keep anybody from measuring them."""
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(DEPTH):
        os.mkdir("d" * 200, dir_fd=here)
        deeper = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    assert 0 < disk_use(tmp_path).inodes < DEPTH


def test_a_look_has_an_end(tmp_path: Path) -> None:
    """Or one pod would keep the look at all others waiting."""
    for number in range(10):
        write(tmp_path / f"f/{number}/file")
    assert disk_use(tmp_path / "f", max_entries=7).inodes == 7
