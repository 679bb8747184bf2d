"""Which lines of a log are of a time or later, each by itself: clocks are set back; pure.

Source: cri-client logs.go (``logWriter.write`` compares each message).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from edge_runtime.logs.log_time import FRACTION_DIGITS, NS_PER_S, TimestampParser, split_time

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE_BYTES = 10
# The largest digit at each place of a time of day. Hours past 23 are ruled out before.
_TIME_OF_DAY = (b"2", b"9", b":", b"5", b"9", b":", b"5", b"9")
_NO_HOUR = b"(?!2[4-9])"
_FRACTION = rb"(?:\.[0-9]+)?"
_ANY_TIME = _NO_HOUR + rb"[0-2][0-9]:[0-5][0-9]:[0-5][0-9]" + _FRACTION
_NOTHING = b"(?!)"
_TAG = rb" std(?:out|err) F[^ \n]* "


@dataclass(frozen=True, slots=True, kw_only=True)
class _Patterns:
    """Of some dates in one zone.

    Attributes:
        time: A time; there is a group where it is in range.
        record: A record of a whole line; there is a group, its text, where it is in range.
        not_before: The line end before anything but a record of a whole line that is out of range.
    """

    time: re.Pattern[bytes]
    record: re.Pattern[bytes]
    not_before: re.Pattern[bytes]


class SinceFilter:
    """Tell of each line whether it is of a time or later.

    Times of one zone are in the order of their texts. So for the dates of each stretch of the log
    there is a pattern, which is as fast as one that compares nothing.
    """

    def __init__(self, since_ns: int) -> None:
        self._since_ns = since_ns
        self._parser = TimestampParser()
        self._key: tuple[bytes, bytes, bytes] | None = None
        self._patterns: _Patterns | None = None

    def expect(self, records: bytes) -> None:
        """Prepare for a stretch of records: what has other dates or another zone takes longer."""
        last = records.rfind(b"\n", 0, -1) + 1
        head, _, zone = split_time(records[: records.find(b" ")])
        key = (head[:_DATE_BYTES], records[last : last + _DATE_BYTES], zone)
        if key != self._key:
            self._key, self._patterns = key, self._compiled(*key)

    def includes(self, time: bytes) -> bool:
        """Whether a time is in range; what is no time is not."""
        if self._patterns is not None:
            match = self._patterns.time.fullmatch(time)
            if match is not None:
                return match.lastindex is not None
        time_ns = self._parser.parse(time)
        return time_ns is not None and time_ns >= self._since_ns

    def are_before(self, records: bytes) -> bool:
        """Whether all records end a line and are out of range; False where that is not certain.

        Args:
            records: What was expected.
        """
        if self._patterns is None or not records.endswith(b"\n"):
            return False
        first = self._patterns.record.match(records)
        if first is None or first.lastindex is not None:
            return False
        return self._patterns.not_before.search(records, 0, len(records) - 1) is None

    def whole_lines(self, records: bytes) -> bytes | None:
        """Return the texts of those in range, all at once.

        Args:
            records: What was expected: whole records, each with its line end, none of them a part
                of a line.

        Returns:
            None when they are to be looked at one by one: there are other dates than of the first
            and the last, two zones, or what is no record.
        """
        if self._patterns is None:
            return None
        texts: list[bytes] = self._patterns.record.findall(records)
        # Records that are out of range match too, without a text: so nothing was passed over.
        return b"".join(texts) if len(texts) == records.count(b"\n") else None

    def _compiled(self, first: bytes, last: bytes, zone: bytes) -> _Patterns | None:
        try:
            dates = sorted({_date(first), _date(last)})
            since_date, _, since_time = self._since_in(zone).partition(b"T")
        except (ValueError, OverflowError):
            return None
        before, in_range = [], []
        for day in dates:
            if day > since_date:
                in_range.append(day + b"T" + _ANY_TIME)
            if day == since_date:
                in_range.append(day + b"T" + _not_before(since_time))
            if day <= since_date:
                before.append(day + b"T" + _ANY_TIME)
        shown, hidden = (_either(each) + re.escape(zone) for each in (in_range, before))
        of_record = b"^(?:" + shown + _TAG + rb"([^\n]*\n)|" + hidden + _TAG + rb"[^\n]*\n)"
        not_before = rb"\n(?:" + shown + b"|(?!" + hidden + _TAG + b"))"
        return _Patterns(
            time=re.compile(b"(" + shown + b")|" + hidden),
            record=re.compile(of_record, re.MULTILINE),
            not_before=re.compile(not_before),
        )

    def _since_in(self, zone: bytes) -> bytes:
        """Return the time that is asked for in a zone, without zeros at the end of its fraction."""
        offset = datetime.fromisoformat(f"1970-01-01T00:00:00{zone.decode('ascii')}").utcoffset()
        if offset is None or offset.microseconds:
            raise ValueError("no zone of RFC 3339")
        seconds, ns = divmod(self._since_ns, NS_PER_S)
        second = _EPOCH.replace(tzinfo=None) + offset + timedelta(seconds=seconds)
        fraction = f"{ns:0{FRACTION_DIGITS}}".rstrip("0")
        return f"{second.isoformat()}{'.' if fraction else ''}{fraction}".encode()


def _date(text: bytes) -> bytes:
    """Return a date as it is; ValueError for what is none."""
    return date.fromisoformat(text.decode("ascii")).isoformat().encode()


def _either(patterns: list[bytes]) -> bytes:
    return b"(?:" + b"|".join(patterns) + b")" if patterns else _NOTHING


def _any(start: int) -> bytes:
    """Return a pattern of whatever stands from a place of a time of day on."""
    places = _TIME_OF_DAY[start:]
    return b"".join(b":" if place == b":" else b"[0-" + place + b"]" for place in places)


def _not_before(time: bytes) -> bytes:
    """Return a pattern of the times of day from this one on, as text.

    At each place there is a larger digit, and what follows is free, or the same one.
    """
    seconds, _, fraction = time.partition(b".")
    pattern = _not_less(fraction)
    for at in reversed(range(len(seconds))):
        digit, largest = seconds[at : at + 1], _TIME_OF_DAY[at]
        pattern = digit + pattern
        if digit < largest:
            larger = b"[" + _next(digit) + b"-" + largest + b"]"
            pattern = b"(?:" + larger + _any(at + 1) + _FRACTION + b"|" + pattern + b")"
    return _NO_HOUR + pattern


def _not_less(fraction: bytes) -> bytes:
    if not fraction:
        return _FRACTION
    pattern = b"[0-9]*"
    for at in reversed(range(len(fraction))):
        digit = fraction[at : at + 1]
        pattern = digit + pattern
        if digit < b"9":
            pattern = b"(?:[" + _next(digit) + b"-9][0-9]*|" + pattern + b")"
    return rb"\." + pattern


def _next(digit: bytes) -> bytes:
    return b"%d" % (int(digit) + 1)
