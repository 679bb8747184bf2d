"""Open a path below an open folder on kernels that cannot resolve it so themselves (before 5.6).

Each name is opened in the folder that was reached before, links are read and walked, never followed
by the kernel, and ".." goes back to a folder that was passed: there is no way out to be found, and
none to be raced for.

Source: kubernetes pkg/volume/util/subpath/subpath_linux.go ``doSafeOpen``; path_resolution(7).
"""

from __future__ import annotations

import errno
import os
import stat

_STEP_FLAGS = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
# Source: the kernel's include/linux/namei.h ``MAXSYMLINKS``.
MAX_LINKS = 40


def walk_beneath(folder: int, path: str) -> int:
    """Open a path below a folder, as a mere place (O_PATH); links are walked as far as they lead.

    Args:
        folder: Descriptor of an open folder.
        path: Relative to it.

    Returns:
        A descriptor that the caller closes.

    Raises:
        OSError: It cannot be opened; EXDEV where it would leave the folder, ELOOP for too many
            links.
    """
    # The folders on the way here; the first is the caller's own.
    passed = [folder]
    try:
        _walk(passed, path)
        return os.dup(passed[-1])
    finally:
        for each in passed[1:]:
            os.close(each)


def _walk(passed: list[int], path: str) -> None:
    left = [path]
    links = 0
    while left:
        name, _, rest = left.pop().partition("/")
        if rest:
            left.append(rest)
        if name == "..":
            _go_back(passed, path)
        elif name in ("", "."):
            _must_be_folder(passed[-1], path)
        else:
            target = _step(passed, name, path)
            if target is not None:
                links += 1
                if links > MAX_LINKS:
                    raise _error(errno.ELOOP, path)
                left.append(target)


def _step(passed: list[int], name: str, path: str) -> str | None:
    """Go into a folder or to a file; of a link return where it leads instead."""
    fd = os.open(name, _STEP_FLAGS, dir_fd=passed[-1])
    if not stat.S_ISLNK(os.fstat(fd).st_mode):
        passed.append(fd)
        return None
    try:
        target = os.readlink("", dir_fd=fd)
    finally:
        os.close(fd)
    if target.startswith("/"):
        raise _error(errno.EXDEV, path)
    return target


def _go_back(passed: list[int], path: str) -> None:
    _must_be_folder(passed[-1], path)
    if len(passed) == 1:
        raise _error(errno.EXDEV, path)
    os.close(passed.pop())


def _must_be_folder(fd: int, path: str) -> None:
    if not stat.S_ISDIR(os.fstat(fd).st_mode):
        raise _error(errno.ENOTDIR, path)


def _error(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path)
