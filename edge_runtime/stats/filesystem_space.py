"""What is left on a filesystem, and which folders there are; blocks on it.

Source: kubernetes pkg/volume/util/fs/fs.go ``Info``.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from edge_runtime.objects.node_stats import FilesystemStats

if TYPE_CHECKING:
    from pathlib import Path


def filesystem_space(path: str | Path, *, timestamp_ns: int | None = None) -> FilesystemStats:
    """Return the space of the filesystem that a path is on, used by whomever.

    Args:
        path: Of anything on it.
        timestamp_ns: Of when the figures are to be; None for now.

    Raises:
        OSError: There is no such path, or the filesystem does not answer.
    """
    found = os.statvfs(path)
    return FilesystemStats(
        timestamp_ns=time.time_ns() if timestamp_ns is None else timestamp_ns,
        available_bytes=found.f_bavail * found.f_frsize,
        capacity_bytes=found.f_blocks * found.f_frsize,
        used_bytes=(found.f_blocks - found.f_bfree) * found.f_frsize,
        inodes=found.f_files,
        inodes_free=found.f_ffree,
        inodes_used=found.f_files - found.f_ffree,
    )


def folders_in(folder: Path) -> list[str]:
    """Return the names of the folders in a folder, sorted; none where it is not there.

    Raises:
        OSError: It cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(each.name for each in entries if each.is_dir(follow_symlinks=False))
    except (FileNotFoundError, NotADirectoryError):
        return []
