"""Statuses of a pod's containers as the API shows them; pure.

Source: kubernetes pkg/kubelet/kubelet_pods.go ``convertToAPIContainerStatuses``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_runtime.objects.container import ContainerKind
from edge_runtime.objects.runtime_status import ContainerState
from edge_runtime.pod_actions.restart_policy import should_restart
from edge_runtime.pod_status.container_readiness import readiness
from edge_runtime.pod_status.container_state import (
    CONTAINER_CREATING,
    POD_INITIALIZING,
    WHEN_DELETED,
    lost_state,
    reset_states,
    runtime_state,
    waiting_state,
)
from edge_runtime.pod_status.status_resources import container_resources_in_force

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_runtime.objects.container import Container, Json
    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.probe_results import ProbeView
    from edge_runtime.objects.runtime_status import ContainerStatus, PodRuntimeStatus

# All containers of a pod together may say so much.
# Source: kubernetes pkg/kubelet/container/runtime.go ``MaxPodTerminationMessageLogLength``.
MAX_POD_MESSAGE_BYTES = 12 * 1024
_DONE_BEFORE = {
    "terminated": {
        "exitCode": 0,
        "reason": "Completed",
        "message": (
            "Unable to get init container status from container runtime and pod has been"
            " initialized, treat it as exited normally"
        ),
    }
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingReason:
    """Why a container does not run; `reason` is a word of the API."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerContext:
    """What the statuses of all containers of a pod depend on.

    Attributes:
        waiting: Why containers could not be started, by name.
        probes: What their probes found.
        runtime_name: ``containerd``, the scheme of container ids.
        restarting: All containers are being restarted (pod_actions/in_place_restart.py).
    """

    waiting: Mapping[str, WaitingReason]
    probes: ProbeView
    runtime_name: str
    restarting: bool = False


def compute_container_statuses(
    pod: Pod,
    containers: Sequence[Container],
    status: PodRuntimeStatus,
    *,
    old: Sequence[Json],
    context: ContainerContext,
) -> list[Json]:
    """Compute the statuses of containers of one kind: init ones in spec order, others by name.

    Args:
        pod: The pod.
        containers: All its containers of that kind.
        status: What the runtime has of the pod.
        old: Their statuses before.
        context: The rest.
    """
    before = {str(each["name"]): each for each in old}
    computed = [
        _compute(pod, each, status, old=before.get(each.name), context=context)
        for each in containers
    ]
    if any(each.kind is ContainerKind.INIT for each in containers):
        return computed
    return sorted(computed, key=lambda each: str(each["name"]))


def _compute(
    pod: Pod,
    container: Container,
    status: PodRuntimeStatus,
    *,
    old: Json | None,
    context: ContainerContext,
) -> Json:
    attempts = status.containers_named(container.name)
    latest = attempts[0] if attempts else None
    result = (
        _from_runtime(container, attempts, old=old, runtime_name=context.runtime_name)
        if attempts
        else _without_runtime(pod, container, old, restarting=context.restarting)
    )
    result |= _start_state(pod, container, status, result, context)
    verdicts = context.probes.of(container.name, latest.id) if latest is not None else None
    result |= readiness(container, result, verdicts=verdicts, old=old)
    return _with_short_messages(result, MAX_POD_MESSAGE_BYTES // len(pod.all_containers))


def _from_runtime(
    container: Container,
    attempts: tuple[ContainerStatus, ...],
    *,
    old: Json | None,
    runtime_name: str,
) -> Json:
    latest = attempts[0]
    container_id = f"{runtime_name}://{latest.id}"
    was_running = old is not None and "running" in old["state"]
    state = runtime_state(latest, was_running=was_running, runtime_name=runtime_name)
    is_same = old is not None and old.get("containerID") == container_id
    result = _base(container) | {
        "state": state,
        "lastState": _last_state(attempts, old=old, is_same=is_same, runtime_name=runtime_name),
        "restartCount": _restart_count(latest, state, old),
        "image": latest.image,
        "imageID": latest.image_ref,
        "containerID": container_id,
        "resources": container_resources_in_force(
            container, latest, old if is_same and was_running else None
        ),
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


def _restart_count(latest: ContainerStatus, state: Json, old: Json | None) -> int:
    """Return the restart count: never less than was shown before, even if the runtime forgot."""
    if old is None:
        return latest.restart_count
    shown = int(old["restartCount"])
    if latest.state is ContainerState.UNKNOWN and "terminated" in state:
        return shown + 1
    return max(latest.restart_count, shown)


def _last_state(
    attempts: tuple[ContainerStatus, ...], *, old: Json | None, is_same: bool, runtime_name: str
) -> Json:
    if len(attempts) > 1 and attempts[1].state is ContainerState.EXITED:
        return runtime_state(attempts[1], was_running=False, runtime_name=runtime_name)
    if old is None:
        return {}
    # The runtime does not have the attempt before any more; what was known of it is still true.
    if not is_same and "terminated" in old["state"]:
        return dict(old["state"])
    return dict(old.get("lastState") or {})


def _without_runtime(pod: Pod, container: Container, old: Json | None, *, restarting: bool) -> Json:
    """Compute the status of a container that the runtime does not have (any more)."""
    reason = POD_INITIALIZING if pod.init_containers else CONTAINER_CREATING
    result = _base(container) | {"state": waiting_state(reason), "lastState": {}}
    if old is None:
        return result
    is_reset = restarting and container.kind is not ContainerKind.EPHEMERAL
    if is_reset and "waiting" not in old["state"]:
        return result | reset_states() | {"restartCount": int(old["restartCount"]) + 1}
    if "terminated" in old["state"]:
        return dict(old)
    result |= {"restartCount": old["restartCount"], "lastState": old.get("lastState") or {}}
    if "running" in old["state"] and not result["lastState"]:
        # It ran and vanished: terminated somehow, or the pod would seem never to have started.
        result["lastState"] = lost_state(WHEN_DELETED)
        if not pod.is_deleted:
            result["restartCount"] = int(old["restartCount"]) + 1
    return result


def _start_state(
    pod: Pod,
    container: Container,
    status: PodRuntimeStatus,
    result: Json,
    context: ContainerContext,
) -> Json:
    """Return what changes because a container could not be started, or need not be."""
    latest = status.latest(container.name)
    if container.kind is ContainerKind.INIT:
        if latest is not None and _has_succeeded(latest):
            return {}
        if (
            latest is None
            and not container.is_sidecar
            and not context.restarting
            and "waiting" in result["state"]
            and _has_regular_container(pod, status)
        ):
            return {"state": _DONE_BEFORE}
    reason = context.waiting.get(container.name)
    if reason is None or not should_restart(pod, container, latest):
        return {}
    changes: Json = {"state": waiting_state(reason.reason, reason.message)}
    if "terminated" in result["state"]:
        changes["lastState"] = result["state"]
    return changes


def _has_succeeded(latest: ContainerStatus) -> bool:
    return latest.state is ContainerState.EXITED and latest.exit_code == 0


def _has_regular_container(pod: Pod, status: PodRuntimeStatus) -> bool:
    """Whether the pod came as far as its regular containers: its init containers are done."""
    found = [status.latest(each.name) for each in pod.containers]
    return any(each is not None and each.state is not ContainerState.UNKNOWN for each in found)


def _base(container: Container) -> Json:
    base: Json = {
        "name": container.name,
        "image": container.image,
        "imageID": "",
        "restartCount": 0,
    }
    mounts = [_volume_mount(each) for each in container.raw.get("volumeMounts") or ()]
    return base | ({"volumeMounts": mounts} if mounts else {})


def _volume_mount(mount: Json) -> Json:
    shown: Json = {"name": mount["name"], "mountPath": mount["mountPath"]}
    if mount.get("readOnly"):
        is_recursive = mount.get("recursiveReadOnly") == "Enabled"
        shown |= {"readOnly": True, "recursiveReadOnly": "Enabled" if is_recursive else "Disabled"}
    return shown


def _with_short_messages(status: Json, max_bytes: int) -> Json:
    """Cut what containers said last, so that a pod of many does not outgrow its object.

    Source: kubernetes pkg/kubelet/status/status_manager.go ``normalizeStatus``.
    """
    shortened = {}
    for name in ("state", "lastState"):
        ended = status[name].get("terminated")
        if ended is not None and len(str(ended.get("message") or "").encode()) > max_bytes:
            text = ended["message"].encode()[:max_bytes].decode(errors="ignore")
            shortened[name] = {"terminated": ended | {"message": text}}
    return status | shortened
