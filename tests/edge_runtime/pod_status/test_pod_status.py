"""The API status: phases, container states, conditions, addresses."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.objects.pod import Pod, PodUID
from edge_runtime.objects.pod_failure import PodFailure
from edge_runtime.objects.runtime_status import ContainerState, ContainerUser, PodRuntimeStatus
from edge_runtime.pod_status.container_state import format_time
from edge_runtime.pod_status.container_status import WaitingReason
from edge_runtime.pod_status.pod_phase import TERMINAL_PHASES
from edge_runtime.pod_status.pod_status import (
    StatusContext,
    compute_final_status,
    compute_pod_status,
    compute_rejected_status,
)
from tests.fakes.edge_pods import deleted, pod_json
from tests.fakes.runtime_values import container, sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_runtime.objects.container import Json
    from edge_runtime.objects.runtime_status import ContainerStatus, SandboxStatus

RUNNING, EXITED = ContainerState.RUNNING, ContainerState.EXITED
EMPTY = PodRuntimeStatus(uid=PodUID("u"))


def _runtime(*containers: ContainerStatus, boxes: tuple[SandboxStatus, ...] = ()) -> Any:  # noqa: ANN401
    return PodRuntimeStatus(uid=PodUID("u"), sandboxes=boxes or (sandbox(),), containers=containers)


def _compute(
    status: PodRuntimeStatus,
    *,
    pod: Pod | None = None,
    policy: str = "Always",
    old: Json | None = None,
    waiting: Mapping[str, WaitingReason] | None = None,
    now: str = "2026-01-01T00:00:00Z",
    is_terminal: bool = False,
) -> Json:
    context = StatusContext(
        now=now, host_ips=("192.0.2.1",), waiting=waiting or {}, is_terminal=is_terminal
    )
    return compute_pod_status(pod or Pod(pod_json(restartPolicy=policy)), status, old, context)


def _condition(status: Json, name: str) -> Json:
    found: Json = next(each for each in status["conditions"] if each["type"] == name)
    return found


def _ended(code: int, **fields: Any) -> ContainerStatus:  # noqa: ANN401
    return container(state=EXITED, exit_code=code, finished_at_s=20, **fields)


@pytest.mark.parametrize(
    ("policy", "status", "is_terminal", "phase"),
    [
        ("Always", EMPTY, False, "Pending"),
        ("Always", _runtime(container(state=ContainerState.CREATED)), False, "Pending"),
        ("Always", _runtime(container()), False, "Running"),
        ("Always", _runtime(_ended(0)), False, "Running"),
        ("Always", _runtime(_ended(1)), False, "Running"),
        ("OnFailure", _runtime(_ended(1)), False, "Running"),
        ("OnFailure", _runtime(_ended(0)), False, "Succeeded"),
        ("Never", _runtime(_ended(0)), False, "Succeeded"),
        ("Never", _runtime(_ended(1)), False, "Failed"),
        ("Always", _runtime(_ended(0)), True, "Succeeded"),
        ("Always", _runtime(_ended(1)), True, "Failed"),
        ("Always", EMPTY, True, "Pending"),
    ],
)
def test_phase(policy: str, status: PodRuntimeStatus, phase: str, *, is_terminal: bool) -> None:
    """The kubelet's rules, case by case."""
    assert _compute(status, policy=policy, is_terminal=is_terminal)["phase"] == phase


def test_crashed_container_that_waits_keeps_its_pod_running() -> None:
    """Terminated moves to lastState."""
    reason = WaitingReason(reason="CrashLoopBackOff", message="back-off 10s")
    status = _compute(_runtime(_ended(3)), waiting={"c": reason})
    shown = status["containerStatuses"][0]
    assert shown["state"] == {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
    assert shown["lastState"]["terminated"] == {
        "exitCode": 3,
        "reason": "Error",
        "startedAt": "1970-01-01T00:00:10Z",
        "finishedAt": "1970-01-01T00:00:20Z",
        "containerID": "containerd://c0",
    }
    assert (status["phase"], shown["ready"], shown["started"]) == ("Running", False, False)


def test_restarted_container_shows_its_last_end() -> None:
    """The attempt before, while the runtime keeps it and after."""
    new = container("c1", attempt=1, created_at_s=30)
    first = _compute(_runtime(new, _ended(2)))
    shown = first["containerStatuses"][0]
    assert shown["restartCount"] == 1
    assert shown["lastState"]["terminated"]["exitCode"] == 2
    second = _compute(_runtime(new), old=first)
    assert second == first


def test_running_pod_shows_everything() -> None:
    """Every field of a container status that a kubelet fills here."""
    resources = {"requests": {"cpu": "10m"}, "limits": {"memory": "64Mi"}}
    containers = [{"name": "c", "image": "busybox:1", "resources": resources}]
    status = _compute(_runtime(container()), pod=Pod(pod_json(containers=containers)))
    assert status["containerStatuses"] == [
        {
            "name": "c",
            "image": "busybox",
            "imageID": "busybox@sha256:1",
            "containerID": "containerd://c0",
            "restartCount": 0,
            "state": {"running": {"startedAt": "1970-01-01T00:00:10Z"}},
            "lastState": {},
            "ready": True,
            "started": True,
            "resources": resources,
            "allocatedResources": {"cpu": "10m"},
        }
    ]
    assert status["qosClass"] == "Burstable"
    assert status["observedGeneration"] == 1
    assert (status["hostIP"], status["hostIPs"]) == ("192.0.2.1", [{"ip": "192.0.2.1"}])
    assert (status["podIP"], status["podIPs"]) == ("10.0.0.2", [{"ip": "10.0.0.2"}])


def test_statuses_are_sorted_by_name() -> None:
    """Not in spec order."""
    containers = [{"name": each, "image": "i"} for each in ("b", "a")]
    status = _compute(EMPTY, pod=Pod(pod_json(containers=containers)))
    assert [each["name"] for each in status["containerStatuses"]] == ["a", "b"]


def test_user_is_shown_where_the_runtime_tells() -> None:
    """Containerd 2.0 and later."""
    user = ContainerUser(uid=1, gid=2, supplemental_groups=(3,))
    status = _compute(_runtime(dataclasses.replace(container(), user=user)))
    shown = status["containerStatuses"][0]["user"]
    assert shown == {"linux": {"uid": 1, "gid": 2, "supplementalGroups": [3]}}


def test_vanished_container_counts_as_ended_and_restarted() -> None:
    """A reboot that lost it must not make the pod look as if it never ran."""
    before = _compute(_runtime(container()))
    after = _compute(EMPTY, old=before)["containerStatuses"][0]
    assert after["lastState"]["terminated"]["reason"] == "ContainerStatusUnknown"
    assert after["restartCount"] == 1
    again = _compute(EMPTY, old=_compute(EMPTY, old=before))["containerStatuses"][0]
    assert again["restartCount"] == 1


def test_ended_container_that_vanished_stays_ended() -> None:
    """Its end is known."""
    before = _compute(_runtime(_ended(0)), policy="Never")
    assert (
        _compute(EMPTY, policy="Never", old=before)["containerStatuses"]
        == (before["containerStatuses"])
    )


@pytest.mark.parametrize("phase", TERMINAL_PHASES)
def test_terminal_phase_never_changes(phase: str) -> None:
    """Nor its reason and message."""
    old = _compute(_runtime(container())) | {"phase": phase, "reason": "Evicted", "message": "m"}
    status = _compute(_runtime(container()), old=old)
    assert (status["phase"], status["reason"], status["message"]) == (phase, "Evicted", "m")


def test_finished_pod_keeps_its_address() -> None:
    """Also once its sandbox is stopped; a new sandbox brings a new one."""
    before = _compute(_runtime(container()))
    stopped = _runtime(_ended(0), boxes=(sandbox(ready=False),))
    assert _compute(stopped, old=before)["podIP"] == "10.0.0.2"
    renewed = _runtime(_ended(0), boxes=(sandbox("s1", attempt=1, ips=("10.0.0.9",)),))
    assert _compute(renewed, old=before)["podIPs"] == [{"ip": "10.0.0.9"}]


def test_host_network_pod_has_the_machines_addresses() -> None:
    """Reported by the edge, never the provider's."""
    status = _compute(EMPTY, pod=Pod(pod_json(hostNetwork=True)))
    assert status["podIPs"] == [{"ip": "192.0.2.1"}]


def test_conditions_of_a_running_pod() -> None:
    """All true, in the kubelet's order, with the generation acted upon."""
    status = _compute(_runtime(container()))
    assert [(each["type"], each["status"]) for each in status["conditions"]] == [
        ("PodReadyToStartContainers", "True"),
        ("Initialized", "True"),
        ("Ready", "True"),
        ("ContainersReady", "True"),
        ("PodScheduled", "True"),
    ]
    assert {each["observedGeneration"] for each in status["conditions"]} == {1}


def test_transition_time_changes_only_with_the_status() -> None:
    """Or every sync would be a change to report."""
    first = _compute(_runtime(container()), now="2026-01-01T00:00:00Z")
    second = _compute(_runtime(container()), old=first, now="2026-01-01T00:00:10Z")
    assert second == first
    third = _compute(_runtime(_ended(1)), old=second, now="2026-01-01T00:00:20Z")
    assert _condition(third, "Ready")["lastTransitionTime"] == "2026-01-01T00:00:20Z"
    assert _condition(third, "PodScheduled")["lastTransitionTime"] == "2026-01-01T00:00:00Z"
    assert third["startTime"] == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("status", "policy", "reason", "message"),
    [
        (EMPTY, "Always", "ContainersNotReady", "containers with unready status: [c]"),
        (_runtime(_ended(0)), "Never", "PodCompleted", None),
        (_runtime(_ended(1)), "Never", "PodFailed", None),
    ],
)
def test_unready_says_why(
    status: PodRuntimeStatus, policy: str, reason: str, message: str | None
) -> None:
    """In the kubelet's words, in both conditions."""
    computed = _compute(status, policy=policy)
    for name in ("Ready", "ContainersReady"):
        condition = _condition(computed, name)
        assert (condition["status"], condition["reason"]) == ("False", reason)
        assert condition.get("message") == message


@pytest.mark.parametrize(
    ("conditions", "ready"),
    [
        ([], "False"),
        ([{"type": "gate", "status": "False"}], "False"),
        ([{"type": "gate", "status": "True"}], "True"),
    ],
)
def test_readiness_gates(conditions: list[Json], ready: str) -> None:
    """Foreign conditions are kept and decide over Ready, not over ContainersReady."""
    pod = pod_json(readinessGates=[{"conditionType": "gate"}]) | {
        "status": {"conditions": conditions}
    }
    status = _compute(_runtime(container()), pod=Pod(pod))
    assert _condition(status, "Ready")["status"] == ready
    assert _condition(status, "ContainersReady")["status"] == "True"
    assert status["conditions"][: len(conditions)] == conditions


def test_api_status_is_the_basis_for_a_new_edge() -> None:
    """Start time, restart counts and a terminal phase come down with an unknown pod."""
    stored = _compute(_runtime(container("c5", attempt=5)), now="2020-01-01T00:00:00Z")
    status = _compute(EMPTY, pod=Pod(pod_json() | {"status": stored}))
    assert status["startTime"] == "2020-01-01T00:00:00Z"
    assert status["containerStatuses"][0]["restartCount"] == 6


def test_final_status_is_always_terminal() -> None:
    """What never ran, or ended unseen, has failed."""
    pod = Pod(deleted(pod_json()))
    context = StatusContext(now="2026-01-01T00:00:00Z", host_ips=(), is_terminal=True)
    final = compute_final_status(pod, _compute(EMPTY, pod=pod, is_terminal=True), context)
    assert final["phase"] == "Failed"
    state = final["containerStatuses"][0]["state"]["terminated"]
    assert (state["exitCode"], state["reason"]) == (137, "ContainerStatusUnknown")
    assert _condition(final, "Ready")["reason"] == "ContainersNotReady"
    done = _compute(_runtime(_ended(0)), pod=pod, is_terminal=True)
    assert compute_final_status(pod, done, context)["phase"] == "Succeeded"


def test_times_are_whole_seconds() -> None:
    """As the API keeps them."""
    assert format_time(1_999_999_999) == "1970-01-01T00:00:01Z"
    assert format_time(0) == "1970-01-01T00:00:00Z"


_looks = st.lists(
    st.tuples(
        st.sampled_from([*ContainerState, None]),
        st.integers(0, 3),
        st.integers(0, 2),
        st.booleans(),
    ),
    max_size=12,
)


@settings(deadline=None)
@given(_looks, st.sampled_from(["Always", "OnFailure", "Never"]))
def test_no_order_of_looks_breaks_what_must_hold(
    looks: list[tuple[ContainerState | None, int, int, bool]], policy: str
) -> None:
    """Restart counts never fall, terminal phases never change, conditions are complete."""
    old: Json | None = None
    for state, attempt, exit_code, has_sandbox in looks:
        found = (
            ()
            if state is None
            else (container(f"c{attempt}", attempt=attempt, state=state, exit_code=exit_code),)
        )
        boxes = (sandbox(),) if has_sandbox else (sandbox(ready=False),)
        new = _compute(_runtime(*found, boxes=boxes), policy=policy, old=old)
        assert {"phase", "conditions", "startTime", "containerStatuses"} <= new.keys()
        shown = new["containerStatuses"][0]
        assert len(shown["state"]) == 1
        if old is not None:
            assert shown["restartCount"] >= old["containerStatuses"][0]["restartCount"]
            if old["phase"] in TERMINAL_PHASES:
                assert new["phase"] == old["phase"]
        old = new


@pytest.mark.parametrize("host_network", [False, True])
def test_machine_without_an_address_keeps_the_ones_that_were_told(*, host_network: bool) -> None:
    """Its link is down; the pod is where it was."""
    pod = Pod(pod_json(hostNetwork=host_network))
    runtime = _runtime(container())
    before = _compute(runtime, pod=pod)
    context = StatusContext(now="2026-01-01T00:01:00Z", host_ips=())
    after = compute_pod_status(pod, runtime, before, context)

    assert before["hostIPs"] == [{"ip": "192.0.2.1"}]
    for key in ("hostIP", "hostIPs", "podIP", "podIPs"):
        assert after.get(key) == before.get(key)


EVICTED = PodFailure(reason="Evicted", message="low on memory", is_disruption=True)


def _ending(failure: PodFailure) -> StatusContext:
    return StatusContext(
        now="2026-01-01T00:00:00Z", host_ips=("192.0.2.1",), is_terminal=True, failure=failure
    )


def test_terminal_phase_waits_until_nothing_runs() -> None:
    """Whoever sees it takes the pod's place on the machine for free."""
    pod = Pod(pod_json())
    before = _compute(_runtime(container()))
    while_running = compute_pod_status(pod, _runtime(container()), before, _ending(EVICTED))
    assert while_running["phase"] == "Running"
    assert "reason" not in while_running
    assert "DisruptionTarget" not in [each["type"] for each in while_running["conditions"]]
    after = compute_pod_status(pod, _runtime(_ended(0)), while_running, _ending(EVICTED))
    assert (after["phase"], after["reason"], after["message"]) == (
        "Failed",
        "Evicted",
        "low on memory",
    )
    disruption = _condition(after, "DisruptionTarget")
    assert (disruption["reason"], disruption["message"]) == (
        "TerminationByKubelet",
        "low on memory",
    )
    final = compute_final_status(pod, after, _ending(EVICTED))
    assert (final["phase"], final["reason"]) == ("Failed", "Evicted")
    assert _condition(final, "DisruptionTarget") == disruption


def test_deadline_is_no_disruption() -> None:
    """The pod asked for it itself."""
    failure = PodFailure(reason="DeadlineExceeded", message="m")
    status = compute_pod_status(Pod(pod_json()), _runtime(_ended(0)), None, _ending(failure))
    assert status["reason"] == "DeadlineExceeded"
    assert "DisruptionTarget" not in [each["type"] for each in status["conditions"]]


def test_failed_init_container_leaves_the_others_waiting() -> None:
    """Their turn never came, so nobody says that they failed."""
    init = [{"name": "i", "image": "x"}, {"name": "j", "image": "x"}]
    pod = Pod(pod_json(restartPolicy="Never", initContainers=init))
    status = _compute(_runtime(_ended(1, name="i")), pod=pod, is_terminal=True)
    context = StatusContext(now="2026-01-01T00:00:00Z", host_ips=(), is_terminal=True)
    final = compute_final_status(pod, status, context)
    assert final["phase"] == "Failed"
    states = {each["name"]: each["state"] for each in final["initContainerStatuses"]}
    assert states["i"]["terminated"]["exitCode"] == 1
    assert states["j"] == {"waiting": {"reason": "PodInitializing"}}
    assert final["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}


def test_init_container_of_which_no_end_is_known_has_failed() -> None:
    """It may have run: the pod was deleted meanwhile and the runtime lost it."""
    pod = Pod(deleted(pod_json(initContainers=[{"name": "i", "image": "x"}])))
    context = StatusContext(now="2026-01-01T00:00:00Z", host_ips=(), is_terminal=True)
    final = compute_final_status(pod, _compute(EMPTY, pod=pod, is_terminal=True), context)
    state = final["initContainerStatuses"][0]["state"]
    assert state["terminated"]["reason"] == "ContainerStatusUnknown"
    assert "waiting" in final["containerStatuses"][0]["state"]


def test_rejected_pod_says_only_why() -> None:
    """As under a kubelet; what others said stays."""
    gate = {"type": "gate", "status": "True"}
    pod = Pod(pod_json() | {"status": {"phase": "Pending", "conditions": [gate]}})
    failure = PodFailure(reason="OutOfcpu", message="Pod was rejected: too much")
    context = StatusContext(now="2026-01-01T00:00:00Z", host_ips=("192.0.2.1",))
    rejected = compute_rejected_status(pod, None, context, failure)
    assert rejected == {
        "phase": "Failed",
        "reason": "OutOfcpu",
        "message": "Pod was rejected: too much",
        "conditions": [gate],
        "startTime": "2026-01-01T00:00:00Z",
        "qosClass": "BestEffort",
        "observedGeneration": 1,
    }
    assert compute_pod_status(pod, EMPTY, rejected, context) == rejected
    assert compute_final_status(pod, rejected, context) == rejected


def test_addresses_are_one_of_each_family() -> None:
    """The machine's primary family comes first; spelling is the usual one."""
    boxes = (sandbox(ips=("fd00::0002", "10.0.0.2", "10.0.0.3")),)
    status = _compute(_runtime(container(), boxes=boxes))
    assert [each["ip"] for each in status["podIPs"]] == ["10.0.0.2", "fd00::2"]
    context = StatusContext(now="", host_ips=("2001:db8::1", "192.0.2.1", "192.0.2.2"))
    status = compute_pod_status(Pod(pod_json()), _runtime(container(), boxes=boxes), None, context)
    assert [each["ip"] for each in status["hostIPs"]] == ["2001:db8::1", "192.0.2.1"]
    assert [each["ip"] for each in status["podIPs"]] == ["fd00::2", "10.0.0.2"]


def test_observed_generation_never_falls() -> None:
    """A newer one was acted upon before."""
    old = _compute(_runtime(container())) | {"observedGeneration": 5}
    assert _compute(_runtime(container()), old=old)["observedGeneration"] == 5


def test_resize_is_shown_until_the_pod_ends() -> None:
    """Nobody waits for it then."""
    resize = ({"type": "PodResizeInProgress", "status": "True"},)
    for is_terminal in (False, True):
        context = StatusContext(now="", host_ips=(), resize=resize, is_terminal=is_terminal)
        status = compute_pod_status(Pod(pod_json()), _runtime(container()), None, context)
        types = [each["type"] for each in status["conditions"]]
        assert ("PodResizeInProgress" in types) is not is_terminal
