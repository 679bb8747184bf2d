"""A pod's phase from its containers' statuses; pure.

Source: kubernetes pkg/kubelet/kubelet_pods.go ``getPhase``,
pkg/kubelet/status/status_manager.go ``mergePodStatus``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_runtime.pod_actions.restart_policy import restarts_after
from edge_runtime.pod_status.container_state import RESTARTING_ALL_CONTAINERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_runtime.objects.container import Container, Json
    from edge_runtime.objects.pod import Pod

PENDING = "Pending"
RUNNING = "Running"
SUCCEEDED = "Succeeded"
FAILED = "Failed"
TERMINAL_PHASES = (SUCCEEDED, FAILED)
# Set by us and by others; what others set does not come down to the edge.
DISRUPTION_TARGET = "DisruptionTarget"


@dataclass(slots=True)
class _Init:
    """How far the init containers are."""

    restarting: bool
    pending: int = 0
    pending_sidecars: int = 0
    failed_for_good: int = 0


@dataclass(slots=True)
class _Counts:
    """Regular containers and sidecars by what they do."""

    restarting: bool
    unknown: int = 0
    running: int = 0
    waiting: int = 0
    stopped: int = 0
    stopped_for_good: int = 0
    succeeded: int = 0


def compute_phase(
    pod: Pod,
    statuses: Mapping[str, Json],
    *,
    is_terminal: bool,
    has_started: bool,
    restarting: bool = False,
) -> str:
    """Compute the phase.

    Args:
        pod: The pod.
        statuses: Statuses of its init and regular containers, by name.
        is_terminal: The pod's end began: its containers will not be restarted.
        has_started: A regular container was made in the sandbox that is there: sidecars that
            restart do not bring the pod back to Pending.
        restarting: All containers are being restarted: no end is for good.
    """
    init, counts = _Init(restarting=restarting), _Counts(restarting=restarting)
    for container in pod.init_containers:
        status = statuses.get(container.name)
        if container.is_sidecar:
            _count_sidecar(status, init, counts)
        else:
            _count_init(pod, container, status, init)
    for container in pod.containers:
        _count_regular(pod, container, statuses.get(container.name), counts)
    if init.failed_for_good:
        return FAILED
    if init.pending or (init.pending_sidecars and not has_started) or counts.waiting:
        return PENDING
    return _phase_of(counts, is_terminal=is_terminal)


def held_back(status: Json, before: Json) -> Json:
    """Return a status with its turn to a terminal phase, if it has one, put off.

    Whoever sees a terminal phase takes what the pod held for free: it is not told before the pod
    has been stopped. What became of containers and readiness is told at once.

    Args:
        status: Of a pod that still has to be stopped.
        before: What was told last.
    """
    if status["phase"] not in TERMINAL_PHASES or before.get("phase") in TERMINAL_PHASES:
        return status
    known = [each["type"] for each in before.get("conditions") or ()]
    held = {key: value for key, value in status.items() if key not in ("reason", "message")}
    return held | {
        "phase": before.get("phase") or PENDING,
        "conditions": [
            each
            for each in status["conditions"]
            if each["type"] != DISRUPTION_TARGET or DISRUPTION_TARGET in known
        ],
        **{key: before[key] for key in ("reason", "message") if before.get(key)},
    }


def _phase_of(counts: _Counts, *, is_terminal: bool) -> str:
    if counts.unknown or not (counts.running or counts.stopped):
        return PENDING
    restarting = counts.stopped != counts.stopped_for_good
    if counts.running or (restarting and not is_terminal):
        return RUNNING
    return SUCCEEDED if counts.stopped == counts.succeeded else FAILED


def _count_init(pod: Pod, container: Container, status: Json | None, init: _Init) -> None:
    ended = _end(status)
    if ended is None:
        init.pending += 1
    elif ended["exitCode"] != 0 and not (init.restarting or _restarts(pod, container, ended)):
        init.failed_for_good += 1


def _count_sidecar(status: Json | None, init: _Init, counts: _Counts) -> None:
    if status is None:
        counts.unknown += 1
    elif "running" in status["state"]:
        counts.running += 1
        init.pending_sidecars += not status.get("started")
    elif _end(status) is None:
        # One that ended counts for nothing: it does not keep the pod, nor make it fail.
        init.pending_sidecars += 1
        counts.waiting += 1


def _count_regular(pod: Pod, container: Container, status: Json | None, counts: _Counts) -> None:
    if status is None:
        counts.unknown += 1
        return
    if "running" in status["state"]:
        counts.running += 1
        return
    ended = _end(status)
    if ended is None:
        counts.waiting += 1
        return
    counts.stopped += 1
    counts.stopped_for_good += not (counts.restarting or _restarts(pod, container, ended))
    counts.succeeded += "terminated" in status["state"] and ended["exitCode"] == 0


def _restarts(pod: Pod, container: Container, ended: Json) -> bool:
    """Whether a container that ended so starts again: one that was taken away does."""
    was_reset = ended.get("reason") == RESTARTING_ALL_CONTAINERS
    return was_reset or restarts_after(pod, container, int(ended["exitCode"]))


def _end(status: Json | None) -> Json | None:
    """Return how a container ended that does not run; None for one that never ran to an end."""
    if status is None or "running" in status["state"]:
        return None
    last: Json = status.get("lastState") or {}
    found: Json | None = status["state"].get("terminated") or last.get("terminated")
    return found
