"""Which lines are of a time or later, much at once and one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.logs.log_time import TimestampParser
from edge_runtime.logs.since_filter import SinceFilter

NS_PER_S = 1_000_000_000
SECOND_NS = 1767323045 * NS_PER_S  # 2026-01-02T03:04:05Z
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def parsed(time: bytes) -> int:
    """Return nanoseconds of a time that is one."""
    time_ns = TimestampParser().parse(time)
    assert time_ns is not None
    return time_ns


def record(time: bytes, text: bytes = b"x") -> bytes:
    """One record of a whole line."""
    return time + b" stdout F " + text + b"\n"


@st.composite
def two_days(draw: st.DrawFn) -> list[bytes]:
    """Times of one day or of two, with fractions of any width: what is compared all at once."""
    starts = draw(st.sampled_from([(0,), (0, 1), (0, 40)]))
    zone = draw(st.sampled_from([b"Z", b"+02:00", b"-03:30"]))
    place = st.integers(0, 86_399) | st.integers(43_198, 43_202)
    fraction = st.sampled_from([b"", b".0", b".5", b".50", b".123456789", b".12345678", b".99"])
    times = []
    for start in starts:
        day = NOON.replace(hour=0) + timedelta(days=start)
        for seconds, digits in draw(st.lists(st.tuples(place, fraction), min_size=1, max_size=8)):
            moment = day + timedelta(seconds=seconds)
            times.append(moment.strftime("%Y-%m-%dT%H:%M:%S").encode() + digits + zone)
    return times


@given(times=two_days(), data=st.data())
def test_all_at_once_is_the_same_as_one_by_one(times: list[bytes], data: st.DataObject) -> None:
    """Whatever time is asked for: one of them, or a nanosecond beside it."""
    nearby = st.sampled_from(times).map(parsed).flatmap(lambda at: st.integers(at - 1, at + 1))
    since_ns = data.draw(nearby | st.integers(SECOND_NS - 10**14, SECOND_NS + 10**15))
    # The first and the last record tell of which days they are.
    inner = data.draw(st.permutations(times[1:-1]))
    times = [*times[:1], *inner, *times[1:][-1:]]
    records = b"".join(record(time, b"%d stdout F" % at) for at, time in enumerate(times))
    wanted = [at for at, time in enumerate(times) if parsed(time) >= since_ns]
    unprepared, since = SinceFilter(since_ns), SinceFilter(since_ns)
    since.expect(records)
    assert since.whole_lines(records) == b"".join(b"%d stdout F\n" % at for at in wanted)
    assert since.are_before(records) == (not wanted)
    for each in (since, unprepared):
        assert [at for at, time in enumerate(times) if each.includes(time)] == wanted


@pytest.mark.parametrize(
    "odd",
    [
        record(b"2026-01-02T03:04:09+00:00"),
        record(b"2026-01-02T24:04:05Z"),
        record(b"2026-01-02T03:60:05Z"),
        record(b"2026-01-02T03:04:05.Z"),
        record(b"2026-01-03T03:04:05Z"),
        b"2026-01-02T03:04:05Z stdout P x\n",
        b"2026-01-02T03:04:05Z other F x\n",
        b"2026-01-02T03:04:05Z\n",
        b"garbage\n",
        b"\n",
    ],
)
def test_what_is_not_certain_is_left_to_be_looked_at(odd: bytes) -> None:
    """Between ordinary records: another zone or day, no time, a part, no record."""
    for second in (b"2026-01-02T03:04:01Z", b"2026-01-02T03:04:59Z"):
        records = record(second) + odd + record(second)
        since = SinceFilter(SECOND_NS)
        since.expect(records)
        assert since.whole_lines(records) is None
        assert not since.are_before(records)


def test_a_zone_with_a_fraction_is_compared_one_by_one() -> None:
    """RFC 3339 has none, but whoever can write into the log folder can."""
    records = record(b"2026-01-02T03:04:05.5+01:00:00.500000")
    since = SinceFilter(SECOND_NS)
    since.expect(records)
    assert since.whole_lines(records) is None
    assert not since.includes(b"2026-01-02T03:04:05.5+01:00:00.500000")
    assert since.includes(b"2026-01-02T03:04:05.5Z")


@pytest.mark.parametrize("end", [b"garbage\n", b"2026-13-02T03:04:05Z stdout F x\n", b"\n"])
def test_nothing_is_certain_where_the_days_are_not(end: bytes) -> None:
    """Neither of garbage at the end nor of garbage at the start."""
    ordinary = record(b"2026-01-02T03:04:01Z")
    for records in (ordinary + end, end + ordinary):
        since = SinceFilter(SECOND_NS)
        since.expect(records)
        assert since.whole_lines(records) is None
        assert not since.are_before(records)
        assert since.includes(b"2026-01-02T03:04:05Z")
        assert not since.includes(b"2026-01-02T03:04:04.9Z")


@pytest.mark.parametrize(("since_ns", "is_wanted"), [(-(10**21), True), (10**21, False)])
def test_a_time_beyond_all_years(since_ns: int, is_wanted: bool) -> None:
    """It is earlier or later than all there is."""
    records = record(b"2026-01-02T03:04:05Z")
    since = SinceFilter(since_ns)
    since.expect(records)
    assert since.whole_lines(records) is None
    assert since.includes(b"2026-01-02T03:04:05Z") is is_wanted


def test_what_is_no_time_is_not_in_range() -> None:
    """However far back is asked for."""
    since = SinceFilter(0)
    for text in (b"", b"garbage", b"2026-01-02T03:04:05", b"2026-02-30T03:04:05Z", b"\xff"):
        assert not since.includes(text)
