"""When all containers of a pod start anew, and what goes away for that in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from edge_runtime.objects.pod import Pod, PodUID
from edge_runtime.objects.probe_results import NO_PROBES
from edge_runtime.objects.runtime_status import ContainerState, PodRuntimeStatus
from edge_runtime.pod_actions.in_place_restart import (
    containers_to_reset,
    is_cleaned_up,
    may_restart_all,
    restarts_all,
)
from edge_runtime.pod_actions.pod_actions import compute_pod_actions
from edge_runtime.store.local_pod_state import ContainerRecord
from tests.fakes.edge_pods import pod_json
from tests.fakes.runtime_values import container, sandbox

if TYPE_CHECKING:
    from edge_runtime.objects.runtime_status import ContainerStatus, SandboxStatus
    from edge_runtime.pod_actions.pod_actions import PodActions

Json = dict[str, Any]

EXITED, RUNNING = ContainerState.EXITED, ContainerState.RUNNING
BEGUN: Json = {"conditions": [{"type": "AllContainersRestarting", "status": "True"}]}
OVER: Json = {"conditions": [{"type": "AllContainersRestarting", "status": "False"}]}


def _restarting(name: str, policy: str = "Never", code: int = 42) -> Json:
    rule = {
        "action": "RestartAllContainers",
        "exitCodes": {"operator": "In", "values": [code]},
    }
    return {"name": name, "image": "x", "restartPolicy": policy, "restartPolicyRules": [rule]}


def _plain(name: str, **fields: object) -> Json:
    return {"name": name, "image": "x", **fields}


def _pod(**spec: Any) -> Pod:  # noqa: ANN401  # API JSON
    fields = {
        "restartPolicy": "Never",
        "initContainers": [_plain("i"), _restarting("s", "Always")],
        "containers": [_restarting("a"), _plain("b")],
    }
    return Pod(pod_json(**(fields | spec)))


def _status(
    *found: ContainerStatus, boxes: tuple[SandboxStatus, ...] | None = None
) -> PodRuntimeStatus:
    sandboxes = (sandbox(),) if boxes is None else boxes
    return PodRuntimeStatus(uid=PodUID("u"), sandboxes=sandboxes, containers=found)


def _ended(name: str, code: int = 0, **fields: Any) -> ContainerStatus:  # noqa: ANN401
    return container(fields.pop("id", name), name=name, state=EXITED, exit_code=code, **fields)


def _runs(name: str) -> ContainerStatus:
    return container(name, name=name)


def _compute(
    status: PodRuntimeStatus, records: dict[str, ContainerRecord] | None = None
) -> PodActions:
    return compute_pod_actions(
        _pod(), status, records=records or {}, probes=NO_PROBES, now_s=100.0, restarting=True
    )


@pytest.mark.parametrize(
    ("found", "before", "restarts"),
    [
        ((_runs("a"), _runs("b"), _runs("s")), {}, False),
        ((_ended("a", 42), _runs("b"), _runs("s")), {}, True),
        ((_ended("a", 41), _runs("b"), _runs("s")), {}, False),
        # Also where the rest ended for good meanwhile, and of a sidecar as well.
        ((_ended("a", 42), _ended("b"), _runs("s")), {}, True),
        ((_runs("a"), _runs("b"), _ended("s", 42)), {}, True),
        # A sidecar of a pod that ended comes too late.
        ((_ended("a"), _ended("b", 1), _ended("s", 42)), {}, False),
        # What was begun goes on, whatever is left, and what is over does not begin again.
        ((_ended("b", 137),), BEGUN, True),
        ((), BEGUN, True),
        ((), OVER, False),
        # Only the newest attempt counts.
        ((_runs("a"), _ended("a", 42, id="a0"), _runs("b")), OVER, False),
    ],
)
def test_who_restarts_all(found: tuple[ContainerStatus, ...], before: Json, restarts: bool) -> None:
    """An end whose rule says so, or a restart that is under way."""
    assert restarts_all(_pod(), _status(*found), before) is restarts


def test_pod_without_such_a_rule_never_restarts_so() -> None:
    """Whatever its status claims."""
    pod = Pod(pod_json(containers=[_plain("a")]))
    assert not may_restart_all(pod)
    assert not restarts_all(pod, _status(_ended("a", 42)), BEGUN)
    assert may_restart_all(_pod())
    assert may_restart_all(_pod(containers=[_plain("a")]))
    assert not may_restart_all(_pod(containers=[_plain("a")], initContainers=[_plain("i")]))


def test_sources_go_last_and_every_attempt_goes() -> None:
    """Regular containers before init ones; those that run are stopped first; debuggers stay."""
    status = _status(
        _ended("a", 42, id="a1"),
        _ended("a", 1, id="a0"),
        container("b1", name="b", state=ContainerState.UNKNOWN),
        _runs("s"),
        _ended("i"),
        _runs("debugger"),
    )
    resets = containers_to_reset(_pod(), status)
    assert [(each.id, each.kill) for each in resets] == [
        ("a0", False),
        ("b1", True),
        ("i", False),
        ("s", True),
        ("a1", False),
    ]
    assert not is_cleaned_up(_pod(), status)
    assert is_cleaned_up(_pod(), _status(_runs("debugger")))


def test_nothing_starts_before_all_are_gone() -> None:
    """Then the pod begins anew in the same sandbox: with its first init container alone."""
    actions = _compute(_status(_ended("a", 42), _runs("b"), _runs("s"), _ended("i")))
    assert [each.name for each in actions.reset] == ["b", "i", "s", "a"]
    assert not actions.kill_pod
    assert not actions.start
    assert actions.sandbox_id == "s0"

    records = {"i": ContainerRecord(name="i", attempt=0)}
    actions = _compute(_status(), records)
    assert actions.reset == ()
    assert [(each.name, each.attempt) for each in actions.start] == [("i", 1)]
    assert not actions.create_sandbox


def test_lost_sandbox_is_replaced_before() -> None:
    """Nothing starts in the new one as long as containers of the old one are left."""
    lost = (sandbox(ready=False, attempt=2),)
    actions = _compute(_status(_ended("a", 42), boxes=lost))
    assert actions.kill_pod
    assert actions.create_sandbox
    assert not actions.is_finished
    assert actions.sandbox_attempt == 3
    assert not actions.start
    assert [each.name for each in actions.reset] == ["a"]
