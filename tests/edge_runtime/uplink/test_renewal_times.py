"""When a certificate is renewed: by numbers alone."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edge_runtime.uplink.renewal_times import (
    MAX_RECOVERY_RETRY_S,
    MAX_RETRY_S,
    Act,
    RenewalTime,
    compute_pause_s,
    compute_renewal,
    compute_retry_s,
)

DAY_S = 86400.0
TIMES = st.floats(min_value=0.0, max_value=4e9)
CHANCES = st.floats(min_value=0.0, max_value=1.0)


@pytest.mark.parametrize(
    ("now", "chance", "expected"),
    [
        (0.0, 0.0, RenewalTime(act=Act.WAIT, wait_s=21 * DAY_S)),
        (0.0, 1.0, RenewalTime(act=Act.WAIT, wait_s=27 * DAY_S)),
        (21 * DAY_S, 0.0, RenewalTime(act=Act.RENEW)),
        (21 * DAY_S, 0.5, RenewalTime(act=Act.WAIT, wait_s=3 * DAY_S)),
        (27 * DAY_S, 1.0, RenewalTime(act=Act.RENEW)),
        (30 * DAY_S, 1.0, RenewalTime(act=Act.RECOVER)),
        (300 * DAY_S, 0.0, RenewalTime(act=Act.RECOVER)),
    ],
)
def test_renewal_falls_between_70_and_90_percent_by_chance(
    now: float, chance: float, expected: RenewalTime
) -> None:
    """Of the life from when it came; what it is dated back does not count."""
    decided = compute_renewal(
        not_before=-300.0, not_after=30 * DAY_S, obtained_at=0.0, now=now, chance=chance
    )
    assert decided.act is expected.act
    assert decided.wait_s == pytest.approx(expected.wait_s)


@pytest.mark.parametrize("obtained_at", [-1e9, 1e9, 100.0 + 1e-9])
def test_time_that_the_file_cannot_have_does_not_count(obtained_at: float) -> None:
    """The clock was wrong then, or a backup was unpacked."""
    decided = compute_renewal(
        not_before=0.0, not_after=100.0, obtained_at=obtained_at, now=0.0, chance=0.0
    )
    assert decided.act is Act.WAIT
    assert decided.wait_s == pytest.approx(70.0)


@given(TIMES, TIMES, TIMES, TIMES, CHANCES)
def test_waiting_leads_to_a_renewal_before_the_end(
    not_before: float, not_after: float, obtained_at: float, now: float, chance: float
) -> None:
    """Whatever the times are, nobody waits for longer than the certificate lives."""
    assume(not_before + 1.0 < not_after)

    def decide(at: float) -> RenewalTime:
        return compute_renewal(
            not_before=not_before,
            not_after=not_after,
            obtained_at=obtained_at,
            now=at,
            chance=chance,
        )

    decided = decide(now)
    if now >= not_after:
        assert decided.act is Act.RECOVER
    elif decided.act is Act.WAIT:
        assert now + decided.wait_s < not_after
        assert decide(now + decided.wait_s + 1e-3).act is not Act.WAIT
    else:
        assert decided.act is Act.RENEW


@given(
    st.integers(min_value=1, max_value=10_000),
    st.floats(min_value=-1e9, max_value=1e9),
    st.floats(min_value=0.0, max_value=1.0, exclude_max=True),
)
def test_retries_are_bounded(failures: int, left_s: float, chance: float) -> None:
    """Never at once, never later than an hour, and soon when there is no certificate."""
    delay_s = compute_retry_s(failures=failures, left_s=left_s, chance=chance, is_final=False)
    assert 0.25 <= delay_s <= MAX_RETRY_S
    if left_s <= 0:
        assert delay_s <= MAX_RECOVERY_RETRY_S
    elif left_s > 5:
        assert delay_s <= left_s


def test_retries_grow_and_a_final_refusal_is_asked_again_slowly() -> None:
    """Exponentially from a second; a person needs longer than that."""
    delays = [
        compute_retry_s(failures=count, left_s=9 * DAY_S, chance=0.0, is_final=False)
        for count in (1, 2, 3, 30)
    ]
    assert delays == [1.0, 2.0, 4.0, 3600.0]
    assert compute_retry_s(failures=1, left_s=0.0, chance=0.9, is_final=True) >= 1800.0


@pytest.mark.parametrize(
    ("delay_s", "has_failed", "expected"),
    [
        (20 * DAY_S, False, 60.0),
        (3600.0, True, 600.0),
        (5.0, True, 5.0),
        (0.0, False, 0.0),
    ],
)
def test_time_is_looked_at_again_soon(delay_s: float, expected: float, *, has_failed: bool) -> None:
    """A clock that was set, or a machine that slept, is noticed within a minute."""
    assert compute_pause_s(delay_s, has_failed=has_failed) == expected
