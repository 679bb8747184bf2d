"""What to do next, case by case."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime.objects.container import ContainerID
from edge_runtime.objects.pod import Pod, PodUID, SandboxID
from edge_runtime.objects.probe_results import NO_PROBES
from edge_runtime.objects.runtime_status import (
    ContainerState,
    ContainerStatus,
    PodRuntimeStatus,
    SandboxStatus,
)
from edge_runtime.pod_actions.container_kills import ContainerKill
from edge_runtime.pod_actions.container_starts import ContainerBackOff, ContainerStart
from edge_runtime.pod_actions.crash_backoff import CrashBackoff, backoff_key
from edge_runtime.pod_actions.pod_actions import PodActions, compute_pod_actions
from edge_runtime.pod_actions.restart_policy import should_restart
from edge_runtime.runtime.cri_config import container_hash
from edge_runtime.store.local_pod_state import ContainerRecord
from tests.fakes.edge_pods import deleted, pod_json
from tests.fakes.runtime_values import container, sandbox

RUNNING, EXITED = ContainerState.RUNNING, ContainerState.EXITED
NOW_S = 1000.0


def _status(
    *containers: ContainerStatus, sandboxes: tuple[SandboxStatus, ...] | None = None
) -> PodRuntimeStatus:
    return PodRuntimeStatus(
        uid=PodUID("u"),
        sandboxes=(sandbox(),) if sandboxes is None else sandboxes,
        containers=containers,
    )


def _pod(policy: str = "Always", *names: str, **spec: object) -> Pod:
    containers = [{"name": each, "image": "busybox:1"} for each in names or ("c",)]
    named: dict[str, Any] = {"restartPolicy": policy, "containers": containers, **spec}
    return Pod(pod_json(**named))


def _compute(
    pod: Pod, status: PodRuntimeStatus, record: ContainerRecord | None = None
) -> PodActions:
    records = {record.name: record} if record is not None else {}
    return compute_pod_actions(pod, status, records=records, probes=NO_PROBES, now_s=NOW_S)


def test_new_pod_gets_a_sandbox_and_all_its_containers() -> None:
    """In spec order."""
    actions = _compute(_pod("Always", "b", "a"), _status(sandboxes=()))
    assert actions.create_sandbox
    assert actions.sandbox_attempt == 0
    assert [(each.name, each.attempt) for each in actions.start] == [("b", 0), ("a", 0)]
    assert not actions.is_finished


def test_running_pod_needs_nothing() -> None:
    """Not a single call."""
    assert _compute(_pod(), _status(container())) == PodActions(sandbox_id=SandboxID("s0"))


@pytest.mark.parametrize(
    ("policy", "exit_code", "restarts"),
    [
        ("Always", 0, True),
        ("Always", 1, True),
        ("OnFailure", 0, False),
        ("OnFailure", 1, True),
        ("Never", 0, False),
        ("Never", 1, False),
    ],
)
def test_restart_policy(policy: str, exit_code: int, *, restarts: bool) -> None:
    """A container that ended starts again, or ends its pod."""
    status = _status(container(state=EXITED, exit_code=exit_code, finished_at_s=990))
    actions = _compute(_pod(policy), status)
    assert bool(actions.start) is restarts
    assert actions.is_finished is not restarts


def test_pod_with_one_running_container_is_not_finished() -> None:
    """Even if the other ended for good."""
    status = _status(
        container("c1", name="a", state=EXITED, finished_at_s=990), container("c2", name="b")
    )
    actions = _compute(_pod("Never", "a", "b"), status)
    assert not actions.is_finished
    assert not actions.start


def test_second_crash_waits() -> None:
    """From the end of the container on."""
    pod = _pod()
    key = backoff_key(pod.containers[0])
    record = ContainerRecord(
        name="c", attempt=1, backoff_key=key, backoff_s=10, backoff_updated_at_s=980
    )
    ended = container(state=EXITED, exit_code=1, attempt=1, finished_at_s=995)
    actions = _compute(pod, _status(ended), record)
    assert actions.back_off == (ContainerBackOff(name="c", delay_s=10, until_s=1005),)
    assert not actions.start
    assert not actions.is_finished
    later = container(state=EXITED, exit_code=1, attempt=1, finished_at_s=989)
    backoff = CrashBackoff(key=key, delay_s=20, updated_at_s=NOW_S)
    assert _compute(pod, _status(later), record).start == (
        ContainerStart(name="c", attempt=2, backoff=backoff),
    )


def test_restart_count_survives_a_runtime_that_forgot() -> None:
    """What is remembered counts as much as what the runtime has."""
    record = ContainerRecord(name="c", attempt=4)
    assert _compute(_pod(), _status(), record).start[0].attempt == 5
    ended = container(state=EXITED, attempt=7, finished_at_s=990)
    assert _compute(_pod(), _status(ended), record).start[0].attempt == 8


@pytest.mark.parametrize(
    "sandboxes",
    [
        (sandbox(ready=False),),
        (sandbox(ips=()),),
        (sandbox("s1", attempt=1), sandbox("s0")),
    ],
)
def test_unusable_sandbox_is_replaced(sandboxes: tuple[SandboxStatus, ...]) -> None:
    """Dead, without an address, or one too many: all goes, a new attempt comes."""
    actions = _compute(_pod(), _status(container(), sandboxes=sandboxes))
    assert actions.kill_pod
    assert actions.create_sandbox
    assert actions.sandbox_attempt == sandboxes[0].attempt + 1
    assert [(each.name, each.attempt) for each in actions.start] == [("c", 1)]


def test_host_network_pod_needs_no_address_but_the_right_network() -> None:
    """A sandbox with a network of its own is not the one that is asked for."""
    assert _compute(_pod(hostNetwork=True), _status(container())).create_sandbox


@pytest.mark.parametrize("policy", ["Never", "OnFailure"])
def test_finished_pod_gets_no_new_sandbox(policy: str) -> None:
    """A reboot does not run a job twice."""
    status = _status(container(state=EXITED, finished_at_s=990), sandboxes=(sandbox(ready=False),))
    actions = _compute(_pod(policy), status)
    assert actions.is_finished
    assert not actions.start


def test_never_pod_whose_sandbox_died_is_not_started_again() -> None:
    """Its container may have done half of its work."""
    actions = _compute(_pod("Never"), _status(container(), sandboxes=(sandbox(ready=False),)))
    assert actions.is_finished


def test_changed_container_is_killed_and_started() -> None:
    """A new image, in place."""
    pod = _pod()
    same = container(container_hash=container_hash(pod.containers[0]))
    assert not _compute(pod, _status(same)).kill
    actions = _compute(pod, _status(container(container_hash="other")))
    message = "Container c definition changed, will be restarted"
    assert actions.kill == (ContainerKill(id=ContainerID("c0"), name="c", message=message),)
    assert actions.start[0].attempt == 1


def test_unknown_container_is_killed_before_it_is_started() -> None:
    """Never two of the same."""
    actions = _compute(_pod(), _status(container(state=ContainerState.UNKNOWN)))
    assert [each.id for each in actions.kill] == ["c0"]
    assert [each.attempt for each in actions.start] == [1]


def test_only_the_newest_dead_container_is_kept() -> None:
    """For `logs --previous`."""
    status = _status(
        container("c3", attempt=3),
        container("c2", attempt=2, state=EXITED, finished_at_s=3),
        container("c1", attempt=1, state=EXITED, finished_at_s=2),
        container("c0", attempt=0, state=EXITED, finished_at_s=1),
    )
    assert _compute(_pod(), status).remove == ("c1", "c0")


def test_old_sandbox_goes_once_it_is_empty() -> None:
    """Before, its removal would take a container that is still shown."""
    sandboxes = (sandbox("s1", attempt=1), sandbox("s0", ready=False))
    new = container("c1", attempt=1, sandbox_id="s1")
    old = container("c0", state=EXITED, finished_at_s=1)
    assert _compute(_pod(), _status(new, old, sandboxes=sandboxes)).remove_sandboxes == ()
    assert _compute(_pod(), _status(new, sandboxes=sandboxes)).remove_sandboxes == ("s0",)


def test_deleted_pod_starts_nothing() -> None:
    """Whatever its policy."""
    pod = Pod(deleted(pod_json()))
    for status in (None, container(state=EXITED, exit_code=1)):
        assert not should_restart(pod, pod.containers[0], status)


def test_older_attempt_that_runs_is_killed_beside_the_newer() -> None:
    """Its start was under way when the edge was killed, and went through afterwards."""
    old = container("old", attempt=0, created_at_s=10)
    new = container("new", attempt=1, created_at_s=11)
    actions = _compute(_pod(), _status(new, old))
    assert [each.id for each in actions.kill] == ["old"]
    assert actions.start == ()
    assert not actions.is_finished


@pytest.mark.parametrize("policy", ["Always", "OnFailure", "Never"])
def test_container_that_starts_anew_for_its_size_is_not_at_its_end(policy: str) -> None:
    """Whatever the policy: it is to run on, also if it ends well when it is stopped."""
    actions = compute_pod_actions(
        _pod(policy),
        _status(container("c7", attempt=2)),
        records={},
        probes=NO_PROBES,
        now_s=NOW_S,
        resized={ContainerID("c7")},
    )
    assert not actions.is_finished
    assert [(each.id, each.message) for each in actions.kill] == [
        ("c7", "Container c resize requires restart")
    ]
    assert [(each.name, each.attempt) for each in actions.start] == [("c", 3)]
