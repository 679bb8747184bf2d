"""A pod only moves forward, and its grace period only shrinks."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.objects.pod import Pod
from edge_runtime.pods.pod_work import PodWork, WorkState
from tests.fakes.edge_pods import deleted, pod_json

POD = Pod(pod_json())


def _deleted(grace_period_s: int) -> Pod:
    return Pod(deleted(pod_json(), grace_period_s=grace_period_s))


def test_deletion_begins_the_end_with_its_grace_period() -> None:
    """And at least one second."""
    work = PodWork(pod=POD).updated(_deleted(7))
    assert (work.state, work.grace_period_s) == (WorkState.TERMINATING, 7)
    assert PodWork(pod=POD).updated(_deleted(0)).grace_period_s == 1


def test_spec_gives_the_grace_period_where_the_deletion_does_not() -> None:
    """As the kubelet does."""
    pod = pod_json()
    pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert PodWork(pod=POD).updated(Pod(pod)).grace_period_s == 5


def test_forgotten_pod_gets_one_second() -> None:
    """Nobody is left to ask for more."""
    work = PodWork(pod=POD).forgotten()
    assert (work.state, work.grace_period_s) == (WorkState.TERMINATING, 1)
    assert work.is_unwanted


def test_finished_pod_ends_but_is_still_wanted() -> None:
    """Its logs and exit codes are."""
    work = PodWork(pod=POD).finished().advanced(WorkState.TERMINATED)
    assert not work.is_unwanted
    with pytest.raises(AssertionError, match="still wanted"):
        work.advanced(WorkState.GONE)
    assert work.updated(_deleted(3)).advanced(WorkState.GONE).state is WorkState.GONE


@pytest.mark.parametrize(
    ("start", "to"),
    [
        (WorkState.SYNC, WorkState.TERMINATED),
        (WorkState.SYNC, WorkState.SYNC),
        (WorkState.TERMINATING, WorkState.SYNC),
        (WorkState.TERMINATED, WorkState.TERMINATING),
        (WorkState.GONE, WorkState.SYNC),
    ],
)
def test_no_state_is_skipped_and_none_comes_back(start: WorkState, to: WorkState) -> None:
    """Such a move would be a bug of ours."""
    with pytest.raises(AssertionError):
        PodWork(pod=POD, state=start, is_forgotten=True).advanced(to)


_steps = st.one_of(
    st.tuples(st.just("delete"), st.integers(0, 100)),
    st.tuples(st.sampled_from(["update", "forget", "finish", "advance"]), st.just(0)),
)


@settings(deadline=None)
@given(st.lists(_steps, max_size=20))
def test_any_order_of_updates_only_moves_forward(steps: list[tuple[str, int]]) -> None:
    """States never go back, grace periods never grow."""
    work = PodWork(pod=POD)
    order = list(WorkState)
    for name, grace_period_s in steps:
        before = work
        match name:
            case "delete":
                work = work.updated(_deleted(grace_period_s))
            case "update":
                work = work.updated(POD)
            case "forget":
                work = work.forgotten()
            case "finish":
                work = work.finished()
            case _:
                can_go = work.state is not WorkState.TERMINATED or work.is_unwanted
                if work.state not in (WorkState.SYNC, WorkState.GONE) and can_go:
                    work = work.advanced(order[order.index(work.state) + 1])
        assert order.index(work.state) >= order.index(before.state)
        assert work.is_ending or not before.is_ending
        if before.grace_period_s is not None:
            assert work.grace_period_s is not None
            assert 1 <= work.grace_period_s <= before.grace_period_s
