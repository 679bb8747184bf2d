"""Mount and unmount by the kernel's own calls; no program is run and nothing is parsed.

All functions block; call them on a thread.

Source: mount(2), umount2(2).
"""

from __future__ import annotations

import ctypes
import enum
import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.volumes.mount_table import (
    ends_below,
    mounts_below,
    parse_mountinfo,
    reached_below,
)

if TYPE_CHECKING:
    from edge_runtime.volumes.mount_table import MountPoint

_MOUNTINFO = Path("/proc/self/mountinfo")
_UNMOUNT_DETACH = 2
_UNMOUNT_NO_FOLLOW = 8
# A server that is gone would keep whoever unmounts waiting; nothing of it is lost by not asking.
_REMOTE = frozenset({"nfs", "nfs4"})

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = (
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_ulong,
    ctypes.c_char_p,
)
_libc.umount2.argtypes = (ctypes.c_char_p, ctypes.c_int)


class MountFlag(enum.IntFlag):
    """Flags of mount(2)."""

    NONE = 0
    READ_ONLY = 1
    NO_SUID = 2
    NO_DEV = 4
    NO_EXEC = 8
    REMOUNT = 32
    NO_ACCESS_TIMES = 1024
    NO_FOLDER_ACCESS_TIMES = 2048
    BIND = 4096
    RECURSIVE = 16384
    PRIVATE = 1 << 18
    SLAVE = 1 << 19
    SHARED = 1 << 20
    RELATIVE_ACCESS_TIMES = 1 << 21


def mount(
    target: Path | str,
    *,
    source: Path | str = "none",
    fs_type: str = "",
    flags: MountFlag = MountFlag.NONE,
    data: str = "",
) -> None:
    """Mount something, or change how something is mounted.

    A bind mount takes READ_ONLY only in a second call, with REMOUNT | BIND.

    Args:
        target: Where; links in it are followed. ``/proc/self/fd/N`` names an open folder or file.
        source: A device, a path to bind, or any name.
        fs_type: Such as ``tmpfs``; "" where the flags tell what is to be done.
        flags: See mount(2).
        data: Options of the file system, separated by commas.

    Raises:
        OSError: The kernel refuses.
    """
    result = _libc.mount(
        os.fsencode(source),
        os.fsencode(target),
        os.fsencode(fs_type) or None,
        int(flags),
        os.fsencode(data) or None,
    )
    if result != 0:
        raise _error(target)


def unmount(target: Path | str, *, detach: bool = False) -> None:
    """Unmount the topmost mount at a path.

    Args:
        target: Where; when its last part is a link, nothing is done.
        detach: Take it away even while it is used; it ends with its last use.

    Raises:
        OSError: The kernel refuses; EINVAL when nothing is mounted there.
    """
    flags = _UNMOUNT_NO_FOLLOW | (_UNMOUNT_DETACH if detach else 0)
    if _libc.umount2(os.fsencode(target), flags) != 0:
        raise _error(target)


def _error(target: Path | str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), str(target))


def mount_tmpfs(
    target: Path | str,
    *,
    size_bytes: int | None = None,
    data: str = "",
    flags: MountFlag = MountFlag.NO_SUID | MountFlag.NO_DEV,
) -> None:
    """Mount memory at a folder, where the kernel can so that it is never swapped to a disk.

    Source: kubernetes pkg/volume/emptydir/empty_dir.go ``generateTmpfsMountOptions``.

    Args:
        target: A folder.
        size_bytes: How much it holds at most, None for half of the machine's memory.
        data: More of its options.
        flags: See mount(2).

    Raises:
        OSError: The kernel refuses.
    """
    options = [data] if data else []
    if size_bytes is not None:
        options.append(f"size={size_bytes}")
    try:
        _tmpfs(target, flags, [*options, "noswap"])
    except OSError as exc:
        # Before Linux 6.4 it has no such option.
        if exc.errno != errno.EINVAL:
            raise
        _tmpfs(target, flags, options)


def _tmpfs(target: Path | str, flags: MountFlag, options: list[str]) -> None:
    mount(target, source="tmpfs", fs_type="tmpfs", flags=flags, data=",".join(options))


def read_mounts() -> tuple[MountPoint, ...]:
    """Return all that this process sees mounted.

    Raises:
        OSError: ``/proc`` is not there.
    """
    # Not as text: the kernel leaves "\r" in names as it is, and it would end the line.
    return parse_mountinfo(_MOUNTINFO.read_bytes().decode(errors="surrogateescape"))


def unmount_below(folder: Path) -> None:
    """Unmount whatever is mounted at a folder or below it, the last mounted first.

    Args:
        folder: Absolute; links in the path to it are resolved, it itself may be absent.

    Raises:
        OSError: Something is in use (EBUSY), or the kernel refuses; what was unmounted stays so.
    """
    path = os.path.realpath(folder)
    mounts = read_mounts()
    while mounts_below(mounts, path):
        ends = ends_below(mounts, path)
        if not ends:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), path)
        # What was mounted within a bound folder of the machine came along from there, and would be
        # unmounted there as well (kernel Documentation/filesystems/sharedsubtree.rst): what counts
        # is the mount that it stands on, and that may be hidden below it.
        private: set[int] = set()
        for each in reached_below(mounts, path):
            if each.fs_type not in _REMOTE:
                if each.parent_id not in private:
                    mount(each.path, flags=MountFlag.PRIVATE | MountFlag.RECURSIVE)
                private.add(each.mount_id)
        for each in ends:
            unmount(each.path, detach=each.fs_type in _REMOTE)
        mounts = read_mounts()
