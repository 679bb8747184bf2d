"""What lies in a folder that a pod may write to; blocks on its filesystem."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING

from edge_runtime.objects.node_stats import DiskUse

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

# Entries of one folder that are looked at; what lies beyond is not counted, so a pod may use more
# than is seen, but no pod keeps the look at all others waiting.
MAX_ENTRIES = 200_000
_BLOCK_BYTES = 512
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PASSED_OVER = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}


def disk_use(folder: Path, *, max_entries: int = MAX_ENTRIES) -> DiskUse:
    """Return what a folder holds on its own filesystem; blocks.

    Args:
        folder: One that is not there holds nothing.
        max_entries: How many files and folders are looked at.

    Raises:
        OSError: It cannot be read.
    """
    try:
        device = folder.lstat().st_dev
    except FileNotFoundError:
        return DiskUse()
    size_bytes = inodes = 0
    left, seen = [os.fspath(folder)], set[int]()
    while left:
        with contextlib.closing(_look_into(left.pop())) as entries:
            for path, found in entries:
                if not _counts(found, device, seen):
                    continue
                if stat.S_ISDIR(found.st_mode):
                    left.append(path)
                size_bytes += found.st_blocks * _BLOCK_BYTES
                inodes += 1
                if inodes >= max_entries:
                    return DiskUse(size_bytes=size_bytes, inodes=inodes)
    return DiskUse(size_bytes=size_bytes, inodes=inodes)


def _counts(found: os.stat_result, device: int, seen: set[int]) -> bool:
    if found.st_dev != device:
        return False  # something else is mounted there
    if stat.S_ISDIR(found.st_mode) or found.st_nlink == 1:
        return True
    if found.st_ino in seen:
        return False
    seen.add(found.st_ino)
    return True


def _look_into(folder: str) -> Generator[tuple[str, os.stat_result], None, None]:
    """Yield path and state of what lies in a folder; what is changed meanwhile is passed over.

    The folder is a pod's: it may put a link in its place at any moment, or nest folders deeper than
    a path can name. Neither may keep us from measuring the other pods.
    """
    try:
        descriptor = os.open(folder, _OPEN_FOLDER)
    except OSError as exc:
        if exc.errno not in _PASSED_OVER:
            raise
        return
    try:
        with os.scandir(descriptor) as entries:
            for entry in entries:
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                yield f"{folder}/{entry.name}", found
    finally:
        os.close(descriptor)
