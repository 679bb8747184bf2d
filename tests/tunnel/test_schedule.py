"""Whose frame is next: nobody starves, and who writes little goes first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunnel.schedule import MAX_AHEAD_BYTES, MAX_FRAME_BYTES, SMALL_BURST_BYTES, Schedule


def turn(schedule: Schedule, *, size: int = MAX_FRAME_BYTES, more: bool = True) -> int:
    """Take one turn."""
    stream_id = schedule.next()
    assert stream_id is not None
    schedule.sent(stream_id, size, more=more)
    return stream_id


def make_bulk(schedule: Schedule, *stream_ids: int) -> None:
    """Let streams send so much that they count as bulk."""
    for stream_id in stream_ids:
        schedule.ready(stream_id)
        assert turn(schedule) == stream_id
        assert turn(schedule) == stream_id
        assert schedule.next() == stream_id
        schedule.blocked(stream_id)


def test_bulk_streams_take_turns() -> None:
    """One frame each, in the same order again and again."""
    schedule = Schedule()
    make_bulk(schedule, 1, 3, 5)
    for stream_id in (1, 3, 5):
        schedule.ready(stream_id)
    assert [turn(schedule) for _ in range(7)] == [1, 3, 5, 1, 3, 5, 1]


def test_small_writes_go_before_bulk() -> None:
    """A keystroke's echo waits for one frame at most."""
    schedule = Schedule()
    make_bulk(schedule, 1, 3)
    schedule.ready(1)
    schedule.ready(3)
    assert turn(schedule) == 1
    schedule.ready(9)
    assert turn(schedule, size=40, more=False) == 9
    assert turn(schedule) == 3
    schedule.ready(9)
    assert turn(schedule, size=40, more=False) == 9


def test_stream_that_was_bulk_is_small_again_after_a_small_burst() -> None:
    """A terminal that dumped a file is a terminal again."""
    schedule = Schedule()
    make_bulk(schedule, 1, 3)
    schedule.ready(3)
    schedule.ready(1)
    assert [turn(schedule), turn(schedule, more=False)] == [3, 1]
    schedule.ready(1)
    assert [turn(schedule), turn(schedule, size=10, more=False)] == [3, 1]
    schedule.ready(1)
    assert turn(schedule, size=10, more=False) == 1


def test_bulk_does_not_starve_behind_many_small_writers() -> None:
    """After 64 KiB of others it has its turn."""
    schedule = Schedule()
    make_bulk(schedule, 1)
    schedule.ready(1)
    for stream_id in range(3, 400, 2):
        schedule.ready(stream_id)
    ahead = 0
    while turn_of := turn(schedule, size=4096, more=False):
        if turn_of == 1:
            break
        schedule.ready(turn_of)
        ahead += 4096
    assert ahead == MAX_AHEAD_BYTES


def test_tiny_writers_cannot_overtake_for_ever() -> None:
    """A turn counts for something however small its frame is."""
    schedule = Schedule()
    make_bulk(schedule, 1)
    schedule.ready(1)
    schedule.ready(3)
    turns = 0
    while turn(schedule, size=1, more=False) == 3:
        schedule.ready(3)
        turns += 1
    assert turns <= MAX_AHEAD_BYTES // 512


def test_ready_twice_is_ready_once() -> None:
    """A place in the queue is kept."""
    schedule = Schedule()
    schedule.ready(1)
    schedule.ready(3)
    schedule.ready(1)
    assert [turn(schedule, size=1, more=False) for _ in range(2)] == [1, 3]
    assert schedule.next() is None


def test_forgotten_streams_get_no_turn() -> None:
    """Queued in either queue, or not at all."""
    schedule = Schedule()
    make_bulk(schedule, 1)
    schedule.ready(1)
    schedule.ready(3)
    for stream_id in (1, 3, 3, 99):
        schedule.forget(stream_id)
    assert schedule.next() is None
    schedule.ready(1)
    assert turn(schedule, size=1, more=False) == 1


def test_giving_up_a_turn_that_one_has_not_is_our_fault() -> None:
    """It would leave the stream queued twice."""
    schedule = Schedule()
    schedule.ready(1)
    with pytest.raises(AssertionError):
        schedule.blocked(1)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ready", "turn", "drain", "block", "forget"]),
            st.integers(1, 6),
            st.integers(0, MAX_FRAME_BYTES),
        ),
        max_size=300,
    )
)
def test_no_stream_waits_for_ever(steps: list[tuple[str, int, int]]) -> None:
    """A queued stream gets a turn before the others have sent what the bounds allow."""
    schedule = Schedule()
    waiting: dict[int, int] = {}  # stream -> bytes that others sent since it queued
    for step, stream_id, size in steps:
        if step == "ready":
            schedule.ready(stream_id)
            waiting.setdefault(stream_id, 0)
            continue
        if step == "forget":
            schedule.forget(stream_id)
            waiting.pop(stream_id, None)
            continue
        turn_of = schedule.next()
        assert (turn_of is None) == (not waiting)
        if turn_of is None:
            continue
        waiting.pop(turn_of)
        if step == "block":
            schedule.blocked(turn_of)
            continue
        schedule.sent(turn_of, size, more=step == "turn")
        for each in waiting:
            waiting[each] += size
        if step == "turn":
            waiting[turn_of] = 0
        bound = 6 * (MAX_AHEAD_BYTES + 2 * MAX_FRAME_BYTES) + SMALL_BURST_BYTES
        assert all(overtaken <= bound for overtaken in waiting.values())
