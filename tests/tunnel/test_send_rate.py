"""How fast the link takes what is sent, and what may wait below at that rate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunnel.schedule import MAX_FRAME_BYTES
from tunnel.send_rate import (
    MAX_UNSENT_BYTES,
    MIN_UNSENT_BYTES,
    SAMPLE_BYTES,
    SAMPLE_S,
    SendRate,
    compute_unsent_limit,
)

MUCH = 1 << 40


@pytest.mark.parametrize(
    ("bytes_per_s", "limit_bytes"),
    [
        (0.0, MIN_UNSENT_BYTES),
        (1e6, MIN_UNSENT_BYTES),
        (12.5e6, 37_500),
        (1e9, MAX_UNSENT_BYTES),
    ],
)
def test_three_milliseconds_of_the_rate_may_wait(bytes_per_s: float, limit_bytes: int) -> None:
    """Never less than a turn, never more than 64 KiB."""
    assert compute_unsent_limit(bytes_per_s) == limit_bytes


def test_the_least_limit_has_room_for_a_turn() -> None:
    """A smaller one would let no DATA frame out at all."""
    assert MIN_UNSENT_BYTES - 1 >= MAX_FRAME_BYTES + 9


def test_a_slow_link_shortens_the_queue() -> None:
    """100 Mbit/s, an ACK every 256 KiB."""
    rate = SendRate()
    for count in range(4):
        rate.acknowledged(
            acknowledged_bytes=count * 262_144, sent_bytes=MUCH, now=count * 262_144 / 12.5e6
        )
    assert rate.unsent_limit_bytes == pytest.approx(37_500, abs=1)


def test_a_fast_link_changes_nothing() -> None:
    """ACKs come every third of a millisecond there."""
    rate = SendRate()
    for count in range(1000):
        rate.acknowledged(
            acknowledged_bytes=count * 262_144, sent_bytes=MUCH, now=count * 262_144 / 8e8
        )
    assert rate.unsent_limit_bytes == MAX_UNSENT_BYTES


def test_a_link_that_had_nothing_to_do_is_not_taken_for_slow() -> None:
    """All is acknowledged, then nothing is sent for a while."""
    rate = SendRate()
    rate.acknowledged(acknowledged_bytes=0, sent_bytes=MUCH, now=0.0)
    rate.acknowledged(acknowledged_bytes=100, sent_bytes=100, now=0.1)
    rate.acknowledged(acknowledged_bytes=1_000_000, sent_bytes=MUCH, now=100.0)
    assert rate.unsent_limit_bytes == MAX_UNSENT_BYTES


def test_keystrokes_say_nothing_about_the_rate() -> None:
    """One is always under way, but they are too few to measure by."""
    rate = SendRate()
    for count in range(1000):
        rate.acknowledged(acknowledged_bytes=count, sent_bytes=count + 1, now=count * 0.1)
    assert rate.unsent_limit_bytes == MAX_UNSENT_BYTES


def test_another_connection_is_measured_anew() -> None:
    """It may be another carrier."""
    rate = SendRate()
    rate.acknowledged(acknowledged_bytes=0, sent_bytes=MUCH, now=0.0)
    rate.acknowledged(acknowledged_bytes=SAMPLE_BYTES, sent_bytes=MUCH, now=1.0)
    assert rate.unsent_limit_bytes == MIN_UNSENT_BYTES
    rate.restart()
    assert rate.unsent_limit_bytes == MAX_UNSENT_BYTES
    rate.acknowledged(acknowledged_bytes=10 * SAMPLE_BYTES, sent_bytes=MUCH, now=1 + SAMPLE_S)
    assert rate.unsent_limit_bytes == MAX_UNSENT_BYTES


@given(st.lists(st.tuples(st.integers(0, 1 << 30), st.integers(0, 1 << 20), st.floats(0, 100))))
def test_the_limit_keeps_its_bounds(acks: list[tuple[int, int, float]]) -> None:
    """Whatever is acknowledged when."""
    rate = SendRate()
    count, now = 0, 0.0
    for size, under_way, elapsed_s in acks:
        count, now = count + size, now + elapsed_s
        rate.acknowledged(acknowledged_bytes=count, sent_bytes=count + under_way, now=now)
        assert MIN_UNSENT_BYTES <= rate.unsent_limit_bytes <= MAX_UNSENT_BYTES
