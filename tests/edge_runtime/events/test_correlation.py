"""Which events are the same, and which are too many."""

from __future__ import annotations

import dataclasses

from edge_runtime.events.correlation import (
    BURST,
    MAX_ENTRIES,
    MAX_SIMILAR,
    REFILL_INTERVAL_S,
    EventCorrelation,
    EventKey,
)

KEY = EventKey(uid="u", field_path="", event_type="Warning", reason="Failed", message="m")


def _key(message: str, uid: str = "u") -> EventKey:
    return dataclasses.replace(KEY, message=message, uid=uid)


def test_an_object_has_a_burst_and_then_one_every_five_minutes() -> None:
    """A crash loop must not flood the API."""
    correlation = EventCorrelation()
    kept = [correlation.correlate(KEY, now_s=0.0) for _ in range(BURST + 5)]
    assert kept == [KEY] * BURST + [None] * 5
    assert correlation.correlate(KEY, now_s=REFILL_INTERVAL_S) == KEY
    assert correlation.correlate(KEY, now_s=REFILL_INTERVAL_S + 1) is None
    assert correlation.correlate(_key("m", uid="other"), now_s=0.0) is not None


def test_many_similar_events_become_one() -> None:
    """The eleventh wording within ten minutes counts under a common key."""
    correlation = EventCorrelation()
    for index in range(MAX_SIMILAR):
        assert correlation.correlate(_key(f"m{index}"), now_s=1.0) == _key(f"m{index}")
    assert correlation.correlate(_key("new"), now_s=2.0) == _key("")
    assert correlation.correlate(_key("newer"), now_s=2.0) == _key("")
    assert correlation.correlate(_key("m3"), now_s=2.0) == _key("m3")


def test_similar_events_are_forgotten_after_a_quiet_time() -> None:
    """Ten minutes without one."""
    correlation = EventCorrelation()
    for index in range(MAX_SIMILAR + 1):
        correlation.correlate(_key(f"m{index}"), now_s=0.0)
    assert correlation.correlate(_key("new"), now_s=601.0) == _key("new")


def test_tables_are_bounded() -> None:
    """Any number of pods leaves at most so many entries."""
    correlation = EventCorrelation()
    for index in range(MAX_ENTRIES + 10):
        correlation.correlate(_key("m", uid=str(index)), now_s=0.0)
    assert len(correlation._buckets) == len(correlation._similar) == MAX_ENTRIES
