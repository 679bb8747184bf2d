"""The guard in front of h2: lengths, header blocks, floods."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunnel.errors import ExcessiveLoad, FrameTooLarge
from tunnel.frames import (
    FRAME_HEADER_BYTES,
    IDLE_FRAMES_BURST,
    IDLE_FRAMES_PER_S,
    MAX_FRAME_BYTES,
    MAX_HEADER_BLOCK_BYTES,
    PREFACE,
    FrameGuard,
)

END_STREAM, END_HEADERS = 0x1, 0x4
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    0,
    1,
    3,
    4,
    6,
    7,
    8,
    9,
)


def frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream_id: int = 1) -> bytes:
    """Write one HTTP/2 frame."""
    return (
        len(payload).to_bytes(3, "big")
        + bytes([kind, flags])
        + stream_id.to_bytes(4, "big")
        + payload
    )


def client_guard() -> FrameGuard:
    """Make a guard of what a server sends."""
    return FrameGuard(from_client=False)


@pytest.mark.parametrize("length", [MAX_FRAME_BYTES + 1, (1 << 24) - 1])
def test_too_long_frame_is_refused_at_its_header(length: int) -> None:
    """Nine bytes are enough to know."""
    guard = client_guard()
    header = length.to_bytes(3, "big") + bytes([DATA, 0]) + (1).to_bytes(4, "big")
    guard.receive_data(memoryview(header[:-1]), now=0.0)
    with pytest.raises(FrameTooLarge, match=str(length)):
        guard.receive_data(memoryview(header[-1:]), now=0.0)


def test_the_longest_frame_passes() -> None:
    """16 KiB of payload are allowed."""
    guard = client_guard()
    guard.receive_data(memoryview(frame(DATA, bytes(MAX_FRAME_BYTES)) * 3), now=0.0)


def test_header_block_without_end_is_refused() -> None:
    """The sum over HEADERS and CONTINUATION counts, and a new block starts anew."""
    guard = FrameGuard(from_client=True)
    guard.receive_data(memoryview(PREFACE), now=0.0)
    part = bytes(MAX_FRAME_BYTES)
    whole = frame(HEADERS, part) + frame(CONTINUATION, part, flags=0x4)
    guard.receive_data(memoryview(whole * 4), now=0.0)
    guard.receive_data(memoryview(frame(HEADERS, part) + frame(CONTINUATION, part) * 3), now=0.0)
    with pytest.raises(ExcessiveLoad, match=str(MAX_HEADER_BLOCK_BYTES)):
        guard.receive_data(memoryview(frame(CONTINUATION, b"x")), now=0.0)


@pytest.mark.parametrize(
    "idle",
    [
        frame(PING, bytes(8)),
        frame(SETTINGS, b"", stream_id=0),
        frame(RST_STREAM, bytes(4)),
        frame(WINDOW_UPDATE, b"\0\0\0\1"),
        frame(DATA),
        frame(DATA, flags=END_STREAM),
        frame(CONTINUATION),
        frame(0x20, b"unknown"),
    ],
)
def test_flood_is_refused_and_a_trickle_is_not(idle: bytes) -> None:
    """Frames that carry nothing of a call: a burst, then so many per second."""
    guard = client_guard()
    guard.receive_data(memoryview(idle * IDLE_FRAMES_BURST), now=0.0)
    for second in range(1, 4):
        guard.receive_data(memoryview(idle * IDLE_FRAMES_PER_S), now=float(second))
    with pytest.raises(ExcessiveLoad, match="carry nothing"):
        guard.receive_data(memoryview(idle), now=3.0)


def test_calls_are_no_flood() -> None:
    """New streams and their bytes cost nothing, heads of the server are earned by requests."""
    guard = FrameGuard(from_client=True)
    guard.receive_data(memoryview(PREFACE), now=0.0)
    for number in range(IDLE_FRAMES_BURST + 10):
        stream_id = 2 * number + 1
        call = frame(HEADERS, b"x", flags=0x4, stream_id=stream_id) + frame(DATA, b"x") * 2
        guard.receive_data(memoryview(call + frame(DATA, flags=0x1)), now=0.0)
    guard = client_guard()
    for _ in range(IDLE_FRAMES_BURST + 10):
        guard.request_sent()
        guard.receive_data(memoryview(frame(HEADERS, b"x", flags=0x4)), now=0.0)


def test_heads_on_an_old_stream_are_a_flood() -> None:
    """Only a stream's first head opens it."""
    guard = FrameGuard(from_client=True)
    guard.receive_data(memoryview(PREFACE), now=0.0)
    head = frame(HEADERS, b"x", flags=0x4, stream_id=5)
    with pytest.raises(ExcessiveLoad):
        guard.receive_data(memoryview(head * (IDLE_FRAMES_BURST + 2)), now=0.0)


@pytest.mark.parametrize("from_client", [True, False])
def test_every_stream_may_be_ended_once(from_client: bool) -> None:
    """By an empty frame too; those above cost what other frames without a call cost."""
    guard = FrameGuard(from_client=from_client)
    guard.receive_data(memoryview(PREFACE if from_client else b""), now=0.0)
    end = frame(DATA, flags=END_STREAM)
    streams = 100
    for number in range(streams):
        if from_client:
            head = frame(HEADERS, b"x", flags=END_HEADERS, stream_id=2 * number + 1)
            guard.receive_data(memoryview(head), now=0.0)
        else:
            guard.request_sent()
            guard.receive_data(memoryview(frame(HEADERS, b"x", flags=END_HEADERS)), now=0.0)
    guard.receive_data(memoryview(end * streams), now=0.0)
    # The burst is whole yet, but for what the server's last head took.
    guard.receive_data(memoryview(end * (IDLE_FRAMES_BURST - 1)), now=0.0)
    with pytest.raises(ExcessiveLoad, match="carry nothing"):
        guard.receive_data(memoryview(end * 2), now=0.0)


def test_a_request_without_a_body_has_ended_already() -> None:
    """And what streams that were reset leave does not add up without end."""
    guard = FrameGuard(from_client=True)
    guard.receive_data(memoryview(PREFACE), now=0.0)
    flags = END_HEADERS | END_STREAM
    for number in range(100):
        head = frame(HEADERS, b"x", flags=flags, stream_id=2 * number + 1)
        guard.receive_data(memoryview(head), now=0.0)
    end = frame(DATA, flags=END_STREAM)
    guard.receive_data(memoryview(end * IDLE_FRAMES_BURST), now=0.0)
    with pytest.raises(ExcessiveLoad):
        guard.receive_data(memoryview(end), now=0.0)
    other = client_guard()
    for _ in range(3 * IDLE_FRAMES_BURST):
        other.request_sent()
    with pytest.raises(ExcessiveLoad):
        # What is given above the burst for heads is lost with the first frame that takes one.
        other.receive_data(memoryview(end * (4 * IDLE_FRAMES_BURST + 1)), now=0.0)


@given(st.binary(max_size=60), st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_goaway_is_the_last_that_is_judged(behind: bytes, cuts: list[int]) -> None:
    """A piece ends with it, wherever the bytes were cut, and nothing behind it is a fault."""
    guard = client_guard()
    before = frame(PING, bytes(8)) + frame(GOAWAY, bytes(8) + b"why")
    sent = before + b"\xff\xff\xff" + behind
    ends, position, cut = set(), 0, 0
    while position < len(sent):
        piece = sent[position : position + cuts[cut % len(cuts)]]
        runs = guard.receive_data(memoryview(piece), now=0.0)
        assert [0, *(end for _, _, end in runs)] == [*(start for _, start, _ in runs), len(piece)]
        ends |= {position + end for _, _, end in runs}
        position += len(piece)
        cut += 1
    assert len(before) in ends


def test_answers_to_our_data_are_no_flood() -> None:
    """A peer may answer each DATA frame with a window update or a RST_STREAM."""
    guard = client_guard()
    for _ in range(IDLE_FRAMES_BURST + 10):
        guard.data_sent(10)
        guard.receive_data(memoryview(frame(WINDOW_UPDATE, b"\0\0\0\1")), now=0.0)


@given(
    st.lists(st.tuples(st.sampled_from([DATA, PING]), st.integers(0, 3000)), max_size=30),
    st.lists(st.integers(0, 100_000), max_size=20),
)
def test_cutting_changes_nothing(frames: list[tuple[int, int]], cuts: list[int]) -> None:
    """A header is found wherever the bytes were cut: the long frame at the end is always seen."""
    wire = PREFACE + b"".join(frame(kind, bytes(size)) for kind, size in frames)
    long = (MAX_FRAME_BYTES + 1).to_bytes(3, "big") + bytes(6)
    edges = sorted({cut % len(wire) for cut in cuts} | {0, len(wire)})
    guard = FrameGuard(from_client=True)
    for start, end in itertools.pairwise(edges):
        guard.receive_data(memoryview(wire)[start:end], now=0.0)
    guard.receive_data(memoryview(long[: FRAME_HEADER_BYTES - 1]), now=0.0)
    with pytest.raises(FrameTooLarge):
        guard.receive_data(memoryview(long[FRAME_HEADER_BYTES - 1 :]), now=0.0)


def test_frame_full_of_settings_counts_for_each() -> None:
    """Four such frames would cost as much as ten thousand others."""
    guard = client_guard()
    full = frame(SETTINGS, bytes(2_700 * 6), stream_id=0)
    for _ in range(IDLE_FRAMES_BURST // 2_700):
        guard.receive_data(memoryview(full), now=0.0)
    with pytest.raises(ExcessiveLoad):
        guard.receive_data(memoryview(full), now=0.0)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([DATA, HEADERS, PING, WINDOW_UPDATE]), st.integers(0, 40), st.booleans()
        ),
        max_size=12,
    ),
    st.lists(st.integers(1, 60), min_size=1, max_size=12),
)
def test_plain_data_is_found_whatever_the_cutting(
    frames: list[tuple[int, int, bool]], cuts: list[int]
) -> None:
    """All bytes are named once and in order; what is named is whole: plain DATA, and updates."""
    guard = FrameGuard(from_client=False)
    sent = b"".join(
        frame(kind, bytes(size), flags=END_HEADERS if kind == HEADERS else int(ended), stream_id=5)
        for kind, size, ended in frames
    )
    passed, position, cut = b"", 0, 0
    while position < len(sent):
        piece = memoryview(sent)[position : position + cuts[cut % len(cuts)]]
        last = 0
        for stream_id, start, end in guard.receive_data(memoryview(piece), now=0.0):
            assert start == last < end
            last = end
            passed += piece[start:end]
            if stream_id:
                head = bytes(piece[start : start + FRAME_HEADER_BYTES])
                assert abs(stream_id) == 5
                assert head[3] == (DATA if stream_id > 0 else WINDOW_UPDATE)
                assert head[4] == 0 or stream_id < 0
                length = int.from_bytes(head[:3], "big")
                assert length == end - start - FRAME_HEADER_BYTES > 0
                assert length == 4 or stream_id > 0
        assert last == len(piece)
        position += len(piece)
        cut += 1
    assert passed == sent
