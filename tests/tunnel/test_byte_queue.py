"""The queue of bytes under every stream."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunnel.byte_queue import GATHER_BELOW_BYTES, ByteQueue

_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "put view", "own", "take", "pieces"]),
        st.integers(0, 3 * GATHER_BELOW_BYTES),
    ),
    max_size=60,
)


@given(_STEPS)
def test_bytes_come_out_as_they_went_in(steps: list[tuple[str, int]]) -> None:
    """In order, none lost, none doubled, whatever the sizes."""
    queue = ByteQueue()
    put, taken = bytearray(), bytearray()
    for number, (step, size) in enumerate(steps):
        if step.startswith("put"):
            data = bytes([number]) * size
            queue.put(data if step == "put" else memoryview(data))
            put += data
            continue
        if step == "own":
            queue.own()
            continue
        waiting = queue.size
        if step == "pieces":
            out = b"".join(queue.take_pieces(size))
            assert len(out) == min(size, waiting)
        else:
            out = queue.take(size + 1)
            assert bool(out) == bool(waiting)
            assert len(out) <= size + 1
        taken += out
        assert queue.size == len(put) - len(taken)
    taken += b"".join(queue.take_pieces(queue.size))
    assert taken == put


def test_large_piece_is_not_copied() -> None:
    """Neither on the way in nor, where it fits, on the way out."""
    queue = ByteQueue()
    data = bytes(50_000)
    queue.put(data)
    assert queue.take(65_536) is data


def test_frames_are_joined_and_not_cut() -> None:
    """As many as fit; what is left keeps its place."""
    queue = ByteQueue()
    frames = [bytes([number]) * 16_320 for number in range(6)]
    for frame in frames:
        queue.put(memoryview(frame))
    assert queue.take(65_536) == b"".join(frames[:4])
    assert queue.take(10_000) == frames[4][:10_000]
    assert queue.take(65_536) == frames[4][10_000:] + frames[5]


def test_owned_pieces_keep_nothing_larger() -> None:
    """A view keeps what it is a view of, its copy does not."""
    queue = ByteQueue()
    message = bytearray(65_536)
    queue.put(memoryview(message)[: GATHER_BELOW_BYTES + 1])
    with pytest.raises(BufferError):
        message.clear()
    queue.own()
    message.clear()
    assert queue.take(65_536) == bytes(GATHER_BELOW_BYTES + 1)


@given(
    st.lists(st.integers(1, 20_000), min_size=1, max_size=30),
    st.sampled_from([bytes, memoryview, "gathered"]),
)
def test_what_is_left_of_a_piece_keeps_little_more_than_itself(
    sizes: list[int], kind: type | str
) -> None:
    """A few bytes of 64 KiB must not keep all of them, and are not copied at each cut either."""
    queue = ByteQueue()
    message = bytes(64 << 10)
    if kind == "gathered":
        for start in range(0, 16 << 10, 1 << 10):
            queue.put(message[start : start + (1 << 10)])
    else:
        queue.put(kind(message) if kind is memoryview else message)
    copied = 0
    for size in sizes:
        queue.take_pieces(size)
        for piece in queue._pieces:
            kept = memoryview(piece.obj).nbytes if type(piece) is memoryview else len(piece)
            assert kept <= 4 * len(piece)
            copied += len(piece) if type(piece) is bytes and piece is not message else 0
    assert copied <= 64 << 10


def test_many_small_pieces_cost_little_more_than_their_bytes() -> None:
    """A hundred thousand single bytes."""
    queue = ByteQueue()
    for _ in range(100_000):
        queue.put(b"x")
    assert sum(sys.getsizeof(piece) for piece in queue._pieces) < 150_000


def test_taken_pieces_never_change() -> None:
    """What was gathered and partly taken is not gathered into."""
    queue = ByteQueue()
    queue.put(b"abc")
    first = queue.take_pieces(1)
    queue.put(b"def")
    assert b"".join(first) == b"a"
    assert queue.take(10) == b"bcdef"
    queue.put(b"x")
    queue.clear()
    assert queue.size == 0
    assert queue.take(1) == b""
