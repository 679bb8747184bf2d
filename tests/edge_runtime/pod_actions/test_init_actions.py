"""Init containers, sidecars, ephemeral containers and failed probes, case by case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from edge_runtime.objects.container import ContainerID
from edge_runtime.objects.pod import Pod, PodUID
from edge_runtime.objects.probe_results import NO_PROBES, ContainerProbes, ProbeView
from edge_runtime.objects.runtime_status import ContainerState, ContainerStatus, PodRuntimeStatus
from edge_runtime.pod_actions.container_kills import KillReason
from edge_runtime.pod_actions.pod_actions import PodActions, compute_pod_actions
from edge_runtime.store.local_pod_state import ContainerRecord
from tests.fakes.edge_pods import pod_json
from tests.fakes.runtime_values import container, sandbox

if TYPE_CHECKING:
    from edge_runtime.objects.container import Json
    from edge_runtime.objects.runtime_status import SandboxStatus

RUNNING, EXITED = ContainerState.RUNNING, ContainerState.EXITED
CREATED, UNKNOWN = ContainerState.CREATED, ContainerState.UNKNOWN
PROBE = {"exec": {"command": ["true"]}}


def _pod(*inits: Json, policy: str = "Always", **spec: Any) -> Pod:  # noqa: ANN401  # API JSON
    containers = spec.pop("containers", [{"name": "c", "image": "i"}])
    named = {"restartPolicy": policy, "initContainers": list(inits), "containers": containers}
    return Pod(pod_json(**named, **spec))


def _init(name: str, **fields: object) -> Json:
    return {"name": name, "image": "i", **fields}


def _sidecar(name: str, **fields: object) -> Json:
    return _init(name, restartPolicy="Always", **fields)


def _at(name: str, state: ContainerState, exit_code: int = 0, **fields: Any) -> ContainerStatus:  # noqa: ANN401
    return container(
        f"id-{name}", name=name, state=state, exit_code=exit_code, finished_at_s=990.0, **fields
    )


def _compute(
    pod: Pod,
    *containers: ContainerStatus,
    probes: ProbeView = NO_PROBES,
    sandboxes: tuple[SandboxStatus, ...] | None = None,
    records: tuple[ContainerRecord, ...] = (),
) -> PodActions:
    status = PodRuntimeStatus(
        uid=PodUID("u"),
        sandboxes=(sandbox(),) if sandboxes is None else sandboxes,
        containers=containers,
    )
    named = {each.name: each for each in records}
    return compute_pod_actions(pod, status, records=named, probes=probes, now_s=1000.0)


def _found(name: str, **verdicts: Any) -> ProbeView:  # noqa: ANN401
    probes = ContainerProbes(container_id=ContainerID(f"id-{name}"), **verdicts)
    return ProbeView(containers={name: probes})


def _starts(actions: PodActions) -> list[str]:
    return [each.name for each in actions.start]


A, B = _init("a"), _init("b")
S, T = _sidecar("s"), _sidecar("t")


@pytest.mark.parametrize(
    ("inits", "containers", "starts"),
    [
        ((A, B), (), ["a"]),
        ((A, B), (_at("a", RUNNING),), []),
        ((A, B), (_at("a", CREATED),), ["a"]),
        ((A, B), (_at("a", EXITED),), ["b"]),
        ((A, B), (_at("a", EXITED, 1),), ["a"]),
        ((A, B), (_at("b", RUNNING),), []),
        ((A, B), (_at("b", EXITED),), ["c"]),
        ((A, B), (_at("c", RUNNING),), []),
        ((A, B), (_at("c", EXITED),), ["c"]),
        ((S, B), (_at("s", RUNNING),), ["b"]),
        ((S, B), (_at("s", EXITED, 1),), ["s"]),
        ((S, B), (_at("s", EXITED), _at("b", RUNNING)), ["s"]),
        ((S, B), (_at("s", RUNNING), _at("b", EXITED)), ["c"]),
        ((S, T), (_at("s", RUNNING),), ["t"]),
        ((S, T), (_at("s", RUNNING), _at("t", RUNNING)), ["c"]),
        ((S, T), (_at("c", RUNNING),), ["s", "t"]),
        ((S, T), (_at("t", EXITED), _at("s", RUNNING), _at("c", RUNNING)), ["t"]),
    ],
)
def test_next_init_container(
    inits: tuple[Json, ...], containers: tuple[ContainerStatus, ...], starts: list[str]
) -> None:
    """One at a time, in order; sidecars are kept running; nothing is initialised twice."""
    assert _starts(_compute(_pod(*inits), *containers)) == starts


@pytest.mark.parametrize(
    ("policy", "fields", "exit_code", "finished"),
    [
        ("Never", {}, 1, True),
        ("OnFailure", {}, 1, False),
        ("Always", {"restartPolicy": "Never"}, 1, True),
        ("Never", {"restartPolicy": "OnFailure"}, 1, False),
        (
            "Never",
            {
                "restartPolicy": "Never",
                "restartPolicyRules": [
                    {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}
                ],
            },
            42,
            False,
        ),
        ("Never", {}, 0, False),
    ],
)
def test_failed_init_container_ends_the_pod_unless_it_restarts(
    policy: str, fields: Json, exit_code: int, *, finished: bool
) -> None:
    """Its own rules first, then its own policy, then the pod's."""
    actions = _compute(_pod(_init("a", **fields), policy=policy), _at("a", EXITED, exit_code))
    assert actions.is_finished is finished


def test_sidecar_with_a_startup_probe_lets_the_next_start_once_it_succeeded() -> None:
    """Not known yet waits, failed restarts."""
    pod, running = _pod(_sidecar("s", startupProbe=PROBE), B), _at("s", RUNNING)
    assert _starts(_compute(pod, running)) == []
    assert _starts(_compute(pod, running, probes=_found("s", started=True))) == ["b"]
    failed = _compute(pod, running, probes=_found("s", started=False))
    assert _starts(failed) == ["s"]
    (kill,) = failed.kill
    assert (kill.message, kill.reason) == (
        "Init container s failed startup probe",
        KillReason.STARTUP_PROBE,
    )


def test_verdict_on_the_attempt_before_says_nothing() -> None:
    """A new container starts unknown."""
    pod = _pod(_sidecar("s", startupProbe=PROBE), B)
    old = ContainerProbes(container_id=ContainerID("older"), started=True)
    actions = _compute(pod, _at("s", RUNNING), probes=ProbeView(containers={"s": old}))
    assert _starts(actions) == []


def test_sidecar_that_is_not_alive_restarts_while_the_rest_goes_on() -> None:
    """It does not hold up the regular containers."""
    pod = _pod(_sidecar("s", livenessProbe=PROBE))
    actions = _compute(pod, _at("s", RUNNING), _at("c", RUNNING), probes=_found("s", live=False))
    assert [each.message for each in actions.kill] == ["Init container s failed liveness probe"]
    assert _starts(actions) == ["s"]


@pytest.mark.parametrize("state", [RUNNING, EXITED])
def test_sidecar_does_not_keep_the_pod_alive(state: ContainerState) -> None:
    """Nor is it started again once all regular containers ended."""
    actions = _compute(_pod(S, policy="Never"), _at("s", state), _at("c", EXITED))
    assert actions.is_finished
    assert actions.start == ()


@pytest.mark.parametrize(
    ("verdict", "policy", "message", "reason"),
    [
        ("live", "Always", "liveness probe, will be restarted", KillReason.LIVENESS_PROBE),
        ("started", "OnFailure", "startup probe, will be restarted", KillReason.STARTUP_PROBE),
        ("live", "Never", "liveness probe", KillReason.LIVENESS_PROBE),
    ],
)
def test_failed_probe_kills(verdict: str, policy: str, message: str, reason: KillReason) -> None:
    """In the kubelet's words; whether it starts again is the policy's."""
    pod = _pod(policy=policy, containers=[_init("c"), _init("d")])
    found = _found("c", **{verdict: False})
    actions = _compute(pod, _at("c", RUNNING), _at("d", RUNNING), probes=found)
    (kill,) = actions.kill
    assert (kill.message, kill.reason) == (f"Container c failed {message}", reason)
    assert _starts(actions) == ([] if policy == "Never" else ["c"])
    assert not actions.is_finished


def test_lost_sandbox_begins_with_the_first_init_container() -> None:
    """What ran in the lost one is purged, or it would seem initialised."""
    before = (_at("c", RUNNING), _at("b", EXITED), _at("a", EXITED))
    actions = _compute(_pod(A, B), *before, sandboxes=(sandbox(ready=False),))
    assert actions.create_sandbox
    assert _starts(actions) == ["a"]
    assert actions.purge == ("id-b", "id-a")
    assert [each.attempt for each in actions.start] == [1]


def test_init_containers_of_an_older_sandbox_do_not_count() -> None:
    """Even where their purge was lost."""
    sandboxes = (sandbox("s1", attempt=1), sandbox("s0", ready=False))
    actions = _compute(_pod(A, B), _at("b", EXITED), _at("a", EXITED), sandboxes=sandboxes)
    assert _starts(actions) == ["a"]


def test_ephemeral_container_starts_once() -> None:
    """Also while init containers run; never again, even if the runtime forgot it."""
    pod = _pod(A, ephemeralContainers=[_init("e")])
    assert _starts(_compute(pod, _at("a", RUNNING))) == ["e"]
    for state in (CREATED, RUNNING, EXITED, UNKNOWN):
        assert _starts(_compute(pod, _at("a", RUNNING), _at("e", state))) == []
    forgotten = _compute(pod, _at("a", RUNNING), records=(ContainerRecord(name="e", attempt=0),))
    assert _starts(forgotten) == []


def test_ephemeral_container_does_not_keep_the_pod_alive() -> None:
    """It ends with the regular ones."""
    pod = _pod(policy="Never", ephemeralContainers=[_init("e")])
    assert _compute(pod, _at("e", RUNNING), _at("c", EXITED)).is_finished


def test_restart_count_goes_on_from_what_the_api_shows() -> None:
    """After an edge lost its disk; a count of a container that never was does not count."""
    raw = pod_json(containers=[_init("c"), _init("d")])
    shown = [
        {"name": "c", "restartCount": 6, "containerID": "containerd://x"},
        {"name": "d", "restartCount": 0},
    ]
    actions = _compute(Pod(raw | {"status": {"containerStatuses": shown}}))
    assert [(each.name, each.attempt) for each in actions.start] == [("c", 7), ("d", 0)]


def test_sidecar_starts_anew_for_its_size() -> None:
    """The rest goes on meanwhile."""
    status = PodRuntimeStatus(
        uid=PodUID("u"),
        sandboxes=(sandbox(),),
        containers=(_at("s", ContainerState.RUNNING), _at("c", ContainerState.RUNNING)),
    )
    actions = compute_pod_actions(
        _pod(S),
        status,
        records={},
        probes=NO_PROBES,
        now_s=1000.0,
        resized={ContainerID("id-s")},
    )
    assert [each.message for each in actions.kill] == ["Container s resize requires restart"]
    assert _starts(actions) == ["s"]
