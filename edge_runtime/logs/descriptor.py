"""Descriptors of log files and their folders: opened safely, and closed when nobody uses them."""

from __future__ import annotations

import os
import stat
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Without O_NONBLOCK a pipe of that name would stop us before we see what it is.
_FILE_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
# Of a pod and of a container; what lies above is the machine's own and may lead elsewhere.
_CHECKED_FOLDERS = 2


class LogReadError(Exception):
    """A log cannot be read: not there, not a regular file of ours, or the disk failed.

    Attributes:
        path: The file.
        reason: What is wrong with it.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f'failed to read log file "{self.path}": {self.reason}'


class LogNotFound(LogReadError):
    """There is no such log file."""


class Descriptor:
    """A descriptor that threads use while another may close it."""

    def __init__(self, fd: int, path: str) -> None:
        self._fd = fd
        self._path = path
        # Also when it is dropped unclosed: whoever waited for it to be opened may be gone by then.
        self._release = weakref.finalize(self, os.close, fd)
        self._lock = threading.Lock()
        self._users = 0
        self._is_closing = False

    def lend(self) -> Self:
        """Lend the descriptor: its number MUST NOT be free for another file while it is used.

        To be used as ``with descriptor.lend() as fd``; a generator's context manager would take as
        long as the call that it is lent for.

        Raises:
            LogReadError: It was closed, or a call with it failed.
        """
        return self

    def __enter__(self) -> int:
        with self._lock:
            if self._is_closing:
                raise LogReadError(self._path, "it was closed")
            self._users += 1
        return self._fd

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            self._users -= 1
            self._close_when_unused()
        if isinstance(exc, FileNotFoundError):
            raise LogNotFound(self._path, exc.strerror or str(exc)) from exc
        if isinstance(exc, OSError):
            raise LogReadError(self._path, exc.strerror or str(exc)) from exc

    def close(self) -> None:
        """Close it, at the end of a call that another thread still makes."""
        with self._lock:
            self._is_closing = True
            self._close_when_unused()

    def _close_when_unused(self) -> None:
        if self._is_closing and self._users == 0:
            self._release()


def open_log_folder(path: str) -> Descriptor:
    """Open the folder of a log; a container's and a pod's folder may be no links.

    Raises:
        LogNotFound: It is not there.
        LogReadError: It is a link, no folder, or another user's.
    """
    folder = Path(path).parent
    checked = folder.parts[1:][-_CHECKED_FOLDERS:]
    above = folder.parents[len(checked) - 1] if checked else folder
    found = _opened(str(above), path, _FOLDER_FLAGS)
    for name in checked:
        with found.lend() as fd:
            below = _opened(name, path, _FOLDER_FLAGS | os.O_NOFOLLOW, folder_fd=fd)
        found.close()
        found = below
        _check(found, path)
    return found


def open_log_file(folder: Descriptor, path: str) -> Descriptor:
    """Open a log file of that folder.

    Raises:
        LogNotFound: It is not there.
        LogReadError: It is a link, anything but a regular file, another user's, or has a second
            name elsewhere: whoever can put one into the log folder must not make us read another
            file.
    """
    with folder.lend() as folder_fd:
        found = _opened(Path(path).name, path, _FILE_FLAGS, folder_fd=folder_fd)
    status = _check(found, path)
    if not stat.S_ISREG(status.st_mode):
        raise LogReadError(path, "it is not a regular file")
    if status.st_nlink > 1:
        raise LogReadError(path, "it has a second name")
    return found


def _opened(name: str, path: str, flags: int, *, folder_fd: int | None = None) -> Descriptor:
    try:
        return Descriptor(os.open(name, flags, dir_fd=folder_fd), path)
    except FileNotFoundError as exc:
        raise LogNotFound(path, exc.strerror or str(exc)) from exc
    except (OSError, ValueError) as exc:
        raise LogReadError(path, getattr(exc, "strerror", None) or str(exc)) from exc


def _check(found: Descriptor, path: str) -> os.stat_result:
    with found.lend() as fd:
        status = os.fstat(fd)
    if status.st_uid not in {0, os.geteuid()}:
        raise LogReadError(path, "it belongs to another user")
    return status
