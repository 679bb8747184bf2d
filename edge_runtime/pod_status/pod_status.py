"""A pod's API status from what the runtime has of it; pure.

Source: kubernetes pkg/kubelet/kubelet_pods.go ``generateAPIPodStatus``,
pkg/kubelet/status/status_manager.go ``mergePodStatus``, ``TerminatePod``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_runtime.objects.container import ContainerKind
from edge_runtime.objects.probe_results import NO_PROBES, ProbeView
from edge_runtime.objects.qos import compute_qos_class
from edge_runtime.objects.runtime_status import ContainerState
from edge_runtime.pod_actions.in_place_restart import is_cleaned_up, restarts_all
from edge_runtime.pod_actions.pod_actions import sandbox_changed
from edge_runtime.pod_status.container_state import WHEN_TERMINATED, lost_state
from edge_runtime.pod_status.container_status import (
    ContainerContext,
    WaitingReason,
    compute_container_statuses,
)
from edge_runtime.pod_status.pod_addresses import compute_addresses
from edge_runtime.pod_status.pod_conditions import (
    ConditionContext,
    compute_conditions,
    foreign_conditions,
)
from edge_runtime.pod_status.pod_phase import (
    FAILED,
    PENDING,
    RUNNING,
    TERMINAL_PHASES,
    compute_phase,
)
from edge_runtime.pod_status.status_resources import pod_allocated_resources, pod_resources_in_force

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_runtime.objects.container import Json
    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.pod_failure import PodFailure
    from edge_runtime.objects.runtime_status import PodRuntimeStatus

_LISTS = {
    ContainerKind.REGULAR: "containerStatuses",
    ContainerKind.INIT: "initContainerStatuses",
    ContainerKind.EPHEMERAL: "ephemeralContainerStatuses",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusContext:
    """What a status depends on beside the pod and the runtime.

    Attributes:
        now: The time to write, RFC 3339.
        host_ips: The machine's own addresses, the primary one first.
        waiting: Why containers could not be started, by name.
        is_terminal: The pod's end began: its containers will not be restarted.
        runtime_name: Scheme of container ids.
        probes: What the probes of its containers found.
        failure: Why it was ended; shown once its containers are (`is_terminal`).
        resize: Conditions of a resize in place.
    """

    now: str
    host_ips: tuple[str, ...]
    waiting: Mapping[str, WaitingReason] = field(default_factory=dict)
    is_terminal: bool = False
    runtime_name: str = "containerd"
    probes: ProbeView = NO_PROBES
    failure: PodFailure | None = None
    resize: Sequence[Json] = ()


def compute_pod_status(
    pod: Pod, status: PodRuntimeStatus, old: Json | None, context: StatusContext
) -> Json:
    """Compute the status of a pod; a terminal phase of `old` stays.

    Args:
        pod: The pod.
        status: What the runtime has of it.
        old: The newest status before; None uses the API's own, which came down with the pod.
        context: The rest.
    """
    before = old if old is not None else pod.status
    if status.is_empty and is_rejected(before):
        return before
    restarting = restarts_all(pod, status, before)
    lists = _container_lists(pod, status, before, context, restarting=restarting)
    by_name = _by_name(lists)
    phase = _phase(pod, status, by_name, before, context, restarting=restarting)
    result: Json = {
        "phase": phase,
        "conditions": compute_conditions(
            pod,
            ConditionContext(
                phase=phase,
                statuses=by_name,
                has_sandbox=not sandbox_changed(pod, status),
                old=before.get("conditions") or (),
                now=context.now,
                resize=() if context.is_terminal else context.resize,
                disruption=_disruption(phase, context),
                restarting=restarting and not is_cleaned_up(pod, status),
            ),
        ),
        "startTime": before.get("startTime") or context.now,
        "qosClass": compute_qos_class(pod).value,
        **lists,
        **_observed_generation(pod, before),
        **compute_addresses(pod, found=status.ips, before=before, host_ips=context.host_ips),
        "resources": pod_resources_in_force(pod, is_running=before.get("phase") == RUNNING),
    }
    if allocated := pod_allocated_resources(pod):
        result["allocatedResources"] = allocated
    if before.get("phase") == phase:
        result |= {key: before[key] for key in ("reason", "message") if before.get(key)}
    elif context.failure is not None and phase == FAILED:
        result |= {"reason": context.failure.reason, "message": context.failure.message}
    return result


def compute_final_status(pod: Pod, old: Json, context: StatusContext) -> Json:
    """Compute the status of a pod of which nothing runs any more: always a terminal phase.

    A container of which no end is known is shown as failed, since nobody can say it was not; one
    whose turn never came still waits.

    Source: kubernetes pkg/kubelet/status/status_manager.go ``TerminatePod``.
    """
    if is_rejected(old):
        return old
    lists: Json = {}
    inits = list(old.get(_LISTS[ContainerKind.INIT]) or ())
    if inits:
        reached = _reached(inits)
        lists[_LISTS[ContainerKind.INIT]] = [
            _ended(each) if index < reached else each for index, each in enumerate(inits)
        ]
    regular = list(old.get(_LISTS[ContainerKind.REGULAR]) or ())
    is_initialized = _was_initialized(pod, inits, regular)
    lists[_LISTS[ContainerKind.REGULAR]] = [
        _ended(each) if is_initialized else each for each in regular
    ]
    shown = str(old.get("phase"))
    phase = shown if shown in TERMINAL_PHASES else FAILED
    conditions = compute_conditions(
        pod,
        ConditionContext(
            # A kubelet turns the phase when the conditions have been told: what never ran keeps
            # "ContainersNotReady".
            phase=shown,
            statuses=_by_name(old),
            has_sandbox=False,
            old=old.get("conditions") or (),
            now=context.now,
            disruption=_disruption(phase, context),
        ),
    )
    return old | lists | {"phase": phase, "conditions": conditions}


def compute_rejected_status(
    pod: Pod, old: Json | None, context: StatusContext, failure: PodFailure
) -> Json:
    """Compute the status of a pod that may not run here and never did.

    It says nothing of containers and their readiness: there are none.

    Source: kubernetes pkg/kubelet/kubelet.go ``rejectPod``.
    """
    before = old if old is not None else pod.status
    return {
        "phase": FAILED,
        "reason": failure.reason,
        "message": failure.message,
        "conditions": foreign_conditions(pod),
        "startTime": before.get("startTime") or context.now,
        "qosClass": compute_qos_class(pod).value,
        **_observed_generation(pod, before),
    }


def is_rejected(status: Json) -> bool:
    """Whether a pod ended before any container of it was there."""
    return status.get("phase") in TERMINAL_PHASES and not status.get("containerStatuses")


def _container_lists(
    pod: Pod,
    status: PodRuntimeStatus,
    before: Json,
    context: StatusContext,
    *,
    restarting: bool,
) -> dict[str, list[Json]]:
    containers = {
        ContainerKind.REGULAR: pod.containers,
        ContainerKind.INIT: pod.init_containers,
        ContainerKind.EPHEMERAL: pod.ephemeral_containers,
    }
    shared = ContainerContext(
        waiting=context.waiting,
        probes=context.probes,
        runtime_name=context.runtime_name,
        restarting=restarting,
    )
    return {
        _LISTS[kind]: compute_container_statuses(
            pod, each, status, old=before.get(_LISTS[kind]) or (), context=shared
        )
        for kind, each in containers.items()
        if each
    }


def _phase(
    pod: Pod,
    status: PodRuntimeStatus,
    statuses: Mapping[str, Json],
    before: Json,
    context: StatusContext,
    *,
    restarting: bool,
) -> str:
    shown = str(before.get("phase") or PENDING)
    if shown in TERMINAL_PHASES:
        return shown
    newest = status.sandbox
    active = newest.id if newest is not None and newest.is_ready else None
    regular = {each.name for each in pod.containers}
    phase = compute_phase(
        pod,
        statuses,
        is_terminal=context.is_terminal,
        has_started=any(
            each.sandbox_id == active and each.name in regular for each in status.containers
        ),
        restarting=restarting,
    )
    if context.is_terminal and context.failure is not None:
        phase = FAILED
    if phase in TERMINAL_PHASES and _may_run(status):
        # Whoever sees a terminal phase takes the pod's resources for free.
        return shown
    return phase


def _may_run(status: PodRuntimeStatus) -> bool:
    states = (ContainerState.RUNNING, ContainerState.UNKNOWN)
    return any(each.state in states for each in status.containers)


def _disruption(phase: str, context: StatusContext) -> str:
    """Return why the pod is a disruption's victim; told together with its terminal phase."""
    failure = context.failure
    if failure is None or not failure.is_disruption or phase not in TERMINAL_PHASES:
        return ""
    return failure.message


def _observed_generation(pod: Pod, before: Json) -> Json:
    generation = max(pod.generation, int(before.get("observedGeneration") or 0))
    return {"observedGeneration": generation} if generation else {}


def _by_name(lists: Mapping[str, Sequence[Json]]) -> dict[str, Json]:
    kinds = (_LISTS[ContainerKind.INIT], _LISTS[ContainerKind.REGULAR])
    return {str(each["name"]): each for kind in kinds for each in lists.get(kind) or ()}


def _reached(inits: Sequence[Json]) -> int:
    """Return how many init containers may have run; one at least.

    Source: kubernetes pkg/kubelet/status/status_manager.go ``initializedContainers``.
    """
    seen = [index for index, each in enumerate(inits) if _ever_ran(each)]
    return max(seen, default=0) + 1


def _was_initialized(pod: Pod, inits: Sequence[Json], regular: Sequence[Json]) -> bool:
    """Return whether the pod came as far as its regular containers.

    Source: kubernetes pkg/kubelet/status/status_manager.go ``hasPodInitialized``.
    """
    if not pod.init_containers or any(_ever_ran(each) for each in regular):
        return True
    if not inits:
        return False
    last = inits[-1]
    if pod.init_containers[-1].is_sidecar:
        return "running" in last["state"] and bool(last.get("started"))
    ends = [(last.get(name) or {}).get("terminated") for name in ("state", "lastState")]
    return any(each is not None and each["exitCode"] == 0 for each in ends)


def _ever_ran(status: Json) -> bool:
    return "waiting" not in status["state"] or "terminated" in (status.get("lastState") or {})


def _ended(status: Json) -> Json:
    if "terminated" in status["state"]:
        return status
    return status | {"state": lost_state(WHEN_TERMINATED), "ready": False, "started": False}
