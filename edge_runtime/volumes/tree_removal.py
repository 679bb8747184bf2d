"""Remove a tree that pods wrote, whatever it holds, and nothing beside it.

No link is followed and no mount is entered. Folders nested without end exhaust neither file
descriptors nor the stack, and folders of millions of files no memory.

Source: openat2(2); kubernetes pkg/util/removeall/removeall.go ``RemoveAllOneFilesystem``.
"""

from __future__ import annotations

import itertools
import os
import stat
import uuid
from typing import TYPE_CHECKING

from edge_runtime.volumes.path_resolution import open_inside

if TYPE_CHECKING:
    from pathlib import Path

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Each level holds one descriptor and one frame.
_MAX_DEPTH = 32
_BATCH = 1000


def remove_tree(folder: Path) -> None:
    """Remove a folder and all below it, or a file or link of that name; blocks.

    Raises:
        OSError: Something cannot be removed, or is a mount (EXDEV): what is mounted is not
            touched, what was removed before is gone.
    """
    try:
        parent = os.open(folder.parent, _FOLDER_FLAGS)
    except FileNotFoundError:
        return
    try:
        _remove(parent, folder.name, top=parent, depth=0)
    except FileNotFoundError:
        return
    finally:
        os.close(parent)


def _remove(parent: int, name: str, *, top: int, depth: int) -> None:
    """Remove an entry of an open folder, or move it into `top` when it lies too deep."""
    if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=parent)
        return
    if depth > _MAX_DEPTH:
        os.rename(name, f".removed-{uuid.uuid4().hex}", src_dir_fd=parent, dst_dir_fd=top)
        return
    # Before Linux 5.6 not every mount is told from a folder: whoever calls has looked into the
    # table of mounts.
    fd = open_inside(parent, name, flags=_FOLDER_FLAGS)
    try:
        # In the uppermost folder those moved up are found by the next look.
        while names := _some_names(fd):
            for each in names:
                _remove(fd, each, top=fd if depth == 0 else top, depth=depth + 1)
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=parent)


def _some_names(fd: int) -> list[str]:
    with os.scandir(fd) as entries:
        return [each.name for each in itertools.islice(entries, _BATCH)]
