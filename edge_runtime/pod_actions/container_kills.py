"""Which running containers are killed, and why; pure.

Source: kubernetes pkg/kubelet/kuberuntime/kuberuntime_manager.go ``computePodActions``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_runtime.objects.container import ContainerKind
from edge_runtime.objects.runtime_status import ContainerState
from edge_runtime.runtime.cri_config import container_hash

if TYPE_CHECKING:
    from collections.abc import Collection

    from edge_runtime.objects.container import Container, ContainerID
    from edge_runtime.objects.probe_results import ProbeView
    from edge_runtime.objects.runtime_status import ContainerStatus, PodRuntimeStatus


class KillReason(enum.Enum):
    """Why a container is killed; a probe may bring a grace period of its own.

    Source: kubernetes pkg/kubelet/kuberuntime/kuberuntime_manager.go ``containerKillReason``.
    """

    UNKNOWN = "Unknown"
    STARTUP_PROBE = "StartupProbe"
    LIVENESS_PROBE = "LivenessProbe"
    FAILED_POST_START_HOOK = "FailedPostStartHook"
    RESTART_ALL_CONTAINERS = "RestartAllContainers"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerKill:
    """Kill a container; the message says why."""

    id: ContainerID
    name: str
    message: str
    reason: KillReason = KillReason.UNKNOWN


def kill_changed(container: Container, latest: ContainerStatus) -> ContainerKill | None:
    """Return the kill of a running container that is not the one that is asked for any more."""
    known_hash = latest.container_hash
    if not known_hash or known_hash == container_hash(container):
        return None
    return _kill(container, latest, "definition changed")


def kill_unlive(
    container: Container, latest: ContainerStatus, probes: ProbeView
) -> ContainerKill | None:
    """Return the kill of a running container whose liveness probe failed."""
    if probes.of(container.name, latest.id).live is not False:
        return None
    return _kill(container, latest, "failed liveness probe", KillReason.LIVENESS_PROBE)


def kill_unstarted(
    container: Container, latest: ContainerStatus, probes: ProbeView
) -> ContainerKill | None:
    """Return the kill of a running container whose startup probe failed."""
    if probes.of(container.name, latest.id).started is not False:
        return None
    return _kill(container, latest, "failed startup probe", KillReason.STARTUP_PROBE)


def kill_resized(
    container: Container, latest: ContainerStatus, resized: Collection[ContainerID]
) -> ContainerKill | None:
    """Return the kill of a running container that gets its new size only by starting anew.

    Args:
        container: The container.
        latest: What the runtime has of it.
        resized: Those of which that is so.
    """
    if latest.id not in resized:
        return None
    message = f"Container {container.name} resize requires restart"
    return ContainerKill(id=latest.id, name=container.name, message=message)


def kill_unknown(container: Container, latest: ContainerStatus) -> ContainerKill:
    """Return the kill of a container that perhaps runs: never two of the same."""
    message = f'{_noun(container)} is in "unknown" state, try killing it before restart'
    return ContainerKill(id=latest.id, name=container.name, message=message)


def kill_surplus(container: Container, status: PodRuntimeStatus) -> list[ContainerKill]:
    """Return the kills of older attempts that run: never two of the same container.

    A start that was under way when edgelet was killed may go through after its successor saw the
    container as merely created, and made another.
    """
    message = f"Container {container.name} runs twice, the older one is stopped"
    return [
        ContainerKill(id=each.id, name=container.name, message=message)
        for each in status.containers_named(container.name)[1:]
        if each.state is ContainerState.RUNNING
    ]


def _kill(
    container: Container,
    latest: ContainerStatus,
    why: str,
    reason: KillReason = KillReason.UNKNOWN,
) -> ContainerKill:
    message = f"{_noun(container)} {container.name} {why}"
    return ContainerKill(id=latest.id, name=container.name, message=message, reason=reason)


def _noun(container: Container) -> str:
    return "Init container" if container.kind is ContainerKind.INIT else "Container"
