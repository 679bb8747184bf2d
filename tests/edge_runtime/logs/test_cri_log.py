"""The CRI log format, decoded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.logs.cri_log import (
    MAX_RECORD_BYTES,
    LogDecoder,
    LogOptions,
    TimestampParser,
    count_back,
    fixed_width,
)

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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"2026-01-02T03:04:05Z", SECOND_NS),
        (b"2026-01-02T03:04:05.000000001Z", SECOND_NS + 1),
        (b"2026-01-02T05:04:05.5+02:00", SECOND_NS + 500_000_000),
        (b"2026-01-02T03:04:05", None),
        (b"nonsense", None),
        (b"", None),
        (b"\xff", None),
    ],
)
def test_times(text: bytes, expected: int | None) -> None:
    """Nanoseconds, with the zone of the machine or without."""
    assert TimestampParser().parse(text) == expected


def test_fixed_width_keeps_the_zone() -> None:
    """As a kubelet prints it."""
    assert fixed_width(b"2026-01-02T03:04:05.25+02:00") == b"2026-01-02T03:04:05.250000000+02:00"
    assert fixed_width(b"2026-01-02T03:04:05Z") == b"2026-01-02T03:04:05.000000000Z"


@given(tail=st.integers(1, 12), is_unfinished=st.booleans())
def test_counting_back_finds_the_last_lines(tail: int, is_unfinished: bool) -> None:
    """Lines of several parts count once, an unfinished one too."""
    file = RECORDS + (f"{TIME}Z stdout P unfinished\n".encode() if is_unfinished else b"")
    offset, missing = count_back(file, tail, is_end=True)
    lines = decode(file).splitlines(keepends=True)
    assert decode(file[offset:]) == b"".join(lines[-tail:])
    assert missing == max(tail - len(lines), 0)
