"""The delays between dials."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.uplink.backoff import GOOD_AFTER_S, GREETING_BYTES, Backoff


def test_bound_doubles_up_to_the_cap() -> None:
    """Without jitter (chance 0) the delays are the bounds themselves."""
    backoff = Backoff()

    delays = [backoff.next_delay_s(now=0, chance=0.0) for _ in range(8)]

    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30]


def lose_one(backoff: Backoff, *, at: float, after_s: float = 0.0, received_bytes: int = 0) -> None:
    """Lose a connection at a time that had lasted so long and brought so much."""
    backoff.attached(now=at - after_s)
    backoff.lost(now=at, received_bytes=received_bytes)


@pytest.mark.parametrize(
    ("after_s", "received_bytes"), [(GOOD_AFTER_S, 0), (0.0, GREETING_BYTES + 1)]
)
def test_good_connection_starts_the_delays_anew(after_s: float, received_bytes: int) -> None:
    """One that lasted, or carried something: its loss is answered quickly."""
    backoff = Backoff()
    for _ in range(8):
        backoff.next_delay_s(now=0, chance=0.0)

    lose_one(backoff, at=1000.0, after_s=after_s, received_bytes=received_bytes)

    assert backoff.next_delay_s(now=1000.0, chance=0.0) == 0.5


def test_connection_that_ends_after_its_upgrade_is_a_failed_dial() -> None:
    """A provider that fails behind its 101 is not dialled at once for ever."""
    backoff = Backoff()
    delays = []
    for number in range(8):
        lose_one(backoff, at=10.0 * number, received_bytes=GREETING_BYTES)
        delays.append(backoff.next_delay_s(now=10.0 * number, chance=0.0))

    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_failed_connections_do_not_make_a_loss_recent_again() -> None:
    """Two minutes after the last good one, those that failed since are waited for like others."""
    backoff = Backoff()
    lose_one(backoff, at=1000.0, after_s=60.0)
    for _ in range(8):
        backoff.next_delay_s(now=1000.0, chance=0.0)

    lose_one(backoff, at=1119.0)
    soon = backoff.next_delay_s(now=1119.0, chance=0.0)
    lose_one(backoff, at=1121.0)
    later = backoff.next_delay_s(now=1121.0, chance=0.0)

    assert (soon, later) == (2.0, 30.0)


def test_delays_stay_small_for_two_minutes_after_a_loss() -> None:
    """After a cut of 90 s the node must be Ready within 10 s of the heal."""
    backoff = Backoff()
    lose_one(backoff, at=1000.0, after_s=60.0)

    soon = [backoff.next_delay_s(now=1000.0 + t, chance=0.0) for t in range(0, 119, 2)]
    later = backoff.next_delay_s(now=1120.0, chance=0.0)

    assert max(soon) == 2.0
    assert later == 30.0


def test_delays_stay_small_while_the_session_can_be_resumed() -> None:
    """However long ago it was lost."""
    backoff = Backoff()

    delays = [backoff.next_delay_s(now=0, chance=0.0, resumable=True) for _ in range(8)]

    assert max(delays) == 2.0


@given(
    st.lists(st.floats(min_value=0, max_value=1, exclude_max=True), min_size=1, max_size=100),
    st.booleans(),
)
def test_delay_is_positive_and_capped(chances: list[float], lost: bool) -> None:
    """Full jitter: anything between nothing (excluded) and the bound."""
    backoff = Backoff()
    if lost:
        lose_one(backoff, at=0.0, after_s=60.0)
    for chance in chances:
        assert 0 < backoff.next_delay_s(now=1.0, chance=chance) <= (2.0 if lost else 30.0)


def test_final_refusal_is_tried_again_slowly() -> None:
    """Even soon after a loss: a person has to do something first."""
    backoff = Backoff()
    lose_one(backoff, at=0.0, after_s=60.0)

    delays = [
        backoff.next_delay_s(now=0.0, chance=0.0, resumable=True, is_final=True) for _ in range(12)
    ]

    assert delays[0] == 0.5
    assert delays[-1] == 300.0
