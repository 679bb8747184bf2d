"""The files of one log that are still to be read, over rotations. All of it blocks."""

from __future__ import annotations

import errno
import os
from collections import deque
from typing import TYPE_CHECKING

from edge_runtime.logs.compressed_log import CompressedLog
from edge_runtime.logs.descriptor import LogNotFound, LogReadError
from edge_runtime.logs.log_file import PIECE_BYTES, LogFile
from edge_runtime.logs.log_folder import LogFolder

if TYPE_CHECKING:
    from edge_runtime.logs.cri_log import LogDecoder, LogOptions
    from edge_runtime.logs.log_file import LogSource

# Files that a follower who lags behind keeps, although rotation may have dropped them: what they
# take of the disk is not free before he has read them.
MAX_KEPT_FILES = 8


class LogChain:
    """A log from its oldest file to the one that is written now.

    Each file is held open from the moment it is known, so that it can be compressed or dropped
    while it waits.
    """

    def __init__(self, path: str) -> None:
        """Open what there is.

        Raises:
            LogNotFound: There is no file of that log at all.
            LogReadError: One of them is nothing that may be read (descriptor.py).
        """
        self._path = path
        self._folder = LogFolder(path)
        newest = self._folder.open_newest()
        # The newest first: what is put aside after that is found twice, and never missed.
        self._known = self._folder.rotated()
        self._files: deque[LogSource] = deque()
        for name in self._known:
            file = self._folder.open_rotated(name)
            if file is not None and newest is not None and file.identity == newest.identity:
                file.close()
                break
            if file is not None:
                self._files.append(file)
        if newest is not None:
            self._files.append(newest)
        if not self._files:
            raise LogNotFound(path, os.strerror(errno.ENOENT))

    def close(self) -> None:
        """Close all files, each at the end of a call that another thread still makes."""
        self._folder.close()
        for file in self._files:
            file.close()

    def seek(self, options: LogOptions) -> bool:
        """Go to where what was asked for begins; what lies before is not read.

        Who resumes goes on where he was: behind the record of the nanosecond before the time,
        wherever that is in a log whose clock was set back.

        Returns:
            Whether it begins exactly there, so that times need not be compared any more.

        Raises:
            LogReadError: The disk failed, or a compressed file is none.
        """
        if options.tail_lines is not None:
            self._seek_tail(options.tail_lines)
        elif options.since_ns is not None:
            if options.is_resumed and self._seek_behind(options.since_ns - 1):
                return True
            self._seek_since(options.since_ns)
        return False

    def read(self, decoder: LogDecoder, *, max_bytes: int = PIECE_BYTES) -> tuple[bool, bytes]:
        """Read and decode one piece.

        Args:
            decoder: What is read goes there.
            max_bytes: At most so much of an uncompressed file.

        Returns:
            Whether the end of the newest known file is reached, and what was decoded.

        Raises:
            LogReadError: The disk failed, or a compressed file is none.
        """
        file = self._files[0]
        cuts = file.cuts
        data = file.read(max_bytes)
        if data:
            # What was cut off will never end.
            ended = decoder.end_file() if file.cuts != cuts else b""
            is_end = len(data) < max_bytes and len(self._files) == 1 and isinstance(file, LogFile)
            return is_end, ended + decoder.receive_data(data)
        if len(self._files) == 1:
            return True, b""
        self._files.popleft().close()
        return False, decoder.end_file()

    def extend(self) -> bool:
        """Open what was begun behind the newest known file; False when there is none.

        Raises:
            LogReadError: Rotation dropped a file before it was known here: what follows would not
                be what comes next.
        """
        newest = self._files[-1]
        current = self._folder.newest_identity()
        if current in {None, newest.identity} or len(self._files) >= MAX_KEPT_FILES:
            return False
        written = self._folder.open_newest()
        names = self._folder.rotated()
        for name in self._behind(newest, names):
            file = self._folder.open_rotated(name)
            if file is None:
                raise self._lost()
            if written is not None and file.identity == written.identity:
                file.close()
                break
            self._files.append(file)
        self._known = names
        if written is not None:
            self._files.append(written)
        return True

    def _behind(self, newest: LogSource, names: list[str]) -> list[str]:
        """Return what was put aside after that file was begun and itself put aside."""
        for index in reversed(range(len(names))):
            file = self._folder.open_rotated(names[index])
            if file is None:
                continue
            try:
                if file.identity == newest.identity or _is_compressed_from(file, newest):
                    return names[index + 1 :]
            finally:
                file.close()
        # Removed, and not put aside: then nothing lies between it and the file in its place.
        if set(names) <= set(self._known):
            return []
        raise self._lost()

    def _lost(self) -> LogReadError:
        return LogReadError(self._path, "a part was dropped by rotation before it was read")

    def _seek_tail(self, lines: int) -> None:
        is_end = True
        for index in reversed(range(len(self._files))):
            file = self._files[index]
            missing = file.seek_tail(lines, is_end=is_end)
            if missing is None:
                self._drop(index)
                return
            lines = missing
            is_end = is_end and file.is_empty()

    def _seek_since(self, since_ns: int) -> None:
        # A file that begins with lines of that time or later may have the first ones before it.
        start = before = 0
        for index, file in enumerate(self._files):
            time_ns = file.first_time_ns()
            if file.seek_since(since_ns):
                is_before = time_ns is not None and time_ns < since_ns
                start = index if is_before else before
                break
            if time_ns is not None:
                start = before = index
        self._drop(start)

    def _seek_behind(self, time_ns: int) -> bool:
        for index in reversed(range(len(self._files))):
            if self._files[index].seek_behind(time_ns):
                self._drop(index)
                return True
        return False

    def _drop(self, count: int) -> None:
        for _ in range(count):
            self._files.popleft().close()


def _is_compressed_from(file: LogSource, plain: LogSource) -> bool:
    if not isinstance(file, CompressedLog) or not isinstance(plain, LogFile):
        return False
    head = plain.head()
    return bool(head) and file.head() == head
