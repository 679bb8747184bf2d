"""A pod's API status from what the runtime has of it; pure.

Source: kubernetes pkg/kubelet/kubelet_pods.go ``generateAPIPodStatus``, ``getPhase``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_runtime.objects.probe_results import NO_PROBES, ProbeView
from edge_runtime.objects.qos import compute_qos_class
from edge_runtime.pods.container_status import (
    WaitingReason,
    compute_container_statuses,
    terminated_as_unknown,
)
from edge_runtime.pods.pod_actions import sandbox_changed
from edge_runtime.pods.pod_conditions import compute_conditions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_runtime.objects.container import Json
    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.runtime_status import PodRuntimeStatus
    from edge_runtime.pods.pod_failure import PodFailure

TERMINAL_PHASES = ("Succeeded", "Failed")


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
    """

    now: str
    host_ips: tuple[str, ...]
    waiting: Mapping[str, WaitingReason] = field(default_factory=dict)
    is_terminal: bool = False
    runtime_name: str = "containerd"
    probes: ProbeView = NO_PROBES
    failure: PodFailure | None = None


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
    containers = compute_container_statuses(
        pod,
        status,
        old={str(each["name"]): each for each in before.get("containerStatuses") or ()},
        waiting=context.waiting,
        runtime_name=context.runtime_name,
    )
    phase = compute_phase(pod, containers, is_terminal=context.is_terminal)
    if before.get("phase") in TERMINAL_PHASES:
        phase = str(before["phase"])
    elif context.is_terminal and context.failure is not None:
        phase = "Failed"
    has_sandbox = not sandbox_changed(pod, status)
    return _assemble(pod, status, before, containers, phase, has_sandbox, context)


def compute_final_status(pod: Pod, old: Json, context: StatusContext) -> Json:
    """Compute the status of a pod of which nothing runs any more: always a terminal phase.

    A container of which no end is known is shown as failed, since nobody can say it was not.

    Source: kubernetes pkg/kubelet/status/status_manager.go ``TerminatePod``.
    """
    if is_rejected(old):
        return old
    containers = [terminated_as_unknown(each) for each in old.get("containerStatuses") or ()]
    phase = str(old.get("phase"))
    if phase not in TERMINAL_PHASES:
        phase = "Failed"
    conditions = compute_conditions(
        pod,
        phase=phase,
        container_statuses=containers,
        has_sandbox=False,
        old=old.get("conditions") or (),
        now=context.now,
    )
    return old | {"phase": phase, "containerStatuses": containers, "conditions": conditions}


def compute_rejected_status(
    pod: Pod, old: Json | None, context: StatusContext, failure: PodFailure
) -> Json:
    """Compute the status of a pod that may not run here and never did.

    Source: kubernetes pkg/kubelet/kubelet.go ``rejectPod``.
    """
    before = old if old is not None else pod.status
    conditions = compute_conditions(
        pod,
        phase="Failed",
        container_statuses=(),
        has_sandbox=False,
        old=before.get("conditions") or (),
        now=context.now,
    )
    rejected: Json = {
        "phase": "Failed",
        "reason": failure.reason,
        "message": failure.message,
        "conditions": conditions,
        "startTime": before.get("startTime") or context.now,
        "qosClass": compute_qos_class(pod).value,
    }
    if pod.generation:
        rejected["observedGeneration"] = pod.generation
    return before | rejected


def is_rejected(status: Json) -> bool:
    """Whether a pod ended before any container of it was there."""
    return status.get("phase") in TERMINAL_PHASES and not status.get("containerStatuses")


def compute_phase(pod: Pod, containers: Sequence[Json], *, is_terminal: bool) -> str:
    """Compute the phase from the containers' statuses."""
    waiting = running = stopped = succeeded = restarting = 0
    for each in containers:
        state, last = each["state"], each.get("lastState") or {}
        ended = state.get("terminated") or (last.get("terminated") if "waiting" in state else None)
        if "running" in state:
            running += 1
        elif ended is None:
            waiting += 1
        else:
            stopped += 1
            succeeded += "terminated" in state and ended["exitCode"] == 0
            restarting += _restarts(pod, int(ended["exitCode"]))
    if waiting or not (running or stopped):
        return "Pending"
    if running or (restarting and not is_terminal):
        return "Running"
    return "Succeeded" if stopped == succeeded else "Failed"


def _restarts(pod: Pod, exit_code: int) -> bool:
    return pod.restart_policy == "Always" or (pod.restart_policy == "OnFailure" and exit_code != 0)


def _assemble(  # one caller, which computed each of them
    pod: Pod,
    status: PodRuntimeStatus,
    before: Json,
    containers: list[Json],
    phase: str,
    has_sandbox: bool,
    context: StatusContext,
) -> Json:
    result: Json = {
        "phase": phase,
        "conditions": compute_conditions(
            pod,
            phase=phase,
            container_statuses=containers,
            has_sandbox=has_sandbox,
            old=before.get("conditions") or (),
            now=context.now,
        ),
        "startTime": before.get("startTime") or context.now,
        "qosClass": compute_qos_class(pod).value,
        "containerStatuses": containers,
    }
    if pod.generation:
        result["observedGeneration"] = pod.generation
    result |= _addresses(pod, status, before, context.host_ips)
    if before.get("phase") == phase:
        result |= {key: before[key] for key in ("reason", "message") if before.get(key)}
    elif context.failure is not None and phase == "Failed":
        result |= {"reason": context.failure.reason, "message": context.failure.message}
    return result


def _addresses(pod: Pod, status: PodRuntimeStatus, before: Json, host_ips: tuple[str, ...]) -> Json:
    result: Json = {}
    # A machine whose link is down may have no address: what it had is kept, as is what a finished
    # pod had.
    hosts = list(host_ips) or [str(each["ip"]) for each in before.get("hostIPs") or ()]
    if hosts:
        result["hostIP"] = hosts[0]
        result["hostIPs"] = [{"ip": each} for each in hosts]
    found = hosts if pod.host_network else list(status.ips)
    ips = found or [str(each["ip"]) for each in before.get("podIPs") or ()]
    if ips:
        result["podIP"] = ips[0]
        result["podIPs"] = [{"ip": each} for each in ips]
    return result
