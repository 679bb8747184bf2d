"""States of containers as the API shows them; pure.

Source: kubernetes pkg/kubelet/kubelet_pods.go ``convertToAPIContainerStatuses``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, assert_never

from edge_runtime.objects.runtime_status import ContainerState

if TYPE_CHECKING:
    from edge_runtime.objects.container import Json
    from edge_runtime.objects.runtime_status import ContainerStatus

CONTAINER_CREATING = "ContainerCreating"
POD_INITIALIZING = "PodInitializing"
RESTARTING_ALL_CONTAINERS = "RestartingAllContainers"
STATUS_UNKNOWN = "ContainerStatusUnknown"
WHEN_TERMINATED = "terminated"
WHEN_DELETED = "deleted.  The container used to be Running"
_UNKNOWN_EXIT_CODE = 137
_REMOVED = "The container is removed because RestartAllContainers in place"
_NOT_LOCATED = "The container could not be located when the pod was "
_NS = 1_000_000_000


def format_time(time_ns: int) -> str:
    """Write nanoseconds since the epoch as the API's time, whole seconds.

    A container that ended without having started shows 1970, as under a kubelet.
    """
    return datetime.fromtimestamp(time_ns // _NS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def waiting_state(reason: str = "", message: str = "") -> Json:
    """Return the state of a container that does not run (yet)."""
    fields = {"reason": reason, "message": message}
    return {"waiting": {name: value for name, value in fields.items() if value}}


def lost_state(when: str) -> Json:
    """Return the state of a container that ran and of which nobody saw the end.

    Args:
        when: WHEN_TERMINATED or WHEN_DELETED.
    """
    return {
        "terminated": {
            "exitCode": _UNKNOWN_EXIT_CODE,
            "reason": STATUS_UNKNOWN,
            "message": _NOT_LOCATED + when,
        }
    }


def reset_states() -> Json:
    """Return ``state`` and ``lastState`` of a container that was removed to start anew."""
    ended = {
        "exitCode": _UNKNOWN_EXIT_CODE,
        "reason": RESTARTING_ALL_CONTAINERS,
        "message": _REMOVED,
    }
    return {
        "state": waiting_state(RESTARTING_ALL_CONTAINERS, _REMOVED),
        "lastState": {"terminated": ended},
    }


def runtime_state(status: ContainerStatus, *, was_running: bool, runtime_name: str) -> Json:
    """Return the state of a container that the runtime has.

    Args:
        status: One attempt.
        was_running: Its status before showed it running.
        runtime_name: ``containerd``, the scheme of container ids.
    """
    match status.state:
        case ContainerState.RUNNING:
            return {"running": {"startedAt": format_time(status.started_at_ns)}}
        case ContainerState.EXITED:
            return {"terminated": _terminated(status, runtime_name)}
        case ContainerState.UNKNOWN if was_running:
            # "Never ran" is not "ran and failed": it must not look as if it were to run first.
            return lost_state(WHEN_TERMINATED)
        case ContainerState.CREATED | ContainerState.UNKNOWN:
            return waiting_state()
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
