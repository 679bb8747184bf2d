"""The buckets hold, whatever the order and the time between requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.edge_link.rate_limit import MAX_SOURCES, Rate, RequestLimit, TokenBucket, source_of


def test_a_burst_passes_and_then_it_drips() -> None:
    """What is told as the wait is exactly it."""
    bucket = TokenBucket(Rate(burst=3, per_s=0.5), now=100.0)
    assert [bucket.take(now=100.0) for _ in range(4)] == [0.0, 0.0, 0.0, 2.0]
    assert bucket.take(now=101.0) == 1.0
    assert bucket.take(now=102.0) == 0.0
    assert bucket.take(now=102.0) == 2.0


def test_a_long_rest_gives_a_burst_and_no_more() -> None:
    """Nobody saves up."""
    bucket = TokenBucket(Rate(burst=2, per_s=1.0), now=0.0)
    granted = [bucket.take(now=1e6) for _ in range(3)]
    assert granted == [0.0, 0.0, 1.0]


@given(
    gaps=st.lists(st.floats(min_value=-1.0, max_value=30.0), max_size=200),
    burst=st.integers(min_value=1, max_value=20),
    per_s=st.floats(min_value=0.01, max_value=10.0),
)
def test_no_pattern_gets_more_than_the_rate(gaps: list[float], burst: int, per_s: float) -> None:
    """Over any time: the burst, and what dripped meanwhile."""
    bucket = TokenBucket(Rate(burst=burst, per_s=per_s), now=0.0)
    now, granted, elapsed = 0.0, 0, 0.0
    for gap in gaps:
        now += gap
        elapsed += max(0.0, gap)
        wait_s = bucket.take(now=now)
        granted += wait_s == 0.0
        assert 0.0 <= wait_s <= 1.0 / per_s
        assert granted <= burst + elapsed * per_s + 1e-6


def test_one_source_does_not_use_up_anothers() -> None:
    """Nor what there is for all: whoever is over the limit costs nothing more."""
    limit = RequestLimit(source=Rate(burst=2, per_s=0.1), overall=Rate(burst=5, per_s=0.1), now=0.0)
    passed = [limit.take("192.0.2.1", now=0.0) == 0.0 for _ in range(10_000)]
    assert sum(passed) == 2
    assert limit.take("192.0.2.2", now=0.0) == 0.0


def test_all_together_are_limited_too() -> None:
    """Many addresses are no way round it."""
    limit = RequestLimit(source=Rate(burst=2, per_s=0.1), overall=Rate(burst=5, per_s=0.1), now=0.0)
    passed = [limit.take(f"192.0.2.{number}", now=0.0) == 0.0 for number in range(100)]
    assert sum(passed) == 5


def test_what_is_remembered_is_bounded() -> None:
    """Whoever asked longest ago is forgotten; the newest are not."""
    rate = Rate(burst=1, per_s=0.001)
    limit = RequestLimit(source=rate, overall=Rate(burst=10**6, per_s=1.0), now=0.0)
    for number in range(MAX_SOURCES * 2):
        limit.take(f"source {number}", now=0.0)
    assert limit.source_count == MAX_SOURCES
    assert limit.take(f"source {MAX_SOURCES * 2 - 1}", now=0.0) > 0.0


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_whom_an_address_stands_for(address: str, source: str) -> None:
    """A network of IPv6 addresses is one customer."""
    assert source_of(address) == source
