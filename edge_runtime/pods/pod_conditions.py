"""Conditions of a pod's API status; pure.

Source: kubernetes pkg/kubelet/status/generate.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_runtime.objects.container import Json
    from edge_runtime.objects.pod import Pod

READY_TO_START = "PodReadyToStartContainers"
INITIALIZED = "Initialized"
READY = "Ready"
CONTAINERS_READY = "ContainersReady"
SCHEDULED = "PodScheduled"
OWNED = (READY_TO_START, INITIALIZED, READY, CONTAINERS_READY, SCHEDULED)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    is_true: bool
    reason: str = ""
    message: str = ""


def compute_conditions(
    pod: Pod,
    *,
    phase: str,
    container_statuses: Sequence[Json],
    has_sandbox: bool,
    old: Sequence[Json],
    now: str,
) -> list[Json]:
    """Compute all conditions: foreign ones as they came down, then ours.

    Args:
        pod: The pod; its status holds the conditions that others own.
        phase: The phase that goes with them.
        container_statuses: The statuses that go with them.
        has_sandbox: Whether a sandbox with its network is there.
        old: The conditions before; ``lastTransitionTime`` changes only with the status.
        now: The time to write, RFC 3339.
    """
    foreign = [each for each in pod.status.get("conditions") or () if each["type"] not in OWNED]
    containers_ready = _containers_ready(phase, container_statuses)
    initialized = _Verdict(is_true=True, reason="PodCompleted" if phase == "Succeeded" else "")
    verdicts = {
        READY_TO_START: _Verdict(is_true=has_sandbox),
        INITIALIZED: initialized,
        READY: _ready(pod, containers_ready, foreign),
        CONTAINERS_READY: containers_ready,
        SCHEDULED: _Verdict(is_true=True),
    }
    before = {str(each["type"]): each for each in old}
    return foreign + [
        _condition(name, verdict, generation=pod.generation, old=before.get(name), now=now)
        for name, verdict in verdicts.items()
    ]


def _containers_ready(phase: str, container_statuses: Sequence[Json]) -> _Verdict:
    if phase == "Succeeded":
        return _Verdict(is_true=False, reason="PodCompleted")
    if phase == "Failed":
        return _Verdict(is_true=False, reason="PodFailed")
    unready = [str(each["name"]) for each in container_statuses if not each["ready"]]
    if not unready:
        return _Verdict(is_true=True)
    message = f"containers with unready status: [{' '.join(unready)}]"
    return _Verdict(is_true=False, reason="ContainersNotReady", message=message)


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
