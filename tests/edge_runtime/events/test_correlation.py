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


def _key(message: str, uid: str = "u", **fields: str) -> EventKey:
    return dataclasses.replace(KEY, message=message, uid=uid, **fields)


COMBINED = dataclasses.replace(KEY, message="")


def test_an_object_has_a_burst_and_then_one_every_five_minutes() -> None:
    """A crash loop must not flood the API."""
    correlation = EventCorrelation()
    told = [correlation.admit(KEY, now_s=0.0) for _ in range(BURST + 5)]
    assert told == [True] * BURST + [False] * 5
    assert correlation.admit(KEY, now_s=REFILL_INTERVAL_S)
    assert not correlation.admit(KEY, now_s=REFILL_INTERVAL_S + 1)


def test_other_objects_and_other_types_have_their_own_burst() -> None:
    """Warnings without end leave room for what goes well."""
    correlation = EventCorrelation()
    for _ in range(BURST + 1):
        correlation.admit(KEY, now_s=0.0)
    assert correlation.admit(_key("m", uid="other"), now_s=0.0)
    assert correlation.admit(_key("m", event_type="Normal"), now_s=0.0)
    assert not correlation.admit(_key("m", reason="Unhealthy"), now_s=0.0)


def test_many_similar_events_become_one() -> None:
    """The tenth wording within ten minutes counts under a common key."""
    correlation = EventCorrelation()
    for index in range(MAX_SIMILAR - 1):
        assert correlation.combine(_key(f"m{index}"), now_s=1.0) == _key(f"m{index}")
    assert correlation.combine(_key("new"), now_s=2.0) == COMBINED
    assert correlation.combine(_key("newer"), now_s=2.0) == COMBINED
    assert correlation.combine(_key("m3"), now_s=2.0) == _key("m3")


def test_containers_of_one_pod_are_combined() -> None:
    """Whichever of them an event speaks of; another reason is another matter."""
    correlation = EventCorrelation()
    for index in range(MAX_SIMILAR):
        correlation.combine(_key(f"m{index}", field_path="spec.containers{a}"), now_s=0.0)
    assert correlation.combine(_key("m", field_path="spec.containers{b}"), now_s=0.0) == COMBINED
    assert correlation.combine(_key("m", reason="Killing"), now_s=0.0).message == "m"


def test_similar_events_are_forgotten_after_a_quiet_time() -> None:
    """Ten minutes without one."""
    correlation = EventCorrelation()
    for index in range(MAX_SIMILAR + 1):
        correlation.combine(_key(f"m{index}"), now_s=0.0)
    assert correlation.combine(_key("new"), now_s=601.0) == _key("new")


def test_tables_are_bounded() -> None:
    """Any number of pods leaves at most so many entries."""
    correlation = EventCorrelation()
    for index in range(MAX_ENTRIES + 10):
        key = _key("m", uid=str(index))
        correlation.combine(key, now_s=0.0)
        correlation.admit(key, now_s=0.0)
    assert len(correlation._buckets) == len(correlation._similar) == MAX_ENTRIES
