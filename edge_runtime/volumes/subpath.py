"""Mount a part of a volume, wherever the volume's users try to lead the way to it.

The part is opened beneath the volume, and what was opened is mounted, not its name: nobody can put
another thing in its place between the two.

All functions block; call them on a thread.

Source: kubernetes pkg/volume/util/subpath/subpath_linux.go ``SafeMakeDir``, ``doBindSubPath``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING

from edge_runtime.volumes.mount_syscalls import MountFlag, mount, read_mounts, unmount_below
from edge_runtime.volumes.mount_table import mount_at
from edge_runtime.volumes.path_resolution import ResolveFlag, open_at
from edge_runtime.volumes.path_walk import walk_beneath

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PLACE = os.O_PATH | os.O_CLOEXEC
_NEW_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_STAY = ResolveFlag.BENEATH | ResolveFlag.NO_MAGIC_LINKS
# A rename anywhere on the machine may keep the kernel from being sure of "..".
_MAX_TRIES = 128
_TARGET_PARENT_MODE = 0o750
_TARGET_FOLDER_MODE = 0o750
_TARGET_FILE_MODE = 0o640


class NoSubpath(Exception):
    """The part of the volume is not there and cannot be made; why is in ``__cause__``."""


def mount_subpath(volume: str, subpath: str, target: Path) -> None:
    """Mount a part of a volume somewhere; a folder that is not there is made.

    What is mounted there already is kept while it is still the same file or folder. Nothing that
    is mounted within the part comes along, as under a kubelet.

    Args:
        volume: The volume, absolute; links on the way to it are followed.
        subpath: The part, relative to it and without "..".
        target: Where, below a folder that only root may write; it itself need not be there.

    Raises:
        NoSubpath: It is not there and cannot be made within the volume.
        OSError: It cannot be reached within the volume, or not be mounted.
    """
    with _opened(os.open(volume, _PLACE)) as root:
        try:
            fd = open_beneath(root, subpath)
        except FileNotFoundError:
            mode = stat.S_IMODE(os.fstat(root).st_mode)
            try:
                fd = make_beneath(root, subpath, mode=mode)
            except OSError as exc:
                raise NoSubpath(subpath) from exc
    with _opened(fd):
        mount_opened(fd, target)


def mount_opened(fd: int, target: Path, *, flags: MountFlag = MountFlag.NONE) -> None:
    """Mount an open file or folder somewhere, unless it is mounted there already.

    Args:
        fd: May be opened as a mere place (O_PATH).
        target: Below a folder that only root may write; it itself need not be there.
        flags: ``MountFlag.RECURSIVE`` to bring along what is mounted below it.

    Raises:
        OSError: The kernel refuses.
    """
    wanted = os.fstat(fd)
    if mount_at(read_mounts(), os.path.realpath(target)) is not None:
        if _is_same(os.lstat(target), wanted):
            return
        unmount_below(target)
    _make_target(target, is_folder=stat.S_ISDIR(wanted.st_mode))
    mount(target, source=f"/proc/self/fd/{fd}", flags=MountFlag.BIND | flags)


def open_beneath(folder: int, path: str) -> int:
    """Open what lies below an open folder, as a mere place (O_PATH).

    Links are followed as long as they stay within the folder.

    Returns:
        A descriptor that the caller closes.

    Raises:
        OSError: It cannot be opened; EXDEV where it would leave the folder.
    """
    for _ in range(_MAX_TRIES):
        try:
            return open_at(folder, path, flags=_PLACE, resolve=_STAY)
        except OSError as exc:
            if exc.errno == errno.ENOSYS:
                return walk_beneath(folder, path)
            if exc.errno != errno.EAGAIN:
                raise
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), path)


def make_beneath(folder: int, path: str, *, mode: int) -> int:
    """Make the folders of a path that are missing below an open folder, and open the last.

    Args:
        folder: Descriptor of the open folder.
        path: Relative to it, without "..".
        mode: Of the folders that are made, whatever the umask is.

    Returns:
        A descriptor that the caller closes.

    Raises:
        OSError: One cannot be made; EXDEV where the path would leave the folder.
    """
    names = [name for name in path.split("/") if name not in ("", ".")]
    if ".." in names:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
    here = os.dup(folder)
    try:
        for number, name in enumerate(names, 1):
            there = _make_or_open(folder, "/".join(names[:number]), here, name, mode=mode)
            os.close(here)
            here = there
        return os.dup(here)
    finally:
        os.close(here)


def _make_or_open(folder: int, path: str, parent: int, name: str, *, mode: int) -> int:
    try:
        return open_beneath(folder, path)
    except FileNotFoundError:
        os.mkdir(name, mode=mode, dir_fd=parent)
    # Whoever puts something else in its place by now gets that, as long as it is a folder.
    fd = os.open(name, _NEW_FOLDER, dir_fd=parent)
    os.fchmod(fd, mode)
    return fd


def _make_target(target: Path, *, is_folder: bool) -> None:
    target.parent.mkdir(mode=_TARGET_PARENT_MODE, parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(target.lstat().st_mode) is is_folder:
            return
        if is_folder:
            target.unlink()
        else:
            target.rmdir()
    if is_folder:
        target.mkdir(mode=_TARGET_FOLDER_MODE)
    else:
        # A file will do for sockets, pipes and devices, too.
        target.touch(mode=_TARGET_FILE_MODE)


def _is_same(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


@contextlib.contextmanager
def _opened(fd: int) -> Iterator[int]:
    try:
        yield fd
    finally:
        os.close(fd)
