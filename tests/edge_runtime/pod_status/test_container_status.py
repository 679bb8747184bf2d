"""Statuses of init, regular and ephemeral containers."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from edge_runtime.objects.pod import Pod, PodUID
from edge_runtime.objects.probe_results import ContainerProbes, ProbeView
from edge_runtime.objects.runtime_status import ContainerState, PodRuntimeStatus
from edge_runtime.pod_status.container_status import WaitingReason
from edge_runtime.pod_status.pod_status import StatusContext, compute_pod_status
from tests.fakes.edge_pods import pod_json
from tests.fakes.runtime_values import container, sandbox

if TYPE_CHECKING:
    from edge_runtime.objects.runtime_status import ContainerStatus

Json = dict[str, Any]

SPEC: Json = {
    "initContainers": [
        {"name": "z-first", "image": "x"},
        {"name": "a-sidecar", "image": "x", "restartPolicy": "Always"},
    ],
    "containers": [{"name": "c", "image": "x"}, {"name": "b", "image": "x"}],
    "ephemeralContainers": [{"name": "e", "image": "x"}, {"name": "d", "image": "x"}],
}
PROBED: Json = {
    "containers": [{"name": "c", "image": "x", "startupProbe": {}, "readinessProbe": {}}]
}
LISTS = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")


def _compute(
    *found: ContainerStatus,
    spec: Json | None = None,
    old: Json | None = None,
    probes: ProbeView | None = None,
    waiting: dict[str, WaitingReason] | None = None,
) -> Json:
    status = PodRuntimeStatus(uid=PodUID("u"), sandboxes=(sandbox(),), containers=found)
    context = StatusContext(
        now="2026-01-01T00:00:00Z",
        host_ips=("192.0.2.1",),
        probes=probes or ProbeView(),
        waiting=waiting or {},
    )
    return compute_pod_status(Pod(pod_json(**(spec or SPEC))), status, old, context)


def _of(status: Json, name: str) -> Json:
    found: Json = next(
        each for key in LISTS for each in status.get(key) or () if each["name"] == name
    )
    return found


def _probes(name: str = "c", container_id: str = "c0", **verdicts: Any) -> ProbeView:  # noqa: ANN401
    found = ContainerProbes(container_id=container_id, **verdicts)  # type: ignore[arg-type]
    return ProbeView(containers={name: found})


def _init(exit_code: int) -> ContainerStatus:
    return container(
        "i0", name="z-first", state=ContainerState.EXITED, exit_code=exit_code, finished_at_s=11
    )


def test_order_of_the_lists() -> None:
    """Init containers as in the spec, others by name."""
    status = _compute()
    names = [[each["name"] for each in status[key]] for key in LISTS]
    assert names == [["z-first", "a-sidecar"], ["b", "c"], ["d", "e"]]


def test_pod_with_init_containers_is_initializing() -> None:
    """Of all its containers; without any they are being created."""
    status = _compute()
    states = [each["state"] for key in LISTS for each in status[key]]
    assert states == [{"waiting": {"reason": "PodInitializing"}}] * 6
    plain = _compute(spec={"containers": [{"name": "c", "image": "x"}]})
    assert _of(plain, "c")["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert "initContainerStatuses" not in plain


def test_init_container_that_ended_well_is_ready() -> None:
    """And not started: it does not run."""
    status = _compute(_init(0))
    assert (_of(status, "z-first")["ready"], _of(status, "z-first")["started"]) == (True, False)
    assert not _of(_compute(_init(1)), "z-first")["ready"]


def test_init_container_that_is_backed_off_waits() -> None:
    """One that ended well is never shown so, whatever is remembered of it."""
    waiting = {"z-first": WaitingReason(reason="CrashLoopBackOff", message="m")}
    failed = _of(_compute(_init(1), waiting=waiting), "z-first")
    assert failed["state"] == {"waiting": {"reason": "CrashLoopBackOff", "message": "m"}}
    assert failed["lastState"]["terminated"]["exitCode"] == 1
    assert "terminated" in _of(_compute(_init(0), waiting=waiting), "z-first")["state"]


def test_init_container_that_is_forgotten_is_done_once_the_pod_runs() -> None:
    """It cannot have come so far without it; a sidecar is started again."""
    status = _compute(container("c0", name="c"))
    assert _of(status, "z-first")["state"]["terminated"]["reason"] == "Completed"
    assert _of(status, "z-first")["ready"]
    assert "waiting" in _of(status, "a-sidecar")["state"]
    assert status["phase"] == "Pending"


def test_ephemeral_container_is_never_ready() -> None:
    """It has no probes and counts for nothing."""
    status = _compute(container("e0", name="e"))
    shown = _of(status, "e")
    assert not shown["ready"]
    assert "started" not in shown
    assert shown["state"] == {"running": {"startedAt": "1970-01-01T00:00:10Z"}}


@pytest.mark.parametrize(
    ("verdicts", "started", "ready"),
    [
        ({}, False, False),
        ({"started": False}, False, False),
        ({"started": True}, True, False),
        ({"started": True, "ready": False}, True, False),
        ({"started": True, "ready": True}, True, True),
        ({"ready": True}, False, False),
    ],
)
def test_probes_decide(verdicts: Json, *, started: bool, ready: bool) -> None:
    """Nothing is ready before it started."""
    shown = _of(_compute(container(), spec=PROBED, probes=_probes(**verdicts)), "c")
    assert (shown["started"], shown["ready"]) == (started, ready)


def test_container_without_probes_is_ready_when_it_runs() -> None:
    """A sidecar too."""
    shown = _of(_compute(container("s0", name="a-sidecar")), "a-sidecar")
    assert (shown["started"], shown["ready"]) == (True, True)


def test_restart_of_the_edge_takes_no_readiness_away() -> None:
    """Until its probes find otherwise; another attempt begins anew."""
    before = _compute(container(), spec=PROBED, probes=_probes(started=True, ready=True))
    again = _of(_compute(container(), spec=PROBED, old=before), "c")
    assert (again["started"], again["ready"]) == (True, True)
    worse = _compute(container(), spec=PROBED, old=before, probes=_probes(ready=False))
    assert not _of(worse, "c")["ready"]
    new = _of(_compute(container("c1", attempt=1), spec=PROBED, old=before), "c")
    assert (new["started"], new["ready"]) == (False, False)


def test_verdict_on_the_attempt_before_says_nothing() -> None:
    """It belongs to a container id."""
    probes = _probes(container_id="c0", started=True, ready=True)
    shown = _of(_compute(container("c1", attempt=1), spec=PROBED, probes=probes), "c")
    assert (shown["started"], shown["ready"]) == (False, False)


def test_created_container_waits_without_a_reason() -> None:
    """As under a kubelet."""
    shown = _of(_compute(container(state=ContainerState.CREATED)), "c")
    assert shown["state"] == {"waiting": {}}


def test_container_that_never_started_shows_1970() -> None:
    """As under a kubelet; its exit code is the runtime's."""
    ended = container(state=ContainerState.EXITED, exit_code=128, finished_at_s=12)
    status = dataclasses.replace(
        ended, started_at_ns=0, reason="StartError", message="no such file"
    )
    assert _of(_compute(status), "c")["state"] == {
        "terminated": {
            "exitCode": 128,
            "reason": "StartError",
            "message": "no such file",
            "startedAt": "1970-01-01T00:00:00Z",
            "finishedAt": "1970-01-01T00:00:12Z",
            "containerID": "containerd://c0",
        }
    }


def test_messages_of_a_pod_are_bounded() -> None:
    """12 KiB in all, shared by its containers; no character is cut in two."""
    spec = {"containers": [{"name": each, "image": "x"} for each in ("a", "b", "c")]}
    ended = container(state=ContainerState.EXITED, exit_code=1)
    status = _compute(dataclasses.replace(ended, message="x" + "ä" * 3000), spec=spec)
    message = _of(status, "c")["state"]["terminated"]["message"]
    assert message == "x" + "ä" * 2047


def test_volume_mounts_are_shown() -> None:
    """The runtime does not know the volumes' names."""
    mounts = [
        {"name": "v", "mountPath": "/v"},
        {"name": "r", "mountPath": "/r", "readOnly": True},
    ]
    spec = {"containers": [{"name": "c", "image": "x", "volumeMounts": mounts}]}
    assert _of(_compute(container(), spec=spec), "c")["volumeMounts"] == [
        {"name": "v", "mountPath": "/v"},
        {"name": "r", "mountPath": "/r", "readOnly": True, "recursiveReadOnly": "Disabled"},
    ]


def test_unknown_container_that_ran_has_ended() -> None:
    """It must not look as if it never ran, or a pod that runs once would run twice."""
    before = _compute(container())
    unknown = container(state=ContainerState.UNKNOWN)
    shown = _of(_compute(unknown, old=before), "c")
    assert shown["state"]["terminated"] == {
        "exitCode": 137,
        "reason": "ContainerStatusUnknown",
        "message": "The container could not be located when the pod was terminated",
    }
    assert shown["restartCount"] == 1
    assert _of(_compute(unknown), "c")["state"] == {"waiting": {}}


def _restarting_spec() -> Json:
    """A pod whose ``c`` restarts all containers when it ends with 42."""
    rule = {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}}
    own = {"restartPolicy": "Never", "restartPolicyRules": [rule]}
    return {
        "restartPolicy": "Never",
        "initContainers": [{"name": "i", "image": "x"}],
        "containers": [{"name": "c", "image": "x", **own}, {"name": "b", "image": "x"}],
    }


def test_containers_that_are_taken_away_to_restart_wait_and_count() -> None:
    """The source as well as its victims; counted once, and told by their last state afterwards."""
    spec = _restarting_spec()
    done = container("i0", name="i", state=ContainerState.EXITED)
    source = container("c0", state=ContainerState.EXITED, exit_code=42)
    before = _compute(done, container("c0"), container("b0", name="b"), spec=spec)
    begun = _compute(done, source, container("b0", name="b"), spec=spec, old=before)
    assert _of(begun, "c")["state"]["terminated"]["exitCode"] == 42
    # An init container that is gone was not "done before": it is run again.
    partly = _compute(source, spec=spec, old=begun)
    gone = _compute(spec=spec, old=partly)
    removed = "The container is removed because RestartAllContainers in place"
    ended = {"exitCode": 137, "reason": "RestartingAllContainers", "message": removed}
    for name in ("i", "b", "c"):
        status = _of(gone, name)
        assert status["lastState"] == {"terminated": ended}, name
        assert status["restartCount"] == 1, name
        assert "waiting" in status["state"], name
        assert not status["ready"], name
    waiting = {"reason": "RestartingAllContainers", "message": removed}
    assert _of(gone, "c")["state"] == {"waiting": waiting}
    assert gone["phase"] == "Running"
    again = _compute(container("i1", name="i", attempt=1), spec=spec, old=gone)
    assert _of(again, "i")["restartCount"] == 1
    assert _of(again, "i")["lastState"] == {"terminated": ended}
    assert _of(again, "c")["state"] == {"waiting": {"reason": "PodInitializing"}}
    assert again["phase"] == "Pending"


def test_condition_says_that_all_containers_restart() -> None:
    """From the source's end until the last container is gone; and the pod does not fail by it."""
    spec = _restarting_spec()
    source = container("c0", state=ContainerState.EXITED, exit_code=42)
    victim = container("b0", name="b", state=ContainerState.EXITED, exit_code=137)

    def told(status: Json) -> tuple[str, str]:
        found = [each for each in status["conditions"] if "AllContainers" in each["type"]]
        assert all("observedGeneration" not in each for each in found)
        return found[-1]["status"], found[-1].get("reason", "")

    running = _compute(container("c0"), container("b0", name="b"), spec=spec)
    assert told(running) == ("False", "")
    begun = _compute(source, container("b0", name="b"), spec=spec, old=running)
    assert told(begun) == ("True", "RestartAllContainersStarted")
    assert begun["phase"] == "Running"
    # The source may be gone first where something in between went wrong.
    partly = _compute(victim, spec=spec, old=begun)
    assert told(partly) == ("True", "RestartAllContainersStarted")
    assert partly["phase"] == "Running"
    gone = _compute(spec=spec, old=partly)
    assert told(gone) == ("False", "")
    ended = [
        container(each.id, name=each.name, state=ContainerState.EXITED) for each in (source, victim)
    ]
    assert told(_compute(*ended, spec=spec, old=gone)) == ("False", "PodCompleted")
