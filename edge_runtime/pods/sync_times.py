"""When a pod is synced again after a sync, and how long it may be active; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.objects.pod import parse_time
from edge_runtime.objects.pod_failure import PodFailure
from edge_runtime.pods.hooks import POST_START_HOOK_ERROR

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from edge_runtime.objects.container import Json
    from edge_runtime.objects.pod import Pod
    from edge_runtime.pod_actions.pod_actions import PodActions
    from edge_runtime.pod_status.container_status import WaitingReason

# After a container could not be started, unless its back-off says when.
# Source: kubernetes pkg/kubelet/kubelet.go ``backOffPeriod``.
RETRY_S = 10.0
# After that in a new sandbox: a kubelet's PLEG finds the sandbox and has it looked at once more.
# Source: kubernetes pkg/kubelet/kubelet.go ``genericPlegRelistPeriod``.
NEW_SANDBOX_RETRY_S = 1.0
# Source: kubernetes pkg/kubelet/active_deadline.go.
DEADLINE_EXCEEDED = PodFailure(
    reason="DeadlineExceeded",
    message="Pod was active on the node longer than the specified deadline",
)

# Reasons of a container that is there and ended: its back-off decides, and the first restart is
# immediate.
_ENDED = {"RunContainerError", POST_START_HOOK_ERROR}


def compute_active_left_s(pod: Pod, status: Json, *, now: datetime) -> float | None:
    """Return how long a pod may still be active, None for ever; past its deadline it is negative.

    Args:
        pod: The pod.
        status: Its newest status, which says when it started.
        now: The wall clock.

    Source: kubernetes pkg/kubelet/active_deadline.go ``pastActiveDeadline``.
    """
    started_at = status.get("startTime")
    if pod.active_deadline_s is None or not started_at:
        return None
    return pod.active_deadline_s - (now - parse_time(str(started_at))).total_seconds()


def compute_retry_s(
    pod: Pod,
    actions: PodActions,
    *,
    waiting: Mapping[str, WaitingReason],
    resize_failed: bool,
    has_sandbox: bool,
    now_s: float,
) -> float | None:
    """Return how soon a pod is to be synced again, None when nothing came of this sync that asks.

    Args:
        pod: The pod.
        actions: What was decided, and is done.
        waiting: Why containers could not be started, by name.
        resize_failed: What is allocated could not be given to all containers.
        has_sandbox: There is a sandbox.
        now_s: Seconds since the epoch.
    """
    waits_s = [max(each.until_s - now_s, 0.0) for each in actions.back_off]
    failed = [waiting.get(each.name) for each in actions.start]
    reasons = {each.reason for each in failed if each is not None}
    if resize_failed:
        waits_s.append(RETRY_S)
    if not has_sandbox:
        waits_s.append(RETRY_S)
    elif actions.reset or reasons & _ENDED:
        waits_s.append(0.0)
    elif reasons:
        waits_s.append(NEW_SANDBOX_RETRY_S if actions.create_sandbox else RETRY_S)
    if _lets_others_start(pod, actions, waiting):
        waits_s.append(0.0)
    return min(waits_s, default=None)


def _lets_others_start(pod: Pod, actions: PodActions, waiting: Mapping[str, WaitingReason]) -> bool:
    """Whether a sidecar was started: who comes after it may start now, and no PLEG tells of it.

    The cache knew of the start before the PLEG saw it.
    """
    names = {each.name for each in actions.start if each.name not in waiting}
    return any(each.name in names for each in pod.sidecars)
