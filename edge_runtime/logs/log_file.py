"""One log file: opened safely, read in pieces, searched from its end. All of it blocks."""

from __future__ import annotations

import os
import stat
import threading
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from edge_runtime.logs.cri_log import MAX_RECORD_BYTES, count_back

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

PIECE_BYTES = 256 << 10


class LogReadError(Exception):
    """A log cannot be read: not there, not a regular file, or the disk failed.

    Attributes:
        path: The file.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f'failed to read log file "{self.path}": {self.reason}'


class LogFile:
    """A log file and how far it was read."""

    def __init__(self, path: str) -> None:
        """Open the file.

        Raises:
            LogReadError: It is not there, or a link or anything but a regular file: whoever can put
                one into the log folder must not make us read another file.
        """
        self.path = path
        # Without O_NONBLOCK a pipe of that name would stop us before we see what it is.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            self._fd = os.open(path, flags)
        except OSError as exc:
            raise LogReadError(path, exc.strerror or str(exc)) from exc
        # Also when it is dropped unclosed: whoever waited for it to be opened may be gone by then.
        self._release = weakref.finalize(self, os.close, self._fd)
        found = os.fstat(self._fd)
        if not stat.S_ISREG(found.st_mode):
            self._release()
            raise LogReadError(path, "it is not a regular file")
        self._identity = (found.st_dev, found.st_ino)
        self._offset = 0
        self._lock = threading.Lock()
        self._users = 0
        self._is_closing = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, at the end of a call that another thread still makes."""
        with self._lock:
            self._is_closing = True
            self._close_when_unused()

    def read(self) -> bytes:
        """Return the next bytes, at most PIECE_BYTES; b"" at the end, which may move later.

        A file that was cut (copied and truncated) is read from its start again.

        Raises:
            LogReadError: The disk failed.
        """
        with self._open_fd() as fd:
            data = os.pread(fd, PIECE_BYTES, self._offset)
            if not data and os.fstat(fd).st_size < self._offset:
                self._offset = 0
                data = os.pread(fd, PIECE_BYTES, 0)
        self._offset += len(data)
        return data

    def is_replaced(self) -> bool:
        """Whether the path leads to another file by now, because the log was rotated."""
        try:
            found = os.stat(self.path, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return (found.st_dev, found.st_ino) != self._identity

    def seek_tail(self, lines: int) -> None:
        """Go to where the last ``lines`` lines begin; reads only as much from the end as needed.

        Raises:
            LogReadError: The disk failed.
        """
        with self._open_fd() as fd:
            self._offset = _find_tail(fd, lines)

    @contextmanager
    def _open_fd(self) -> Iterator[int]:
        """Lend the descriptor: its number MUST NOT be free for another file while it is used."""
        with self._lock:
            if self._is_closing:
                raise LogReadError(self.path, "it was closed")
            self._users += 1
        try:
            yield self._fd
        except OSError as exc:
            raise LogReadError(self.path, exc.strerror or str(exc)) from exc
        finally:
            with self._lock:
                self._users -= 1
                self._close_when_unused()

    def _close_when_unused(self) -> None:
        if self._is_closing and self._users == 0:
            self._release()


def _find_tail(fd: int, lines: int) -> int:
    size = os.fstat(fd).st_size
    if lines == 0:
        return size
    missing, end, is_end = lines, size, True
    while end > 0:
        start, records = _records_before(fd, end)
        offset, missing = count_back(records, missing, is_end=is_end)
        if offset > 0 and missing == 0:
            return start + offset
        end, is_end = start, False
    return 0


def _records_before(fd: int, end: int) -> tuple[int, bytes]:
    """Return whole records that end at ``end`` and where they start."""
    length = PIECE_BYTES
    while True:
        start = max(end - length, 0)
        data = os.pread(fd, end - start, start)
        if start == 0:
            return 0, data
        first = data.find(b"\n", 0, len(data) - 1) + 1
        # A single record longer than what was read: read more, or take the torso for a record.
        if first or length > MAX_RECORD_BYTES:
            return start + first, data[first:]
        length *= 2
