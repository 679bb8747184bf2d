"""Statuses of a pod's containers as the API shows them; pure.

Source: kubernetes pkg/kubelet/kubelet_pods.go ``convertToAPIContainerStatuses``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, assert_never

from edge_runtime.objects.runtime_status import ContainerState
from edge_runtime.pods.restart_policy import should_restart

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_runtime.objects.container import Container, Json
    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.runtime_status import ContainerStatus, PodRuntimeStatus

CONTAINER_CREATING = "ContainerCreating"
STATUS_UNKNOWN = "ContainerStatusUnknown"
_UNKNOWN_EXIT_CODE = 137
_NOT_LOCATED = "The container could not be located when the pod was "
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingReason:
    """Why a container does not run; `reason` is a word of the API."""

    reason: str
    message: str = ""


def compute_container_statuses(
    pod: Pod,
    status: PodRuntimeStatus,
    *,
    old: Mapping[str, Json],
    waiting: Mapping[str, WaitingReason],
    runtime_name: str,
) -> list[Json]:
    """Compute ``containerStatuses``, sorted by name.

    Args:
        pod: The pod.
        status: What the runtime has of it.
        old: The container statuses before, by name.
        waiting: Why containers could not be started, by name.
        runtime_name: ``containerd``, the scheme of container ids.
    """
    computed = [
        _compute(
            pod,
            container,
            status.containers_named(container.name),
            old=old.get(container.name),
            waiting=waiting.get(container.name),
            runtime_name=runtime_name,
        )
        for container in pod.containers
    ]
    return sorted(computed, key=lambda each: str(each["name"]))


def terminated_as_unknown(status: Json) -> Json:
    """Return a container status that is terminated: as it was, or with a code that says unknown.

    Source: kubernetes pkg/kubelet/status/status_manager.go ``TerminatePod``.
    """
    if "terminated" in status["state"]:
        return status
    return status | {"state": _unknown("terminated"), "ready": False, "started": False}


def format_time(time_ns: int) -> str:
    """Write nanoseconds since the epoch as the API's time, whole seconds; "" for 0."""
    if not time_ns:
        return ""
    return datetime.fromtimestamp(time_ns // _NS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _compute(
    pod: Pod,
    container: Container,
    attempts: tuple[ContainerStatus, ...],
    *,
    old: Json | None,
    waiting: WaitingReason | None,
    runtime_name: str,
) -> Json:
    if attempts:
        result = _from_runtime(container, attempts, old=old, runtime_name=runtime_name)
    else:
        result = _without_runtime(pod, container, old)
    latest = attempts[0] if attempts else None
    if waiting is not None and should_restart(pod, container, latest):
        if "terminated" in result["state"]:
            result["lastState"] = result["state"]
        result["state"] = _waiting(waiting.reason, waiting.message)
    is_running = "running" in result["state"]
    return result | {"ready": is_running, "started": is_running}


def _from_runtime(
    container: Container,
    attempts: tuple[ContainerStatus, ...],
    *,
    old: Json | None,
    runtime_name: str,
) -> Json:
    latest = attempts[0]
    last_state = _last_state(attempts, old=old, runtime_name=runtime_name)
    state = _state(latest, old=old, runtime_name=runtime_name)
    count = latest.restart_count
    if latest.state is ContainerState.UNKNOWN and "terminated" in state and old is not None:
        count = int(old["restartCount"]) + 1
    result = _base(container) | {
        "state": state,
        "lastState": last_state,
        # Never less than was shown before, even if the runtime forgot.
        "restartCount": max(count, int(old["restartCount"]) if old is not None else 0),
        "image": latest.image,
        "imageID": latest.image_ref,
        "containerID": f"{runtime_name}://{latest.id}",
        "resources": dict(container.raw.get("resources") or {}),
    }
    if container.requests:
        result["allocatedResources"] = dict(container.requests)
    if latest.user is not None:
        result["user"] = {
            "linux": {
                "uid": latest.user.uid,
                "gid": latest.user.gid,
                "supplementalGroups": list(latest.user.supplemental_groups),
            }
        }
    return result


def _last_state(
    attempts: tuple[ContainerStatus, ...], *, old: Json | None, runtime_name: str
) -> Json:
    if len(attempts) > 1 and attempts[1].state is ContainerState.EXITED:
        return {"terminated": _terminated(attempts[1], runtime_name)}
    if old is None:
        return {}
    # The runtime does not have the attempt before any more; what was known of it is still true.
    is_same = old.get("containerID") == f"{runtime_name}://{attempts[0].id}"
    if not is_same and "terminated" in old["state"]:
        return dict(old["state"])
    return dict(old.get("lastState") or {})


def _without_runtime(pod: Pod, container: Container, old: Json | None) -> Json:
    """Compute the status of a container that the runtime does not have (any more)."""
    result = _base(container) | {"state": _waiting(CONTAINER_CREATING), "lastState": {}}
    if old is None:
        return result
    if "terminated" in old["state"]:
        return dict(old)
    result |= {"restartCount": old["restartCount"], "lastState": old.get("lastState") or {}}
    if "running" in old["state"] and not result["lastState"]:
        # It ran and vanished: terminated somehow, or the pod would seem never to have started.
        result["lastState"] = _unknown("deleted.  The container used to be Running")
        if not pod.is_deleted:
            result["restartCount"] = int(old["restartCount"]) + 1
    return result


def _base(container: Container) -> Json:
    return {"name": container.name, "image": container.image, "imageID": "", "restartCount": 0}


def _state(status: ContainerStatus, *, old: Json | None, runtime_name: str) -> Json:
    match status.state:
        case ContainerState.RUNNING:
            return {"running": {"startedAt": format_time(status.started_at_ns)}}
        case ContainerState.EXITED:
            return {"terminated": _terminated(status, runtime_name)}
        case ContainerState.UNKNOWN if old is not None and "running" in old["state"]:
            return _unknown("terminated")
        case ContainerState.CREATED | ContainerState.UNKNOWN:
            return _waiting(CONTAINER_CREATING)
        case _:
            assert_never(status.state)


def _terminated(status: ContainerStatus, runtime_name: str) -> Json:
    fields = {
        "exitCode": status.exit_code,
        "reason": status.reason,
        "message": status.message,
        "startedAt": format_time(status.started_at_ns),
        "finishedAt": format_time(status.finished_at_ns),
        "containerID": f"{runtime_name}://{status.id}",
    }
    return {name: value for name, value in fields.items() if value != ""}


def _waiting(reason: str, message: str = "") -> Json:
    return {"waiting": {"reason": reason} | ({"message": message} if message else {})}


def _unknown(how: str) -> Json:
    return {
        "terminated": {
            "exitCode": _UNKNOWN_EXIT_CODE,
            "reason": STATUS_UNKNOWN,
            "message": _NOT_LOCATED + how,
        }
    }
