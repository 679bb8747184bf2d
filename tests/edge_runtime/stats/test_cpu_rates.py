"""Rates come from two readings of the same group, and from nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.stats.cpu_rates import MIN_INTERVAL_NS, CpuRates

_S = 1_000_000_000


def test_the_first_reading_has_no_rate() -> None:
    """A guess would be shown as use."""
    assert CpuRates().put("/a", usage_ns=5 * _S, at_ns=100 * _S) is None


def test_a_rate_is_the_use_per_second_between_two_readings() -> None:
    """200m for ten seconds are two core-seconds."""
    rates = CpuRates()
    rates.put("/a", usage_ns=5 * _S, at_ns=100 * _S)
    assert rates.put("/a", usage_ns=7 * _S, at_ns=110 * _S) == 200_000_000


def test_a_counter_that_goes_back_begins_anew() -> None:
    """A group that was made again has no negative use."""
    rates = CpuRates()
    rates.put("/a", usage_ns=5 * _S, at_ns=100 * _S)
    rates.put("/a", usage_ns=6 * _S, at_ns=110 * _S)
    assert rates.put("/a", usage_ns=1 * _S, at_ns=120 * _S) is None
    assert rates.put("/a", usage_ns=2 * _S, at_ns=130 * _S) == 100_000_000


def test_readings_at_nearly_the_same_moment_keep_the_rate() -> None:
    """Dividing by next to nothing would show ticks as load."""
    rates = CpuRates()
    rates.put("/a", usage_ns=0, at_ns=0)
    rates.put("/a", usage_ns=_S, at_ns=10 * _S)
    assert rates.put("/a", usage_ns=_S + 4_000_000, at_ns=10 * _S + 1) == 100_000_000


def test_a_group_that_is_gone_is_forgotten() -> None:
    """Pods come and go for months."""
    rates = CpuRates()
    rates.put("/a", usage_ns=_S, at_ns=_S)
    rates.put("/b", usage_ns=_S, at_ns=_S)
    rates.end_round()
    rates.put("/b", usage_ns=2 * _S, at_ns=2 * _S)
    rates.end_round()
    assert rates.put("/a", usage_ns=2 * _S, at_ns=3 * _S) is None
    assert rates.put("/b", usage_ns=3 * _S, at_ns=3 * _S) == _S


@given(
    readings=st.lists(
        st.tuples(st.integers(0, 1 << 62), st.integers(0, 100 * MIN_INTERVAL_NS)), max_size=20
    )
)
def test_no_rate_is_ever_negative(readings: list[tuple[int, int]]) -> None:
    """Whatever the counters do."""
    rates, at_ns = CpuRates(), 0
    for usage_ns, later_ns in readings:
        at_ns += later_ns
        rate = rates.put("/a", usage_ns=usage_ns, at_ns=at_ns)
        assert rate is None or rate >= 0
