"""Receive windows and their budget."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunnel.flow import (
    CONNECTION_WINDOW_BYTES,
    MAX_WINDOW_BYTES,
    MIN_ROUND_TRIP_S,
    START_WINDOW_BYTES,
    ReceiveFlow,
    compute_growth,
    connection_credit,
)

SLOTS = 4


def small_flow(budget_bytes: int = SLOTS * START_WINDOW_BYTES) -> ReceiveFlow:
    """Make a flow of four slots."""
    return ReceiveFlow(budget_bytes=budget_bytes, max_streams=SLOTS)


def taken(
    flow: ReceiveFlow, stream_id: int, size: int, *, now: float, round_trip_s: float | None
) -> int:
    """Take bytes as a stream's owner does, and return the credit that the peer gets."""
    if not flow.taken(stream_id, size):
        return 0
    return flow.credit(stream_id, now=now, round_trip_s=round_trip_s)


def test_credit_comes_back_when_the_reader_takes() -> None:
    """But not in crumbs."""
    flow = small_flow()
    flow.open(1, now=0.0)
    quarter = START_WINDOW_BYTES // 4
    assert taken(flow, 1, quarter - 1, now=9.0, round_trip_s=None) == 0
    assert taken(flow, 1, 1, now=9.0, round_trip_s=None) == quarter
    assert taken(flow, 1, 3 * quarter, now=9.0, round_trip_s=None) == 3 * quarter


def test_nothing_is_asked_of_a_reader_that_takes_crumbs() -> None:
    """Neither the time nor credit, until a quarter is owed; a closed stream is owed nothing."""
    flow = small_flow()
    flow.open(1, now=0.0)
    assert not flow.taken(1, START_WINDOW_BYTES // 4 - 1)
    assert flow.taken(1, 1)
    flow.close(1)
    assert not flow.taken(1, START_WINDOW_BYTES)


def test_window_grows_while_it_is_the_limit() -> None:
    """Taken once per round trip: it doubles up to 16 MiB, and the increase is granted at once."""
    flow = ReceiveFlow(budget_bytes=64 << 20, max_streams=SLOTS)
    flow.open(1, now=0.0)
    now, sizes = 0.0, []
    for _ in range(12):
        size = flow.window_bytes(1)
        now += 0.1
        credit = taken(flow, 1, size, now=now, round_trip_s=0.1)
        sizes.append(flow.window_bytes(1))
        assert credit == flow.window_bytes(1)
    assert sizes[:4] == [128 << 10, 256 << 10, 512 << 10, 1 << 20]
    assert sizes[-1] == MAX_WINDOW_BYTES


def test_slow_reader_keeps_a_small_window() -> None:
    """Also when a burst fills its buffer faster than the link's round trip."""
    flow = ReceiveFlow(budget_bytes=64 << 20, max_streams=SLOTS)
    flow.open(1, now=0.0)
    now = 0.0
    for _ in range(10):
        for _ in range(4):
            now += 0.06
            taken(flow, 1, START_WINDOW_BYTES // 4, now=now, round_trip_s=0.1)
    assert flow.window_bytes(1) == START_WINDOW_BYTES


def test_nothing_grows_before_the_first_round_trip() -> None:
    """No measure, no growth."""
    flow = ReceiveFlow(budget_bytes=64 << 20, max_streams=SLOTS)
    flow.open(1, now=0.0)
    taken(flow, 1, START_WINDOW_BYTES, now=0.0, round_trip_s=None)
    assert flow.window_bytes(1) == START_WINDOW_BYTES


def test_growth_leaves_room_for_every_free_slot() -> None:
    """The budget is never promised twice."""
    flow = small_flow(budget_bytes=(SLOTS + 1) * START_WINDOW_BYTES)
    flow.open(1, now=0.0)
    for _ in range(3):
        size = flow.window_bytes(1)
        taken(flow, 1, size, now=0.0, round_trip_s=1.0)
    assert flow.window_bytes(1) == 2 * START_WINDOW_BYTES
    for stream_id in (3, 5, 7):
        flow.open(stream_id, now=0.0)
    assert flow.granted_bytes == (SLOTS + 1) * START_WINDOW_BYTES


@pytest.mark.parametrize(
    ("elapsed_s", "round_trip_s", "spare_bytes", "increase"),
    [
        (0.1, 0.1, 1 << 20, 1000),
        (0.19, 0.1, 1 << 20, 1000),
        (0.2, 0.1, 1 << 20, 0),
        (0.0, 0.0, 1 << 20, 1000),
        (2 * MIN_ROUND_TRIP_S, 0.0, 1 << 20, 0),
        (0.1, 0.1, 10, 10),
        (0.1, 0.1, 0, 0),
        (0.1, 0.1, -5, 0),
    ],
)
def test_compute_growth(
    elapsed_s: float, round_trip_s: float, spare_bytes: int, increase: int
) -> None:
    """Two round trips are the limit, the budget another."""
    growth = compute_growth(
        window_bytes=1000,
        elapsed_s=elapsed_s,
        round_trip_s=round_trip_s,
        spare_bytes=spare_bytes,
    )
    assert growth == increase


def test_connection_credit_comes_in_quarters() -> None:
    """One frame for 4 MiB, not one for each message."""
    quarter = CONNECTION_WINDOW_BYTES // 4
    assert connection_credit(CONNECTION_WINDOW_BYTES) == 0
    assert connection_credit(CONNECTION_WINDOW_BYTES - quarter + 1) == 0
    assert connection_credit(CONNECTION_WINDOW_BYTES - quarter) == quarter
    assert connection_credit(0) == CONNECTION_WINDOW_BYTES


def test_slots_are_bounded() -> None:
    """More streams than slots, or the same twice, is our own fault."""
    flow = small_flow()
    for stream_id in (1, 3, 5):
        flow.open(stream_id, now=0.0)
    with pytest.raises(AssertionError):
        flow.open(5, now=0.0)
    flow.open(7, now=0.0)
    with pytest.raises(AssertionError):
        flow.open(9, now=0.0)
    flow.close(7)
    flow.close(7)
    flow.open(9, now=0.0)
    with pytest.raises(ValueError, match="too small"):
        small_flow(budget_bytes=SLOTS * START_WINDOW_BYTES - 1)


_STEP = st.tuples(
    st.sampled_from(["open", "close", *("arrive", "take") * 3]),
    st.integers(1, SLOTS + 2),
    st.floats(0, 1),
)


@given(
    st.lists(_STEP, max_size=8) | st.lists(_STEP, min_size=60, max_size=200),
    st.integers(SLOTS * START_WINDOW_BYTES, 20 * START_WINDOW_BYTES),
)
def test_budget_holds_whatever_happens(
    steps: list[tuple[str, int, float]], budget_bytes: int
) -> None:
    """What peers may send and what is buffered never exceed the budget; new streams always fit."""
    flow = ReceiveFlow(budget_bytes=budget_bytes, max_streams=SLOTS)
    credit: dict[int, int] = {}
    buffered: dict[int, int] = {}
    now = 0.0
    for step, stream_id, share in steps:
        now += share / 100
        is_open = stream_id in credit
        if step == "open" and not is_open and len(credit) < SLOTS:
            flow.open(stream_id, now=now)
            credit[stream_id], buffered[stream_id] = START_WINDOW_BYTES, 0
        elif step == "close":
            flow.close(stream_id)
            credit.pop(stream_id, None)
            buffered.pop(stream_id, None)
        elif step == "arrive" and is_open:
            size = int(credit[stream_id] * share)
            credit[stream_id] -= size
            buffered[stream_id] += size
        elif step == "take" and is_open:
            size = int(buffered[stream_id] * share)
            credit[stream_id] += taken(flow, stream_id, size, now=now, round_trip_s=share)
            buffered[stream_id] -= size
        for each in credit:
            assert credit[each] + buffered[each] <= flow.window_bytes(each) <= MAX_WINDOW_BYTES
        free = SLOTS - len(credit)
        assert flow.granted_bytes + free * START_WINDOW_BYTES <= budget_bytes


def test_nothing_grows_into_what_ended_streams_left_unread() -> None:
    """A caller who stopped at the end of a log holds memory that is not there for windows."""
    flow = ReceiveFlow(budget_bytes=(SLOTS + 2) * START_WINDOW_BYTES, max_streams=SLOTS)
    flow.open(1, now=0.0)
    for unread_windows, expected_windows in ((2, 1), (1, 2), (1, 2), (0, 3)):
        assert flow.taken(1, flow.window_bytes(1))
        unread_bytes = unread_windows * START_WINDOW_BYTES
        flow.credit(1, now=0.0, round_trip_s=1.0, unread_bytes=unread_bytes)
        assert flow.window_bytes(1) == expected_windows * START_WINDOW_BYTES
