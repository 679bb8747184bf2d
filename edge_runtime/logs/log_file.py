"""One log file: read in pieces, searched from its end or by time. All of it blocks."""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING, Protocol, Self

from edge_runtime.logs.cri_log import MAX_RECORD_BYTES, count_back, find_behind, first_time_ns
from edge_runtime.logs.descriptor import open_log_file, open_log_folder

if TYPE_CHECKING:
    from types import TracebackType

    from edge_runtime.logs.descriptor import Descriptor

PIECE_BYTES = 256 << 10
# So much is read to tell of what time a stretch of the file is.
_SAMPLE_BYTES = 8 << 10
_STRIDE_BYTES = 64 << 10
_MAX_SAMPLES = 2048
# Up to here a file is read from its start: the default size, and what is written until it is seen.
UNSAMPLED_BYTES = 16 << 20
_HEAD_BYTES = 256


class LogSource(Protocol):
    """One file of a log, compressed or not (compressed_log.py); all of it blocks."""

    identity: tuple[int, int]
    cuts: int

    def read(self, max_bytes: int = PIECE_BYTES) -> bytes:
        """Return the next bytes; b"" at the end."""
        ...

    def head(self) -> bytes:
        """Return how the log begins, by which it is known again once it is compressed."""
        ...

    def first_time_ns(self) -> int | None:
        """Return the time of the first record, None where there is none."""
        ...

    def seek_tail(self, missing: int, *, is_end: bool) -> int | None:
        """Go to where the last lines begin; see LogFile."""
        ...

    def seek_since(self, since_ns: int) -> bool:
        """Go to shortly before the first line of that time; whether one may be there."""
        ...

    def seek_behind(self, time_ns: int) -> bool:
        """Go behind the last record of exactly that time; stay where it is when there is none."""
        ...

    def is_empty(self) -> bool:
        """Whether nothing is in it."""
        ...

    def close(self) -> None:
        """Close it, at the end of a call that another thread still makes."""
        ...


class LogFile:
    """A log file and how far it was read.

    Attributes:
        identity: Device and inode: what stays the same when it is renamed.
        cuts: How often it was found cut off and was begun anew.
    """

    def __init__(self, path: str, *, folder: Descriptor | None = None) -> None:
        """Open the file, below a folder that is open already or by its path.

        Raises:
            LogReadError: It is not there, or nothing that may be read (descriptor.py).
        """
        if folder is None:
            with closing(open_log_folder(path)) as own:
                self._descriptor = open_log_file(own, path)
        else:
            self._descriptor = open_log_file(folder, path)
        with self._descriptor.lend() as fd:
            found = os.fstat(fd)
        self.path = path
        self.identity = (found.st_dev, found.st_ino)
        self.cuts = 0
        self._offset = 0

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
        self._descriptor.close()

    def read(self, max_bytes: int = PIECE_BYTES) -> bytes:
        """Return the next bytes; b"" at the end, which may move later.

        A file that was cut (copied and truncated) is read from its start again.

        Raises:
            LogReadError: The disk failed.
        """
        with self._descriptor.lend() as fd:
            data = os.pread(fd, max_bytes, self._offset)
            if not data and os.fstat(fd).st_size < self._offset:
                self._offset = 0
                self.cuts += 1
                data = os.pread(fd, max_bytes, 0)
        self._offset += len(data)
        return data

    def head(self) -> bytes:
        """Return how the log begins."""
        with self._descriptor.lend() as fd:
            return os.pread(fd, _HEAD_BYTES, 0)

    def is_empty(self) -> bool:
        """Whether nothing is in it."""
        with self._descriptor.lend() as fd:
            return os.fstat(fd).st_size == 0

    def first_time_ns(self) -> int | None:
        """Return the time of the first record, None where there is none."""
        with self._descriptor.lend() as fd:
            return first_time_ns(os.pread(fd, _SAMPLE_BYTES, 0))

    def rewind(self) -> None:
        """Go to the start."""
        self._offset = 0

    def seek_tail(self, missing: int, *, is_end: bool = True) -> int | None:
        """Go to where the last lines begin; reads only as much from the end as needed.

        Args:
            missing: How many lines are wanted; 0 for none but the start of a line that goes on in
                the file behind this one.
            is_end: Whether the log ends here: a line that goes on counts there.

        Returns:
            None when the place is in this file; else how many lines the file before it must have,
            and this one is read from its start.

        Raises:
            LogReadError: The disk failed.
        """
        with self._descriptor.lend() as fd:
            end = os.fstat(fd).st_size
            if missing == 0 and is_end:
                self._offset = end
                return None
            self._offset = 0
            while end > 0:
                start, records = _records_before(fd, end)
                offset, missing = count_back(records, missing, is_end=is_end)
                if offset > 0 and missing == 0:
                    self._offset = start + offset
                    return None
                end, is_end = start, False
        return missing

    def seek_since(self, since_ns: int) -> bool:
        """Go to shortly before the first line of that time or a later one.

        A file of ordinary size is read from its start: a clock that was ahead for some lines and
        was set back then hides none of them. A larger one is sampled from its start, up to the
        first sample of that time: only what lies between two samples can be passed over.

        Returns:
            Whether such a line may be in this file; else the last sample is where it is.

        Raises:
            LogReadError: The disk failed.
        """
        with self._descriptor.lend() as fd:
            size = os.fstat(fd).st_size
            self._offset = 0
            if size <= UNSAMPLED_BYTES:
                return size > 0
            stride = max(_STRIDE_BYTES, size // _MAX_SAMPLES)
            for place in range(0, size, stride):
                start, time_ns = _sample(fd, place)
                if time_ns is None:
                    continue
                if time_ns >= since_ns:
                    return True
                self._offset = start
        return False

    def seek_behind(self, time_ns: int) -> bool:
        """Go behind the last record of exactly that time; stay where it is when there is none.

        Read from the end: what lies behind the record is what is asked for anyway.

        Raises:
            LogReadError: The disk failed.
        """
        with self._descriptor.lend() as fd:
            end = os.fstat(fd).st_size
            while end > 0:
                start, records = _records_before(fd, end)
                offset = find_behind(records, time_ns)
                if offset is not None:
                    self._offset = start + offset
                    return True
                end = start
        return False


def _sample(fd: int, place: int) -> tuple[int, int | None]:
    """Return where the first whole record at or behind a place starts, and its time."""
    if place == 0:
        return 0, first_time_ns(os.pread(fd, _SAMPLE_BYTES, 0))
    # From one byte before, so that a record that starts right there is seen.
    data = os.pread(fd, _SAMPLE_BYTES, place - 1)
    start = data.find(b"\n") + 1
    if start == 0:
        data = os.pread(fd, _STRIDE_BYTES, place - 1)
        start = data.find(b"\n") + 1
    return place - 1 + start, first_time_ns(data[start:]) if start else None


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
