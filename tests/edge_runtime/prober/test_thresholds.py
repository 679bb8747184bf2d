"""What answers add up to, and when the next one is asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.objects.container import ContainerID, ProbeKind
from edge_runtime.prober.thresholds import (
    ProbedContainer,
    ProbeSpec,
    Progress,
    Ticker,
    api_container_id,
    container_status,
    is_due,
)

FIRST, SECOND = ContainerID("first"), ContainerID("second")
STARTED_AT = "2026-01-01T00:00:00Z"
STARTED_AT_S = 1767225600.0


def _spec(kind: ProbeKind = ProbeKind.READINESS, **fields: int) -> ProbeSpec:
    return ProbeSpec.parse(kind, {"exec": {"command": ["true"]}, **fields})


def _after(progress: Progress, spec: ProbeSpec, answers: str) -> Progress:
    """Take answers, written as ``+`` and ``-``."""
    for each in answers:
        progress = progress.after(answer=each == "+", spec=spec)
    return progress


def _running(container_id: ContainerID = FIRST) -> ProbedContainer:
    return ProbedContainer(id=container_id, running_since_s=STARTED_AT_S)


def test_a_probe_without_numbers_has_the_api_s_defaults() -> None:
    """Delay 0, period 10, timeout 1, success 1, failure 3; 0 counts as not set."""
    spec = _spec(periodSeconds=0, failureThreshold=0)
    assert (spec.initial_delay_s, spec.period_s, spec.timeout_s) == (0, 10, 1)
    assert (spec.success_threshold, spec.failure_threshold) == (1, 3)


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ("", None),
        ("+", None),
        ("++", True),
        ("--", None),
        ("---", False),
        ("--+--", None),
        ("---+", False),
        ("---++", True),
        ("++--", True),
        ("++---", False),
    ],
)
def test_only_so_many_equal_answers_in_a_row_change_the_verdict(
    answers: str, verdict: bool | None
) -> None:
    """Below the threshold the verdict stays what it was."""
    spec = _spec(successThreshold=2, failureThreshold=3)
    assert _after(Progress().seeing(FIRST), spec, answers).verdict is verdict


def test_a_new_container_has_no_verdict_but_the_run_goes_on() -> None:
    """As a kubelet counts: two failures, a crash, and the third failure is one too many."""
    spec = _spec(ProbeKind.LIVENESS)
    progress = _after(Progress().seeing(FIRST), spec, "--").seeing(SECOND)
    assert progress.verdict is None
    assert _after(progress, spec, "-").verdict is False


def test_a_failed_liveness_probe_holds_until_there_is_a_new_container() -> None:
    """What will be killed is left in peace; its successor starts with a clean count."""
    spec = _spec(ProbeKind.LIVENESS)
    progress = _after(Progress().seeing(FIRST), spec, "---")
    assert (progress.verdict, progress.is_on_hold, progress.run) == (False, True, 0)
    assert not is_due(spec, progress, _running(), is_started=True, now_s=STARTED_AT_S + 60)
    successor = progress.seeing(SECOND)
    assert is_due(spec, successor, _running(SECOND), is_started=True, now_s=STARTED_AT_S + 60)
    assert _after(successor, spec, "--").verdict is None


@pytest.mark.parametrize("answers", ["+", "---"])
def test_a_startup_probe_holds_after_either_verdict(answers: str) -> None:
    """Whether a container started is asked until it is known, and never again."""
    progress = _after(Progress().seeing(FIRST), _spec(ProbeKind.STARTUP), answers)
    assert progress.is_on_hold


@pytest.mark.parametrize(
    ("kind", "answers"), [(ProbeKind.READINESS, "---"), (ProbeKind.LIVENESS, "+++")]
)
def test_what_may_still_change_goes_on(kind: ProbeKind, answers: str) -> None:
    """An unready container is asked again, and so is a live one."""
    assert not _after(Progress().seeing(FIRST), _spec(kind), answers).is_on_hold


@pytest.mark.parametrize(
    ("kind", "is_started", "expected"),
    [
        (ProbeKind.STARTUP, False, True),
        (ProbeKind.STARTUP, True, False),
        (ProbeKind.LIVENESS, False, False),
        (ProbeKind.LIVENESS, True, True),
        (ProbeKind.READINESS, False, False),
        (ProbeKind.READINESS, True, True),
    ],
)
def test_until_a_container_started_only_that_is_asked(
    kind: ProbeKind, is_started: bool, expected: bool
) -> None:
    """The startup probe comes first, and then no more."""
    progress = Progress().seeing(FIRST)
    now_s = STARTED_AT_S + 60
    assert is_due(_spec(kind), progress, _running(), is_started=is_started, now_s=now_s) is expected


@pytest.mark.parametrize(("after_s", "expected"), [(0.0, False), (4.9, False), (5.0, True)])
def test_the_initial_delay_counts_from_the_start(after_s: float, expected: bool) -> None:
    """Whole seconds, as a kubelet cuts them."""
    spec = _spec(initialDelaySeconds=5)
    progress = Progress().seeing(FIRST)
    now_s = STARTED_AT_S + after_s
    assert is_due(spec, progress, _running(), is_started=True, now_s=now_s) is expected


def test_a_container_that_does_not_run_is_not_asked() -> None:
    """Waiting or ended, it cannot answer."""
    ended = ProbedContainer(id=FIRST, running_since_s=None)
    assert not is_due(_spec(), Progress().seeing(FIRST), ended, is_started=True, now_s=STARTED_AT_S)


def test_a_container_is_found_in_either_list() -> None:
    """Regular containers and sidecars; one that was never made has no id."""
    status = {
        "containerStatuses": [
            {
                "name": "main",
                "containerID": "containerd://first",
                "state": {"running": {"startedAt": STARTED_AT}},
            },
            {"name": "waiting", "containerID": "", "state": {"waiting": {}}},
        ],
        "initContainerStatuses": [
            {"name": "side", "containerID": "containerd://second", "state": {"terminated": {}}}
        ],
    }
    assert ProbedContainer.find(status, "main") == _running()
    side = ProbedContainer.find(status, "side")
    assert side == ProbedContainer(id=SECOND, running_since_s=None)
    assert ProbedContainer.find(status, "waiting") is None
    assert ProbedContainer.find(status, "nobody") is None
    assert container_status({}, "main") is None
    assert api_container_id({}) == ""


@given(
    answers=st.lists(st.booleans()),
    success=st.integers(1, 4),
    failure=st.integers(1, 4),
    kind=st.sampled_from(ProbeKind),
)
def test_a_verdict_is_always_backed_by_its_threshold(
    answers: list[bool], success: int, failure: int, kind: ProbeKind
) -> None:
    """Whatever comes, a verdict changes only with the answer that completes a run."""
    spec = _spec(kind, successThreshold=success, failureThreshold=failure)
    progress = Progress().seeing(FIRST)
    for count, answer in enumerate(answers, start=1):
        before, progress = progress, progress.after(answer=answer, spec=spec)
        if progress.verdict is not before.verdict:
            threshold = success if answer else failure
            assert progress.verdict is answer
            assert answers[count - threshold : count] == [answer] * threshold


def test_a_ticker_keeps_its_rhythm() -> None:
    """Ticks come at multiples of the period, however long what they start takes."""
    ticker = Ticker.starting(period_s=10.0, now_s=100.0)
    assert ticker.due_s == 110.0
    ticker.ticked(110.0)
    assert ticker.due_s == 120.0
    ticker.ticked(123.0)
    assert ticker.due_s == 130.0


def test_of_several_missed_ticks_one_is_made_up_for() -> None:
    """As Go's, whose channel holds one: at 145 the tick of 110 is taken, the next is at 150."""
    ticker = Ticker.starting(period_s=10.0, now_s=100.0)
    ticker.ticked(145.0)
    assert ticker.due_s == 150.0


def test_a_reset_ticker_starts_anew() -> None:
    """After a probe out of turn the next comes a whole period later."""
    ticker = Ticker.starting(period_s=10.0, now_s=100.0)
    ticker.reset(104.0)
    assert ticker.due_s == 114.0
