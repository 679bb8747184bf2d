"""Tokens are renewed as a kubelet renews them, and asked for again with growing patience."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.tokens.renewal_times import (
    MAX_RETRY_S,
    compute_renewal_age_s,
    compute_retry_s,
    compute_wait_s,
)

HOUR_S, DAY_S = 3600.0, 86400.0


@pytest.mark.parametrize(
    ("life_s", "chance", "age_s"),
    [
        (3607.0, 0.0, 2885.6),
        (3607.0, 0.5, 2880.6),
        (600.0, 0.0, 480.0),
        # A token of a year, as for old clients, is renewed each day.
        (365 * DAY_S, 0.0, DAY_S),
        (30 * HOUR_S, 0.0, DAY_S),
        (29 * HOUR_S, 0.0, 0.8 * 29 * HOUR_S),
        (1.0, 0.9, 0.0),
    ],
)
def test_four_fifths_of_the_life_or_a_day(life_s: float, chance: float, age_s: float) -> None:
    """Whichever comes first, up to ten seconds earlier."""
    assert compute_renewal_age_s(life_s=life_s, chance=chance) == pytest.approx(age_s)


@pytest.mark.parametrize(
    ("now_s", "wait_s"),
    [
        (1000.0, 2880.0),  # just issued
        (2000.0, 1880.0),
        (3880.0, 0.0),  # due
        (99999.0, 0.0),  # long expired
        (0.0, 0.0),  # this machine believes it is 1970
    ],
)
def test_wait_goes_by_the_token_s_age(now_s: float, wait_s: float) -> None:
    """A clock by which it was not even issued cannot tell its age, so it is renewed."""
    found = compute_wait_s(issued_at_s=1000.0, expires_at_s=4600.0, now_s=now_s, chance=0.0)
    assert found == pytest.approx(wait_s)


@given(
    issued=st.floats(0, 1e10),
    life=st.floats(0, 1e9),
    now=st.floats(-1e10, 1e11),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_wait_is_never_negative_nor_beyond_a_day(
    issued: float, life: float, now: float, chance: float
) -> None:
    """Whatever the clocks say."""
    wait_s = compute_wait_s(
        issued_at_s=issued, expires_at_s=issued + life, now_s=now, chance=chance
    )
    assert 0.0 <= wait_s <= DAY_S


def test_patience_doubles_up_to_ten_minutes() -> None:
    """An edge that is offline for a month asks nobody anything; one whose want was lost, soon."""
    assert [compute_retry_s(attempts=n) for n in (1, 2, 3)] == [10.0, 20.0, 40.0]
    assert compute_retry_s(attempts=10_000) == MAX_RETRY_S == 600.0
