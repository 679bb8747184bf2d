"""Open a path below an open folder without being led out of it, whoever changes it meanwhile.

Source: openat2(2), Linux 5.6.
"""

from __future__ import annotations

import ctypes
import enum
import errno
import os

# The same on every architecture.
_OPENAT2 = 437

_libc = ctypes.CDLL(None, use_errno=True)


class ResolveFlag(enum.IntFlag):
    """How a path may be resolved; see openat2(2)."""

    NO_MOUNTS = 0x01
    NO_MAGIC_LINKS = 0x02
    NO_LINKS = 0x04
    BENEATH = 0x08
    IN_ROOT = 0x10


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


def open_at(folder: int, path: str, *, flags: int, resolve: ResolveFlag, mode: int = 0) -> int:
    """Open a path below a folder; the kernel resolves and checks it in one step.

    Args:
        folder: Descriptor of an open folder.
        path: Relative to it.
        flags: Of open(2); close-on-exec is added.
        resolve: What resolving must not do.
        mode: Of a file that is made.

    Returns:
        A descriptor that the caller closes.

    Raises:
        OSError: It cannot be opened: EXDEV where it would leave the folder or enter a mount, ELOOP
            where a link is in the way, EAGAIN where it was changed meanwhile and another try may
            do, ENOSYS before Linux 5.6.
    """
    how = _OpenHow(flags | os.O_CLOEXEC, mode, int(resolve))
    fd: int = _libc.syscall(
        ctypes.c_long(_OPENAT2),
        ctypes.c_int(folder),
        ctypes.c_char_p(os.fsencode(path)),
        ctypes.byref(how),
        ctypes.c_size_t(ctypes.sizeof(how)),
    )
    if fd < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return fd


def open_inside(folder: int, path: str, *, flags: int) -> int:
    """Open a path below a folder that neither follows a link nor enters a mount on its way.

    With O_PATH a link in the last place is opened itself. Before Linux 5.6 the path is gone step by
    step; then a mount of the folder's own file system is not told from a folder.

    Args:
        folder: Descriptor of an open folder.
        path: Relative to it; "." is the folder itself.
        flags: Of open(2); O_NOFOLLOW and close-on-exec are added.

    Returns:
        A descriptor that the caller closes.

    Raises:
        OSError: It cannot be opened: EXDEV for a mount, ELOOP or ENOTDIR for a link.
    """
    flags |= os.O_NOFOLLOW | os.O_CLOEXEC
    stay = ResolveFlag.NO_MOUNTS | ResolveFlag.NO_LINKS | ResolveFlag.BENEATH
    try:
        return open_at(folder, path, flags=flags, resolve=stay)
    except OSError as exc:
        if exc.errno != errno.ENOSYS:
            raise
    names = [name for name in path.split("/") if name not in ("", ".")] or ["."]
    reached = folder
    try:
        for number, name in enumerate(names, start=1):
            step = flags if number == len(names) else os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW
            opened = _step(reached, name, flags=step)
            if reached != folder:
                os.close(reached)
            reached = opened
    except BaseException:
        if reached != folder:
            os.close(reached)
        raise
    return reached


def _step(folder: int, name: str, *, flags: int) -> int:
    if name == "..":
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), name)
    fd = os.open(name, flags, dir_fd=folder)
    if os.fstat(fd).st_dev != os.fstat(folder).st_dev:
        os.close(fd)
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), name)
    return fd
