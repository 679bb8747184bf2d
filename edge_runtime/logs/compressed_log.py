"""A log file that rotation compressed, read as if it were not. All of it blocks."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from edge_runtime.logs.cri_log import (
    MAX_RECORD_BYTES,
    LineCounter,
    after_lines,
    find_behind,
    first_time_ns,
)
from edge_runtime.logs.descriptor import LogReadError
from edge_runtime.logs.log_file import PIECE_BYTES, LogFile

if TYPE_CHECKING:
    from edge_runtime.logs.descriptor import Descriptor

_GZIP = 16 + zlib.MAX_WBITS
_HEAD_BYTES = 256


class CompressedLog:
    """A gzip file and how far it was read; memory is bounded, whatever it expands to.

    Attributes:
        identity: Device and inode.
        cuts: Always 0.
    """

    def __init__(self, path: str, *, folder: Descriptor | None = None) -> None:
        """Open the file.

        Raises:
            LogReadError: It is not there, or nothing that may be read (descriptor.py).
        """
        self._file = LogFile(path, folder=folder)
        self.path = path
        self.identity = self._file.identity
        self.cuts = 0
        self._ahead = b""
        self._rewind()

    def close(self) -> None:
        """Close the file, at the end of a call that another thread still makes."""
        self._file.close()

    def read(self, max_bytes: int = PIECE_BYTES) -> bytes:
        """Return the next bytes, at most so many but for the first; b"" at the end.

        Raises:
            LogReadError: The disk failed, or it is no gzip file or a torn one.
        """
        if self._ahead:
            data, self._ahead = self._ahead, b""
            return data
        return self._inflated(max_bytes)

    def head(self) -> bytes:
        """Return how the log begins; the next read starts there.

        Raises:
            LogReadError: As of ``read``.
        """
        self._rewind()
        self._ahead = self.read()
        return self._ahead[:_HEAD_BYTES]

    def is_empty(self) -> bool:
        """Whether nothing is in it."""
        return not self.head()

    def first_time_ns(self) -> int | None:
        """Return the time of the first record, None where there is none."""
        self.head()
        return first_time_ns(self._ahead)

    def seek_tail(self, missing: int, *, is_end: bool) -> int | None:
        """Go to where the last lines begin, as LogFile does; it is expanded twice for that.

        Raises:
            LogReadError: As of ``read``.
        """
        self._rewind()
        counter = LineCounter()
        while data := self.read():
            counter.receive_data(data)
        lines = counter.lines + (is_end and counter.is_in_line)
        self._rewind()
        if missing == 0 and is_end:
            self._skip(counter.lines + 1)
            return None
        if lines <= missing:
            return missing - lines
        self._skip(lines - missing)
        return None

    def seek_since(self, since_ns: int) -> bool:
        """Go to the start: where a time is cannot be told without expanding what is before.

        Returns:
            Whether the first line is of that time or later. Nothing else of it is looked at.

        Raises:
            LogReadError: As of ``read``.
        """
        time_ns = self.first_time_ns()
        return time_ns is not None and time_ns >= since_ns

    def seek_behind(self, time_ns: int) -> bool:
        """Go behind the last record of exactly that time; else to the start.

        Raises:
            LogReadError: As of ``read``.
        """
        self._rewind()
        place, found, rest = 0, None, b""
        while data := self.read():
            whole = len(rest) + data.rfind(b"\n") + 1
            records = rest + data
            offset = find_behind(records[:whole], time_ns)
            found = found if offset is None else place + offset
            rest = records[whole:][-MAX_RECORD_BYTES:]
            place += len(records) - len(rest)
        self._rewind()
        passed = 0
        while found is not None and passed < found:
            data = self.read()
            passed += len(data)
            self._ahead = data[len(data) - (passed - found) :] if passed > found else b""
        return found is not None

    def _skip(self, lines: int) -> None:
        rest = b""
        while lines > 0 and (data := self.read()):
            whole = data.rfind(b"\n") + 1
            if not whole:
                rest = (rest + data)[-MAX_RECORD_BYTES:]
                continue
            offset, lines = after_lines(rest + data[:whole], lines)
            self._ahead = (rest + data)[offset:] if lines == 0 else b""
            rest = data[whole:]

    def _rewind(self) -> None:
        self._file.rewind()
        self._inflater = zlib.decompressobj(_GZIP)
        self._ahead = b""
        self._is_begun = False

    def _inflated(self, max_bytes: int) -> bytes:
        while True:
            raw = self._inflater.unconsumed_tail or self._inflater.unused_data or self._file.read()
            if self._inflater.eof:
                # A gzip file may be several, one behind the other.
                self._inflater = zlib.decompressobj(_GZIP)
                self._is_begun = False
            if not raw and not self._is_begun:
                return b""
            try:
                data = self._inflater.decompress(raw, max_bytes)
            except zlib.error as exc:
                raise LogReadError(self.path, f"it cannot be expanded: {exc}") from exc
            self._is_begun = not self._inflater.eof
            if data:
                return data
            if not raw and self._is_begun:
                raise LogReadError(self.path, "it is cut off")
