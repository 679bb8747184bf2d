"""The CRI log format, decoded in bulk; pure.

One record is ``RFC3339Nano SP stdout|stderr SP F|P SP text LF``. A line that the runtime had to cut
(16 KiB in containerd) is several records: all but the last have the tag P, and no line end belongs
to their text. Tags may have suffixes after a colon, which mean nothing yet.

Source: kubernetes staging/src/k8s.io/cri-client/pkg/logs/logs.go.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from edge_runtime.logs.log_time import NS_PER_S, TimestampParser, fixed_width
from edge_runtime.logs.since_filter import SinceFilter

# The longest record that is kept while its end has not come; a runtime cuts lines far below.
MAX_RECORD_BYTES = 1 << 20

_RECORD = re.compile(rb"^([^ \n]+) (stdout|stderr) ([FP])[^ \n]* ([^\n]*\n?)", re.MULTILINE)
# What remains to be done for whole lines of both streams is to drop the first three words; one
# pattern does so at some hundred MB/s.
_WHOLE_LINE = re.compile(rb"^[^ \n]+ std(?:out|err) F[^ \n]* ([^\n]*\n)", re.MULTILINE)
_PARTIAL_MARKS = (b" stdout P", b" stderr P")
_PART = re.compile(rb"^[^ \n]+ std(?:out|err) P", re.MULTILINE)
# Enough of a record for its time, its stream and its tag.
_HEAD_BYTES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """Which part of a log, and how.

    Attributes:
        follow: Go on as the log grows, until the container has ended.
        timestamps: Put the time before each line.
        since_ns: Only lines of this time or later, nanoseconds since the epoch; each is compared.
        is_resumed: ``since_ns`` is where a follower broke off: one behind its last line's time.
        tail_lines: Only so many lines at the end; None means all.
        limit_bytes: Stop after so many bytes of output.
        stream: ``stdout`` or ``stderr`` alone; None means both.
    """

    follow: bool = False
    timestamps: bool = False
    since_ns: int | None = None
    is_resumed: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    stream: str | None = None


class LogDecoder:
    """Turn the bytes of a log file into the lines that were asked for.

    Feed it the file in pieces of any size. A piece of output ends with a line's end unless the line
    goes on, or a limit cut it.
    """

    def __init__(self, options: LogOptions) -> None:
        self._timestamps = options.timestamps
        self._since = None if options.since_ns is None else SinceFilter(options.since_ns)
        self._stream = None if options.stream is None else options.stream.encode()
        self._remaining = options.limit_bytes
        self._is_plain = not options.timestamps and options.stream is None
        self._rest = b""
        self._times = TimestampParser()
        # Streams whose last record was a part, and whether that line is shown.
        self._open_lines: dict[bytes, bool] = {}
        self._whole_until = b""

    @property
    def position_ns(self) -> int | None:
        """The time of the last record up to which no line was left unfinished.

        None until there is one. From the nanosecond behind it on is what is still to come.
        """
        return self._times.parse(self._whole_until)

    def show_all(self) -> None:
        """Compare no times any more: what is decoded from here on begins where it was asked to."""
        self._since = None

    @property
    def is_exhausted(self) -> bool:
        """Whether the byte limit is reached: nothing will come any more."""
        return self._remaining is not None and self._remaining <= 0

    def receive_data(self, data: bytes) -> bytes:
        """Take the next bytes of the file and return what they add to the output.

        What is no record is left out; an unfinished record waits for its end, up to
        MAX_RECORD_BYTES.
        """
        end = data.rfind(b"\n") + 1
        if end == 0:
            self._rest = _bounded(self._rest + data)
            return b""
        complete = self._rest + data[:end]
        self._rest = data[end:]
        return self._limited(self._decode(complete))

    def end_file(self) -> bytes:
        """Return the text of a last record whose line end never came, with one.

        A line that goes on in the next file stays open.
        """
        return self.receive_data(b"\n") if self._rest else b""

    def finish(self) -> bytes:
        """Return the text of a last record whose line end never came; the decoder starts anew."""
        rest, self._rest = self._rest, b""
        output = self._limited(self._decode(rest)) if rest else b""
        self._open_lines.clear()
        return output

    def _decode(self, records: bytes) -> bytes:
        if self._since is not None:
            self._since.expect(records)
            if not self._open_lines and self._since.are_before(records):
                self._whole_until = _last_time(records)
                return b""
        if self._is_plain and not self._has_parts(records):
            lines = self._whole_lines(records)
            if lines is not None:
                self._whole_until = _last_time(records)
                return lines
        return b"".join(self._record(*match.groups()) for match in _RECORD.finditer(records))

    def _whole_lines(self, records: bytes) -> bytes | None:
        if self._since is not None:
            return self._since.whole_lines(records)
        return b"".join(_WHOLE_LINE.findall(records))

    def _has_parts(self, records: bytes) -> bool:
        if self._open_lines or not records.endswith(b"\n"):
            return True
        return any(mark in records for mark in _PARTIAL_MARKS)

    def _record(self, time: bytes, stream: bytes, tag: bytes, text: bytes) -> bytes:
        is_start = stream not in self._open_lines
        is_shown = self._is_wanted(time, stream) if is_start else self._open_lines[stream]
        if tag == b"P":
            self._open_lines[stream] = is_shown
            text = text.removesuffix(b"\n")
        else:
            self._open_lines.pop(stream, None)
            if not self._open_lines:
                self._whole_until = time
        if not is_shown:
            return b""
        return fixed_width(time) + b" " + text if self._timestamps and is_start else text

    def _is_wanted(self, time: bytes, stream: bytes) -> bool:
        if self._stream is not None and stream != self._stream:
            return False
        return self._since is None or self._since.includes(time)

    def _limited(self, output: bytes) -> bytes:
        if self._remaining is None:
            return output
        output = output[: max(self._remaining, 0)]
        self._remaining -= len(output)
        return output


class LineCounter:
    """Count the lines of a log that comes in pieces.

    Attributes:
        lines: How many lines have ended.
        is_in_line: Whether the last record was a part of a line.
    """

    def __init__(self) -> None:
        self.lines = 0
        self.is_in_line = False
        self._rest = b""

    def receive_data(self, data: bytes) -> None:
        """Take the next bytes of the file."""
        end = data.rfind(b"\n") + 1
        if end == 0:
            self._rest = _bounded(self._rest + data)
            return
        records = self._rest + data[:end]
        self._rest = data[end:]
        self.lines += _line_ends(records)
        start = records.rfind(b"\n", 0, -1) + 1
        self.is_in_line = not _ends_line(records[start : start + _HEAD_BYTES])


def after_lines(records: bytes, lines: int) -> tuple[int, int]:
    """Find what follows the first lines of a stretch of whole records.

    Args:
        records: Whole records, each with its line end.
        lines: How many lines are to be skipped, at least 1.

    Returns:
        Offset of what follows them and 0, or the stretch's length and how many are missing.
    """
    ends = _line_ends(records)
    if ends < lines:
        return len(records), lines - ends
    start = 0
    while lines > 0:
        end = records.index(b"\n", start) + 1
        lines -= _ends_line(records[start : start + _HEAD_BYTES])
        start = end
    return start, 0


def first_time_ns(data: bytes) -> int | None:
    """Return the time of the first record, None where there is none that can be read."""
    match = _RECORD.match(data)
    return None if match is None else TimestampParser().parse(match[1])


def find_behind(records: bytes, time_ns: int) -> int | None:
    """Return where the last record of exactly that time ends, of those that end a line.

    Args:
        records: Whole records.
        time_ns: Nanoseconds since the epoch.

    Returns:
        The offset behind it, None when there is none.
    """
    digits = f"{time_ns % NS_PER_S:09}".rstrip("0").encode()
    fraction = rb"\." + digits + rb"0*" if digits else rb"(?:\.0*)?"
    pattern = rb"^([^ \n.]{19}" + fraction + rb"[^ \n]*) std(?:out|err) F[^\n]*\n"
    clock = TimestampParser()
    ends = [
        match.end()
        for match in re.finditer(pattern, records, re.MULTILINE)
        if clock.parse(match[1]) == time_ns
    ]
    return ends[-1] if ends else None


def count_back(records: bytes, wanted: int, *, is_end: bool) -> tuple[int, int]:
    """Find where the last lines of a stretch of whole records begin.

    Args:
        records: Whole records; the last one may lack its line end.
        wanted: How many lines are still wanted; 0 for none but the start of a line that goes on
            behind this stretch.
        is_end: Whether the file ends with this stretch: a line that goes on counts there.

    Returns:
        Offset of the first wanted line and 0, or 0 and how many lines are missing.
    """
    missing = wanted
    end = len(records)
    is_last = is_end
    while end > 0:
        start = records.rfind(b"\n", 0, end - 1) + 1
        # A record that ends a line starts a new line after it.
        if _ends_line(records[start : start + _HEAD_BYTES]) or is_last:
            if missing == 0:
                return end, 0
            missing -= 1
        is_last = False
        end = start
    return 0, missing


def _ends_line(head: bytes) -> bool:
    match = _RECORD.match(head)
    return match is None or match[3] == b"F"


def _line_ends(records: bytes) -> int:
    return records.count(b"\n") - len(_PART.findall(records))


def _last_time(records: bytes) -> bytes:
    start = records.rfind(b"\n", 0, -1) + 1
    return records[start : start + _HEAD_BYTES].partition(b" ")[0]


def _bounded(rest: bytes) -> bytes:
    # Without its head a record is none, and is left out when its end comes.
    return rest if len(rest) <= MAX_RECORD_BYTES else rest[-1:]
