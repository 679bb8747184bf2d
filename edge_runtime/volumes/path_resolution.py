"""Open a path below an open folder without being led out of it, whoever changes it meanwhile.

Source: openat2(2), Linux 5.6.
"""

from __future__ import annotations

import ctypes
import enum
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
