"""Conditions, case by case as the kubelet generates them."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime.objects.pod import Pod
from edge_runtime.pod_status.pod_conditions import ConditionContext, compute_conditions
from tests.fakes.edge_pods import pod_json

Json = dict[str, Any]

NOW = "2026-01-01T00:00:00Z"
SPEC: Json = {
    "initContainers": [
        {"name": "i", "image": "x"},
        {"name": "s", "image": "x", "restartPolicy": "Always"},
    ],
    "containers": [{"name": "c", "image": "x"}],
}
WAITS: Json = {"state": {"waiting": {}}, "ready": False, "started": False}
RUNS: Json = {"state": {"running": {}}, "ready": True, "started": True}
STARTING: Json = {"state": {"running": {}}, "ready": False, "started": False}
UNREADY: Json = {"state": {"running": {}}, "ready": False, "started": True}
DONE: Json = {"state": {"terminated": {"exitCode": 0}}, "ready": True, "started": False}


def _compute(
    statuses: dict[str, Json],
    *,
    phase: str = "Pending",
    pod: Json | None = None,
    old: tuple[Json, ...] = (),
    **fields: Any,  # noqa: ANN401  # fields of ConditionContext
) -> dict[str, Json]:
    context = ConditionContext(
        phase=phase, statuses=statuses, has_sandbox=True, old=old, now=NOW, **fields
    )
    computed = compute_conditions(Pod(pod or pod_json(**SPEC)), context)
    return {each["type"]: each for each in computed}


@pytest.mark.parametrize(
    ("statuses", "phase", "expected"),
    [
        (
            {"i": WAITS, "s": WAITS, "c": WAITS},
            "Pending",
            ("False", "ContainersNotInitialized", "containers with incomplete status: [i s]"),
        ),
        (
            {"i": DONE, "s": STARTING, "c": WAITS},
            "Pending",
            ("False", "ContainersNotInitialized", "containers with incomplete status: [s]"),
        ),
        (
            {"i": DONE, "c": WAITS},
            "Pending",
            ("False", "ContainersNotInitialized", "containers with unknown status: [s]"),
        ),
        (
            {"s": WAITS, "c": WAITS},
            "Pending",
            (
                "False",
                "ContainersNotInitialized",
                "containers with unknown status: [i], containers with incomplete status: [s]",
            ),
        ),
        ({"i": DONE, "s": UNREADY, "c": WAITS}, "Pending", ("True", None, None)),
        # A sidecar that starts again does not take it back.
        ({"i": DONE, "s": WAITS, "c": RUNS}, "Running", ("True", None, None)),
        ({"i": DONE, "s": DONE, "c": DONE}, "Succeeded", ("True", "PodCompleted", None)),
        (
            {"i": WAITS, "s": WAITS, "c": WAITS},
            "Failed",
            ("False", "ContainersNotInitialized", "containers with incomplete status: [i s]"),
        ),
    ],
)
def test_initialized(
    statuses: dict[str, Json], phase: str, expected: tuple[str, str | None, str | None]
) -> None:
    """Init containers have ended well and sidecars have started."""
    found = _compute(statuses, phase=phase)["Initialized"]
    assert (found["status"], found.get("reason"), found.get("message")) == expected


def test_once_initialized_always_initialized() -> None:
    """Also when init containers run again in a new sandbox."""
    old = ({"type": "Initialized", "status": "True", "lastTransitionTime": "T"},)
    found = _compute({"i": WAITS, "s": WAITS, "c": WAITS}, old=old)["Initialized"]
    assert (found["status"], found["lastTransitionTime"]) == ("True", "T")


@pytest.mark.parametrize(
    ("statuses", "phase", "expected"),
    [
        ({"i": DONE, "s": RUNS, "c": RUNS}, "Running", ("True", None, None)),
        (
            {"i": DONE, "s": UNREADY, "c": UNREADY},
            "Running",
            ("False", "ContainersNotReady", "containers with unready status: [s c]"),
        ),
        (
            {"i": DONE, "s": RUNS},
            "Pending",
            ("False", "ContainersNotReady", "containers with unknown status: [c]"),
        ),
        ({"i": DONE, "s": DONE, "c": DONE}, "Succeeded", ("False", "PodCompleted", None)),
        ({"i": DONE, "s": RUNS, "c": RUNS}, "Failed", ("False", "PodFailed", None)),
    ],
)
def test_ready(
    statuses: dict[str, Json], phase: str, expected: tuple[str, str | None, str | None]
) -> None:
    """Sidecars count, init containers do not."""
    computed = _compute(statuses, phase=phase)
    for name in ("Ready", "ContainersReady"):
        found = computed[name]
        assert (found["status"], found.get("reason"), found.get("message")) == expected


def test_readiness_gates_say_what_is_missing() -> None:
    """One message for all of them."""
    gates = [{"conditionType": "a"}, {"conditionType": "b"}, {"conditionType": "c"}]
    conditions = [{"type": "b", "status": "False"}, {"type": "c", "status": "True"}]
    pod = pod_json(readinessGates=gates) | {"status": {"conditions": conditions}}
    computed = _compute({"c": RUNS}, pod=pod, phase="Running")
    assert computed["ContainersReady"]["status"] == "True"
    assert computed["Ready"]["reason"] == "ReadinessGatesNotReady"
    assert computed["Ready"]["message"] == (
        'corresponding condition of pod readiness gate "a" does not exist., '
        'the status of pod readiness gate "b" is not "True", but False'
    )


def test_order_and_generation() -> None:
    """Foreign ones, a resize, a disruption, then the kubelet's own in its order."""
    pod = pod_json() | {"status": {"conditions": [{"type": "gate", "status": "True"}]}}
    resize = ({"type": "PodResizePending", "status": "True", "observedGeneration": 1},)
    computed = _compute({"c": RUNS}, pod=pod, phase="Failed", resize=resize, disruption="why")
    assert list(computed) == [
        "gate",
        "PodResizePending",
        "DisruptionTarget",
        "PodReadyToStartContainers",
        "Initialized",
        "Ready",
        "ContainersReady",
        "PodScheduled",
    ]
    assert computed["DisruptionTarget"] == {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "TerminationByKubelet",
        "message": "why",
        "lastTransitionTime": NOW,
        "observedGeneration": 1,
    }


def test_disruption_stays() -> None:
    """Whatever comes after it."""
    old = ({"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet"},)
    assert _compute({"c": DONE}, phase="Failed", old=old)["DisruptionTarget"] == old[0]


def test_conditions_of_a_resize_that_came_down_are_not_foreign() -> None:
    """They are over once nobody says them any more."""
    conditions = [{"type": "PodResizePending", "status": "True"}]
    pod = pod_json() | {"status": {"conditions": conditions}}
    assert "PodResizePending" not in _compute({"c": RUNS}, pod=pod)
