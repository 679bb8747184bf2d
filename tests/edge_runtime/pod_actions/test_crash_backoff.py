"""When a crashed container may start again."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.objects.container import Container
from edge_runtime.pod_actions.crash_backoff import (
    MAX_DELAY_S,
    CrashBackoff,
    backoff_key,
    backoff_until,
    next_backoff,
)


def test_delays_double_up_to_five_minutes() -> None:
    """The first restart is immediate; then 10, 20 … 300 seconds from the end of the container."""
    backoff: CrashBackoff | None = None
    now_s, delays = 1000.0, []
    for _ in range(8):
        until_s = backoff_until(backoff, key="k", finished_at_s=now_s)
        delays.append(0.0 if until_s is None else until_s - now_s)
        started_s = now_s if until_s is None else until_s
        backoff = next_backoff(backoff, key="k", finished_at_s=now_s, now_s=started_s)
        now_s = started_s + 1
    assert delays == [0, 10, 20, 40, 80, 160, 300, 300]


def test_ten_minutes_of_running_reset_the_delay() -> None:
    """Counted from when the delay last grew to when the container ended."""
    backoff = CrashBackoff(key="k", delay_s=160, updated_at_s=1000)
    assert backoff_until(backoff, key="k", finished_at_s=1600) == 1760
    assert backoff_until(backoff, key="k", finished_at_s=1601) is None
    again = next_backoff(backoff, key="k", finished_at_s=1601, now_s=1601)
    assert again.delay_s == 10


def test_changed_container_has_no_delay() -> None:
    """A new image may work."""
    backoff = CrashBackoff(key="old", delay_s=160, updated_at_s=1000)
    assert backoff_until(backoff, key="new", finished_at_s=1001) is None
    assert next_backoff(backoff, key="new", finished_at_s=1001, now_s=1001).delay_s == 10


def test_key_is_of_name_image_and_resources() -> None:
    """Nothing else starts a new back-off."""
    one = Container({"name": "c", "image": "i", "resources": {"limits": {"cpu": "1"}}})
    same = Container({**one.raw, "env": [{"name": "A", "value": "b"}]})
    other = Container({**one.raw, "image": "j"})
    assert backoff_key(one) == backoff_key(same) != backoff_key(other)


@settings(deadline=None)
@given(st.lists(st.floats(min_value=0.0, max_value=599.0), max_size=20))
def test_delay_never_falls_while_the_container_keeps_crashing(runs_s: list[float]) -> None:
    """Nor grows beyond its bound."""
    backoff: CrashBackoff | None = None
    now_s, last = 0.0, 0.0
    for run_s in runs_s:
        finished_at_s = now_s + run_s
        until_s = backoff_until(backoff, key="k", finished_at_s=finished_at_s)
        now_s = finished_at_s if until_s is None else until_s
        backoff = next_backoff(backoff, key="k", finished_at_s=finished_at_s, now_s=now_s)
        assert last <= backoff.delay_s <= MAX_DELAY_S
        last = backoff.delay_s
