"""Tests of edge_runtime/status/pod_start_times.py."""

from __future__ import annotations

from edge_runtime.objects.pod import PodUID
from edge_runtime.status.pod_start_times import PodStartTimes

UID = PodUID("u")


class _Times:
    """PodStartTimes on a clock of the test's own."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.told: list[float] = []
        self.starts = PodStartTimes(self.told.append, monotonic=lambda: self.now_s)


def test_a_start_is_told_once() -> None:
    """From the first status to the first Running one."""
    times = _Times()
    times.starts.first_seen(UID)
    times.starts.in_phase(UID, "Pending")
    times.now_s += 7
    times.starts.in_phase(UID, "Running")
    times.starts.in_phase(UID, "Running")
    assert times.told == [7.0]


def test_a_pod_that_an_earlier_process_saw_first_is_not_told() -> None:
    """Nobody knows how long it took."""
    times = _Times()
    times.starts.in_phase(UID, "Running")
    assert times.told == []


def test_a_pod_that_never_ran_is_not_told() -> None:
    """Neither one that was rejected nor one that was forgotten before."""
    times = _Times()
    times.starts.first_seen(UID)
    times.starts.in_phase(UID, "Failed")
    times.starts.in_phase(UID, "Running")
    times.starts.first_seen(UID)
    times.starts.forget(UID)
    times.starts.in_phase(UID, "Running")
    assert times.told == []
