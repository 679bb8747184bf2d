"""Phases, case by case as the kubelet's getPhase decides."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime.objects.pod import Pod
from edge_runtime.pod_status.pod_phase import compute_phase, held_back
from tests.fakes.edge_pods import pod_json

Json = dict[str, Any]

RUNS: Json = {"state": {"running": {}}, "started": True}
STARTING: Json = {"state": {"running": {}}, "started": False}
DONE: Json = {"state": {"terminated": {"exitCode": 0}}}
BROKEN: Json = {"state": {"terminated": {"exitCode": 1}}}
WAITS: Json = {"state": {"waiting": {}}, "lastState": {}}
WAITS_DONE: Json = {"state": {"waiting": {}}, "lastState": {"terminated": {"exitCode": 0}}}
WAITS_BROKEN: Json = {"state": {"waiting": {}}, "lastState": {"terminated": {"exitCode": 1}}}


def _pod(policy: str, **spec: Any) -> Pod:  # noqa: ANN401  # API JSON
    return Pod(pod_json(restartPolicy=policy, **spec))


def _phase(
    pod: Pod, statuses: dict[str, Json], *, is_terminal: bool = False, has_started: bool = False
) -> str:
    return compute_phase(pod, statuses, is_terminal=is_terminal, has_started=has_started)


def _containers(*names: str) -> list[Json]:
    return [{"name": each, "image": "i"} for each in names]


@pytest.mark.parametrize(
    ("policy", "statuses", "phase"),
    [
        ("Always", {}, "Pending"),
        ("Always", {"a": RUNS}, "Pending"),
        ("Always", {"a": RUNS, "b": WAITS}, "Pending"),
        ("Always", {"a": RUNS, "b": RUNS}, "Running"),
        ("Always", {"a": RUNS, "b": BROKEN}, "Running"),
        ("Always", {"a": RUNS, "b": WAITS_BROKEN}, "Running"),
        ("Always", {"a": DONE, "b": DONE}, "Running"),
        ("Always", {"a": WAITS_BROKEN, "b": WAITS_BROKEN}, "Running"),
        ("OnFailure", {"a": RUNS, "b": DONE}, "Running"),
        ("OnFailure", {"a": DONE, "b": DONE}, "Succeeded"),
        ("OnFailure", {"a": DONE, "b": BROKEN}, "Running"),
        ("OnFailure", {"a": DONE, "b": WAITS_BROKEN}, "Running"),
        ("Never", {"a": RUNS, "b": BROKEN}, "Running"),
        ("Never", {"a": DONE, "b": DONE}, "Succeeded"),
        ("Never", {"a": DONE, "b": BROKEN}, "Failed"),
        ("Never", {"a": DONE, "b": WAITS}, "Pending"),
    ],
)
def test_two_containers(policy: str, statuses: dict[str, Json], phase: str) -> None:
    """By restart policy."""
    assert _phase(_pod(policy, containers=_containers("a", "b")), statuses) == phase


@pytest.mark.parametrize(
    ("statuses", "phase"),
    [
        ({"a": DONE, "b": DONE}, "Succeeded"),
        ({"a": DONE, "b": BROKEN}, "Failed"),
        ({"a": DONE, "b": WAITS_DONE}, "Failed"),
        ({"a": DONE, "b": RUNS}, "Running"),
        ({"a": DONE, "b": WAITS}, "Pending"),
    ],
)
def test_pod_that_ends_is_not_restarted(statuses: dict[str, Json], phase: str) -> None:
    """Exit codes decide, whatever the restart policy is."""
    pod = _pod("Always", containers=_containers("a", "b"))
    assert _phase(pod, statuses, is_terminal=True) == phase


@pytest.mark.parametrize(
    ("policy", "init", "container", "phase"),
    [
        ("Always", None, WAITS, "Pending"),
        ("Always", WAITS, WAITS, "Pending"),
        ("Always", RUNS, WAITS, "Pending"),
        ("Always", BROKEN, WAITS, "Pending"),
        ("Always", WAITS_BROKEN, WAITS, "Pending"),
        ("Always", DONE, WAITS, "Pending"),
        ("Always", DONE, RUNS, "Running"),
        ("Never", BROKEN, WAITS, "Failed"),
        ("Never", WAITS_BROKEN, WAITS, "Failed"),
        ("Never", RUNS, WAITS, "Pending"),
        ("OnFailure", BROKEN, WAITS, "Pending"),
        ("OnFailure", DONE, DONE, "Succeeded"),
        # A sandbox was lost: the init container runs again, so the pod is pending again.
        ("Always", RUNS, WAITS_DONE, "Pending"),
    ],
)
def test_init_container(policy: str, init: Json | None, container: Json, phase: str) -> None:
    """One that fails for good fails the pod; one that has not ended keeps it pending."""
    pod = _pod(policy, initContainers=_containers("i"))
    statuses = {"c": container} | ({"i": init} if init is not None else {})
    assert _phase(pod, statuses) == phase


@pytest.mark.parametrize(
    ("policy", "sidecar", "container", "has_started", "phase"),
    [
        ("Always", WAITS, WAITS, False, "Pending"),
        ("Always", STARTING, WAITS, False, "Pending"),
        ("Always", STARTING, RUNS, False, "Pending"),
        ("Always", STARTING, RUNS, True, "Running"),
        ("Always", RUNS, RUNS, True, "Running"),
        ("Always", WAITS_BROKEN, RUNS, True, "Running"),
        ("Always", BROKEN, RUNS, True, "Running"),
        ("Never", RUNS, DONE, True, "Running"),
        ("Never", DONE, DONE, True, "Succeeded"),
        ("Never", BROKEN, DONE, True, "Succeeded"),
        ("Never", BROKEN, BROKEN, True, "Failed"),
    ],
)
def test_sidecar(
    policy: str, sidecar: Json, container: Json, phase: str, *, has_started: bool
) -> None:
    """It holds the pod back until it started; how it ends counts for nothing."""
    pod = _pod(policy, initContainers=[{"name": "s", "image": "i", "restartPolicy": "Always"}])
    assert _phase(pod, {"s": sidecar, "c": container}, has_started=has_started) == phase


@pytest.mark.parametrize(
    ("policy", "fields", "status", "phase"),
    [
        ("Never", {"restartPolicy": "Always"}, DONE, "Running"),
        ("Always", {"restartPolicy": "Never"}, BROKEN, "Failed"),
        ("Always", {"restartPolicy": "OnFailure"}, DONE, "Succeeded"),
        (
            "Never",
            {
                "restartPolicy": "Never",
                "restartPolicyRules": [
                    {"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}}
                ],
            },
            BROKEN,
            "Running",
        ),
    ],
)
def test_container_with_a_restart_policy_of_its_own(
    policy: str, fields: Json, status: Json, phase: str
) -> None:
    """It comes before the pod's."""
    pod = _pod(policy, containers=[{"name": "c", "image": "i"} | fields])
    assert _phase(pod, {"c": status}) == phase


def test_a_terminal_phase_is_held_back_with_its_reason() -> None:
    """Containers and readiness are told; phase, reason, message and the disruption are not yet."""
    before: Json = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    ready = {"type": "Ready", "status": "False", "reason": "PodFailed"}
    target = {"type": "DisruptionTarget", "status": "True"}
    over: Json = {
        "phase": "Failed",
        "reason": "Evicted",
        "message": "low on memory",
        "conditions": [target, ready],
        "containerStatuses": [DONE],
    }
    held = {"phase": "Running", "conditions": [ready], "containerStatuses": [DONE]}
    assert held_back(over, before) == held
    assert held_back(over, {}) == held | {"phase": "Pending"}
    assert held_back(over, before | {"reason": "r", "message": "m"}) == held | {
        "reason": "r",
        "message": "m",
    }
    told = before | {"conditions": [target]}
    assert held_back(over, told)["conditions"] == [target, ready]


def test_other_phases_and_one_that_was_told_are_not_held_back() -> None:
    """A terminal phase stays."""
    runs: Json = {"phase": "Running", "conditions": []}
    over: Json = {"phase": "Succeeded", "conditions": []}
    assert held_back(runs, {"phase": "Pending"}) == runs
    assert held_back(over, over) == over
