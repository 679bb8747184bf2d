"""The CRI log format, decoded."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.logs.cri_log import (
    MAX_RECORD_BYTES,
    LogDecoder,
    LogOptions,
    count_back,
)
from edge_runtime.logs.log_time import fixed_width

TIME = "2026-01-02T03:04:05"
RECORDS = (
    f"{TIME}.1Z stdout F one\n"
    f"{TIME}.2Z stderr F two\n"
    f"{TIME}.3Z stdout P thr\n"
    f"{TIME}.4Z stdout F ee\n"
    f"{TIME}.5Z stdout F \n"
    f"{TIME}.6Z stdout F:x six\n"
).encode()
SECOND_NS = 1767323045 * 1_000_000_000


def decode(data: bytes, options: LogOptions | None = None, *, piece: int = 1 << 20) -> bytes:
    """Decode a whole file, handed over in pieces."""
    decoder = LogDecoder(options or LogOptions())
    output = b""
    for start in range(0, len(data), piece):
        output += decoder.receive_data(data[start : start + piece])
    return output + decoder.finish()


def test_parts_of_a_line_are_joined() -> None:
    """The text comes as the container wrote it, both streams in the order of the file."""
    assert decode(RECORDS) == b"one\ntwo\nthree\n\nsix\n"


def test_timestamps_have_nine_digits_and_stand_before_whole_lines() -> None:
    """A line of several parts has the time of its first one."""
    times = [f"{TIME}.{digit}00000000Z " for digit in (1, 2, 3, 5, 6)]
    lines = [
        f"{time}{text}\n"
        for time, text in zip(times, ["one", "two", "three", "", "six"], strict=True)
    ]
    assert decode(RECORDS, LogOptions(timestamps=True)) == "".join(lines).encode()


def test_one_stream() -> None:
    """The other stream's lines are left out."""
    assert decode(RECORDS, LogOptions(stream="stderr")) == b"two\n"
    assert decode(RECORDS, LogOptions(stream="stdout")) == b"one\nthree\n\nsix\n"


@pytest.mark.parametrize(
    ("since_ns", "expected"),
    [
        (SECOND_NS, b"one\ntwo\nthree\n\nsix\n"),
        (SECOND_NS + 200_000_000, b"two\nthree\n\nsix\n"),
        (SECOND_NS + 350_000_000, b"\nsix\n"),
        (SECOND_NS + 700_000_000, b""),
    ],
)
def test_since(since_ns: int, expected: bytes) -> None:
    """Whole lines of this time or later; a line counts by its first part."""
    assert decode(RECORDS, LogOptions(since_ns=since_ns)) == expected


def test_since_with_a_clock_that_was_ahead_and_was_set_back() -> None:
    """One line of the future does not let all that follows through; each has its own time."""
    seconds = [1, 59, 2, 20, 3, 21]
    records = "".join(f"2026-01-02T03:04:{at:02}Z stdout F {at}\n" for at in seconds).encode()
    since_ns = SECOND_NS + 10 * 1_000_000_000
    assert decode(records, LogOptions(since_ns=since_ns)) == b"59\n20\n21\n"
    assert decode(records, LogOptions(since_ns=since_ns), piece=7) == b"59\n20\n21\n"


def test_a_line_of_parts_is_shown_or_not_as_its_first_part() -> None:
    """Also where the clock jumps between its parts."""
    records = (
        b"2026-01-02T03:04:01Z stdout P a\n2026-01-02T03:04:09Z stdout F b\n"
        b"2026-01-02T03:04:09Z stdout P c\n2026-01-02T03:04:01Z stdout F d\n"
    )
    since_ns = SECOND_NS
    for piece in (1, 20, 40, 70, 1000):
        assert decode(records, LogOptions(since_ns=since_ns), piece=piece) == b"cd\n"


def test_a_limit_cuts_in_the_middle_and_ends() -> None:
    """Not a byte more than asked for, whatever the pieces were."""
    decoder = LogDecoder(LogOptions(limit_bytes=6))
    assert decoder.receive_data(RECORDS) == b"one\ntw"
    assert decoder.is_exhausted
    assert decoder.receive_data(RECORDS) == b""


def test_parts_of_two_streams_do_not_mix_up_their_times() -> None:
    """Each stream has an open line of its own."""
    records = (
        f"{TIME}Z stdout P a\n{TIME}Z stderr P x\n{TIME}Z stdout F b\n{TIME}Z stderr F y\n"
    ).encode()
    assert decode(records, LogOptions(stream="stderr")) == b"xy\n"
    shown = decode(records, LogOptions(stream="stderr", timestamps=True))
    assert shown == f"{TIME}.000000000Z xy\n".encode()


def test_what_is_no_record_is_left_out() -> None:
    """A torn or foreign line does not hide the others."""
    torn = b"garbage\n" + RECORDS[:20] + b"\n\n" + RECORDS
    assert decode(torn) == decode(RECORDS)
    assert decode(torn, LogOptions(timestamps=True)) == decode(RECORDS, LogOptions(timestamps=True))


def test_a_last_line_without_end_is_shown_at_the_end() -> None:
    """The container may have died while it wrote."""
    decoder = LogDecoder(LogOptions())
    assert decoder.receive_data(f"{TIME}Z stdout F las".encode()) == b""
    assert decoder.finish() == b"las"


def test_a_record_without_end_is_not_kept_for_ever() -> None:
    """A file of something else cannot fill the memory."""
    decoder = LogDecoder(LogOptions())
    for _ in range(40):
        assert decoder.receive_data(b"x" * (MAX_RECORD_BYTES // 8)) == b""
    assert len(decoder._rest) <= MAX_RECORD_BYTES
    assert decoder.receive_data(b"x\n" + RECORDS) == decode(RECORDS)


@given(
    piece=st.integers(1, 60),
    timestamps=st.booleans(),
    limit=st.none() | st.integers(1, 40),
    since=st.none() | st.integers(0, 7),
)
def test_the_pieces_do_not_matter(
    piece: int, timestamps: bool, limit: int | None, since: int | None
) -> None:
    """Any boundaries of the reads give the same output."""
    options = LogOptions(
        timestamps=timestamps,
        limit_bytes=limit,
        since_ns=None if since is None else SECOND_NS + since * 100_000_000,
    )
    assert decode(RECORDS, options, piece=piece) == decode(RECORDS, options)


@given(
    lines=st.lists(
        st.tuples(st.sampled_from(["stdout", "stderr"]), st.binary(max_size=40)), max_size=20
    )
)
def test_any_text_comes_back(lines: list[tuple[str, bytes]]) -> None:
    """Whatever bytes a container writes, spaces and words of the format included."""
    texts = [text.replace(b"\n", b"") for _, text in lines]
    file = b"".join(
        f"{TIME}Z {stream} F ".encode() + text + b"\n"
        for (stream, _), text in zip(lines, texts, strict=True)
    )
    assert decode(file) == b"".join(text + b"\n" for text in texts)


@given(tail=st.integers(1, 12), is_unfinished=st.booleans())
def test_counting_back_finds_the_last_lines(tail: int, is_unfinished: bool) -> None:
    """Lines of several parts count once, an unfinished one too."""
    file = RECORDS + (f"{TIME}Z stdout P unfinished\n".encode() if is_unfinished else b"")
    offset, missing = count_back(file, tail, is_end=True)
    lines = decode(file).splitlines(keepends=True)
    assert decode(file[offset:]) == b"".join(lines[-tail:])
    assert missing == max(tail - len(lines), 0)


# Clocks that jump, zones, dates, fractions of any width: what a log may hold, garbage too.
INSTANTS_NS = st.one_of(
    st.integers(-3, 3).map(lambda step: SECOND_NS + step),
    st.integers(-3, 3).map(lambda step: SECOND_NS + step * 100_000_000),
    st.integers(-100_000, 100_000).map(lambda step: SECOND_NS + step * 1_000_000_000),
    st.integers(-(10**14), 10**14).map(lambda step: SECOND_NS + step),
)
ZONES = st.sampled_from([0, 0, 0, 0, 120, 60, -210])


def stamp(time_ns: int, zone_min: int) -> bytes:
    """Write a time as a runtime does, without zeros at the end of its fraction."""
    second, ns = divmod(time_ns, 1_000_000_000)
    local = datetime.fromtimestamp(second + zone_min * 60, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{ns:09}".rstrip("0").removesuffix(".")
    hours, minutes = divmod(abs(zone_min), 60)
    zone = f"{'-' if zone_min < 0 else '+'}{hours:02}:{minutes:02}" if zone_min else "Z"
    return f"{local}{fraction}{zone}".encode()


@st.composite
def timed_logs(draw: st.DrawFn) -> list[tuple[int | None, str, str, int]]:
    """Times, streams and tags of records, and their zones; None for what has no time."""
    zones = st.just(0) if draw(st.booleans()) else ZONES
    times = INSTANTS_NS if draw(st.booleans()) else st.none() | INSTANTS_NS
    streams = st.sampled_from(["stdout", "stdout", "stderr"])
    tags = st.just("F") if draw(st.booleans()) else st.sampled_from("FFP")
    return draw(st.lists(st.tuples(times, streams, tags, zones), max_size=12))


def compared_each(
    log: list[tuple[int | None, str, str, int]], options: LogOptions
) -> tuple[bytes, list[bytes]]:
    """Return such a log, and of each record what is shown when its line's time is compared."""
    records, shown = [], []
    open_lines: dict[str, bool] = {}
    for at, (time_ns, stream, tag, zone_min) in enumerate(log):
        # A day that is none in the form of one that is.
        text = b"2026-02-30T99:04:05Z" if time_ns is None else stamp(time_ns, zone_min)
        records.append(text + f" {stream} {tag} {at} {stream} F\n".encode())
        is_start = stream not in open_lines
        is_shown = open_lines.get(stream, False)
        if is_start:
            is_late = time_ns is not None and time_ns >= (options.since_ns or 0)
            is_shown = is_late and options.stream in {None, stream}
        if is_shown:
            prefix = fixed_width(text) + b" " if options.timestamps and is_start else b""
            end = "" if tag == "P" else "\n"
            shown.append(prefix + f"{at} {stream} F{end}".encode())
        open_lines.pop(stream, None)
        if tag == "P":
            open_lines[stream] = is_shown
    return b"".join(records), shown


@given(
    log=timed_logs(),
    since_ns=INSTANTS_NS,
    piece=st.integers(1, 200) | st.just(1 << 20),
    timestamps=st.booleans(),
    stream=st.sampled_from([None, None, "stdout", "stderr"]),
)
@settings(max_examples=1000)
def test_since_is_compared_for_each_line(
    log: list[tuple[int | None, str, str, int]],
    since_ns: int,
    piece: int,
    timestamps: bool,
    stream: str | None,
) -> None:
    """As a kubelet does, whichever way the clocks went and however the file was read."""
    options = LogOptions(since_ns=since_ns, timestamps=timestamps, stream=stream)
    records, shown = compared_each(log, options)
    assert decode(records, options, piece=piece) == b"".join(shown)
