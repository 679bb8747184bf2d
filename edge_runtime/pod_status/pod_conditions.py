"""Conditions of a pod's API status; pure.

Source: kubernetes pkg/kubelet/status/generate.go, pkg/kubelet/types/pod_status.go.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_runtime.pod_actions.in_place_restart import (
    ALL_CONTAINERS_RESTARTING,
    may_restart_all,
)
from edge_runtime.pod_status.pod_phase import DISRUPTION_TARGET, FAILED, SUCCEEDED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from edge_runtime.objects.container import Container, Json
    from edge_runtime.objects.pod import Pod

READY_TO_START = "PodReadyToStartContainers"
INITIALIZED = "Initialized"
READY = "Ready"
CONTAINERS_READY = "ContainersReady"
SCHEDULED = "PodScheduled"
RESIZE_PENDING = "PodResizePending"
RESIZE_IN_PROGRESS = "PodResizeInProgress"
OWNED = (
    READY_TO_START,
    INITIALIZED,
    READY,
    CONTAINERS_READY,
    SCHEDULED,
    RESIZE_PENDING,
    RESIZE_IN_PROGRESS,
    ALL_CONTAINERS_RESTARTING,
)
TERMINATION_BY_KUBELET = "TerminationByKubelet"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    is_true: bool
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionContext:
    """What conditions depend on beside the pod.

    Attributes:
        phase: The phase that goes with them.
        statuses: Statuses of init and regular containers, by name.
        has_sandbox: Whether a sandbox with its network is there.
        old: The conditions before; ``lastTransitionTime`` changes only with the status.
        now: The time to write, RFC 3339.
        resize: Conditions of a resize in place, as they are to be shown.
        disruption: Why the pod is ended through no fault of its own, "" when it is not.
        restarting: Containers are being removed so that all of them start anew.
    """

    phase: str
    statuses: Mapping[str, Json]
    has_sandbox: bool
    old: Sequence[Json]
    now: str
    resize: Sequence[Json] = field(default_factory=tuple)
    disruption: str = ""
    restarting: bool = False


def foreign_conditions(pod: Pod) -> list[Json]:
    """Return the conditions that others own, as they came down."""
    return [each for each in pod.status.get("conditions") or () if each["type"] not in OWNED]


def compute_conditions(pod: Pod, context: ConditionContext) -> list[Json]:
    """Compute all conditions: foreign ones, those of a resize, then the kubelet's in its order."""
    foreign = foreign_conditions(pod)
    before = {str(each["type"]): each for each in context.old}
    containers_ready = _containers_ready(pod, context)
    verdicts = {
        READY_TO_START: _Verdict(is_true=context.has_sandbox),
        INITIALIZED: _initialized(pod, context, before.get(INITIALIZED)),
        READY: _ready(pod, containers_ready, foreign),
        CONTAINERS_READY: containers_ready,
        SCHEDULED: _Verdict(is_true=True),
    }
    owned = [
        _condition(name, verdict, generation=pod.generation, old=before.get(name), now=context.now)
        for name, verdict in verdicts.items()
    ]
    restarting = _restarting(pod, context, before)
    return [*foreign, *context.resize, *_disruption(pod, context, before), *owned, *restarting]


def _disruption(pod: Pod, context: ConditionContext, before: Mapping[str, Json]) -> list[Json]:
    known = before.get(DISRUPTION_TARGET)
    if known is not None or not context.disruption:
        return [known] if known is not None else []
    verdict = _Verdict(is_true=True, reason=TERMINATION_BY_KUBELET, message=context.disruption)
    return [
        _condition(DISRUPTION_TARGET, verdict, generation=pod.generation, old=None, now=context.now)
    ]


def _restarting(pod: Pod, context: ConditionContext, before: Mapping[str, Json]) -> list[Json]:
    """Return AllContainersRestarting of a pod that may ever restart so.

    Without a generation, as a kubelet writes it.

    Source: kubernetes pkg/kubelet/status/generate.go ``GenerateAllContainersRestartingCondition``.
    """
    if not may_restart_all(pod):
        return []
    ends = {SUCCEEDED: "PodCompleted", FAILED: "PodFailed"}
    verdict = _Verdict(is_true=False, reason=ends.get(context.phase, ""))
    if context.restarting and context.phase not in ends:
        verdict = _Verdict(
            is_true=True,
            reason="RestartAllContainersStarted",
            message="container exited with restart policy rule",
        )
    name, old = ALL_CONTAINERS_RESTARTING, before.get(ALL_CONTAINERS_RESTARTING)
    return [_condition(name, verdict, generation=0, old=old, now=context.now)]


def _containers_ready(pod: Pod, context: ConditionContext) -> _Verdict:
    containers = (*pod.sidecars, *pod.containers)
    unknown = _names(containers, lambda each: each.name not in context.statuses)
    unready = _names(
        containers,
        lambda each: each.name in context.statuses and not context.statuses[each.name]["ready"],
    )
    if context.phase == SUCCEEDED and not unknown:
        return _Verdict(is_true=False, reason="PodCompleted")
    if context.phase == FAILED:
        return _Verdict(is_true=False, reason="PodFailed")
    message = _listed("unready", unknown=unknown, others=unready)
    if message:
        return _Verdict(is_true=False, reason="ContainersNotReady", message=message)
    return _Verdict(is_true=True)


def _initialized(pod: Pod, context: ConditionContext, before: Json | None) -> _Verdict:
    unknown = _names(pod.init_containers, lambda each: each.name not in context.statuses)
    if context.phase == SUCCEEDED and not unknown:
        return _Verdict(is_true=True, reason="PodCompleted")
    incomplete = _names(pod.init_containers, lambda each: _is_incomplete(each, context.statuses))
    message = _listed("incomplete", unknown=unknown, others=incomplete)
    was_initialized = before is not None and before.get("status") == "True"
    if not message or _has_started(pod, context.statuses) or was_initialized:
        # Sidecars that start again do not take it back.
        return _Verdict(is_true=True)
    return _Verdict(is_true=False, reason="ContainersNotInitialized", message=message)


def _is_incomplete(container: Container, statuses: Mapping[str, Json]) -> bool:
    status = statuses.get(container.name)
    if status is None:
        return False
    return not status["started" if container.is_sidecar else "ready"]


def _has_started(pod: Pod, statuses: Mapping[str, Json]) -> bool:
    found = [statuses[each.name]["state"] for each in pod.containers if each.name in statuses]
    return any("waiting" not in each for each in found)


def _ready(pod: Pod, containers_ready: _Verdict, foreign: Sequence[Json]) -> _Verdict:
    if not containers_ready.is_true:
        return containers_ready
    states = {str(each["type"]): str(each["status"]) for each in foreign}
    messages = []
    for gate in pod.spec.get("readinessGates") or ():
        name = str(gate["conditionType"])
        if name not in states:
            messages.append(
                f'corresponding condition of pod readiness gate "{name}" does not exist.'
            )
        elif states[name] != "True":
            messages.append(
                f'the status of pod readiness gate "{name}" is not "True", but {states[name]}'
            )
    if messages:
        reason, message = "ReadinessGatesNotReady", ", ".join(messages)
        return _Verdict(is_true=False, reason=reason, message=message)
    return _Verdict(is_true=True)


def _names(containers: Iterable[Container], wanted: Callable[[Container], bool]) -> list[str]:
    return [each.name for each in containers if wanted(each)]


def _listed(what: str, *, unknown: Sequence[str], others: Sequence[str]) -> str:
    parts = (("unknown", unknown), (what, others))
    return ", ".join(
        f"containers with {kind} status: [{' '.join(names)}]" for kind, names in parts if names
    )


def _condition(
    name: str, verdict: _Verdict, *, generation: int, old: Json | None, now: str
) -> Json:
    status = "True" if verdict.is_true else "False"
    since = now
    if old is not None and old.get("status") == status:
        since = str(old.get("lastTransitionTime") or now)
    condition: Json = {"type": name, "status": status, "lastTransitionTime": since}
    optional = {
        "reason": verdict.reason,
        "message": verdict.message,
        "observedGeneration": generation,
    }
    return condition | {key: value for key, value in optional.items() if value}
