"""When all containers of a pod start anew in its sandbox, and what goes away for that; pure.

    a container ends with an exit code whose rule says RestartAllContainers (a source)
      ──> condition AllContainersRestarting is True
      ──> all init and regular containers are stopped and removed, sources last
      ──> the condition is False, and the pod starts as a new one does: init containers first

Source: kubernetes pkg/kubelet/container/helpers.go ``ShouldAllContainersRestart``,
``AllContainersRestartCleanedUp``; pkg/kubelet/kuberuntime/kuberuntime_manager.go
``getContainersToReset``; pkg/api/v1/pod/util.go ``AllContainersCouldRestart`` (KEP-5532).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_runtime.objects.runtime_status import ContainerState
from edge_runtime.pod_actions.restart_policy import (
    RESTART_ALL_CONTAINERS,
    all_ended,
    rule_action,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_runtime.objects.container import Container, ContainerID, Json
    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.runtime_status import ContainerStatus, PodRuntimeStatus

# The condition that says so, and with it outlives a restart of this process.
ALL_CONTAINERS_RESTARTING = "AllContainersRestarting"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerReset:
    """Remove a container, and stop it first if it may still run."""

    id: ContainerID
    name: str
    attempt: int
    kill: bool


def may_restart_all(pod: Pod) -> bool:
    """Return whether there is any end of a container that restarts them all."""
    return any(
        rule.get("action") == RESTART_ALL_CONTAINERS
        for container in (*pod.init_containers, *pod.containers)
        for rule in container.restart_rules
    )


def restarts_all(pod: Pod, status: PodRuntimeStatus, before: Json) -> bool:
    """Return whether all containers of a pod are to start anew.

    A pod whose regular containers all ended for good has ended: a sidecar's end comes too late.

    Args:
        pod: The pod.
        status: What the runtime has of it.
        before: Its status before: what was begun is brought to its end.
    """
    if not may_restart_all(pod):
        return False
    if _has_begun(before):
        return True
    return not all_ended(pod, status) and any(
        _is_source(container, latest)
        for container in (*pod.init_containers, *pod.containers)
        if (latest := status.latest(container.name)) is not None
    )


def is_cleaned_up(pod: Pod, status: PodRuntimeStatus) -> bool:
    """Return whether the runtime has no init and no regular container of the pod any more."""
    return all(
        status.latest(container.name) is None
        for container in (*pod.init_containers, *pod.containers)
    )


def containers_to_reset(pod: Pod, status: PodRuntimeStatus) -> tuple[ContainerReset, ...]:
    """Return what is removed, in this order; every attempt, that nothing is restarted from it.

    Regular containers go before init ones, and the sources of the restart last of all: as long as
    one is there, it tells why the others went.
    """
    init_sources, inits = _parted(pod.init_containers, status)
    sources, regular = _parted(pod.containers, status)
    return (*regular, *inits, *sources, *init_sources)


def _parted(
    containers: Sequence[Container], status: PodRuntimeStatus
) -> tuple[list[ContainerReset], list[ContainerReset]]:
    """Return the sources among the attempts of containers, and the others."""
    sources: list[ContainerReset] = []
    others: list[ContainerReset] = []
    for container in containers:
        for each in status.containers_named(container.name):
            reset = ContainerReset(
                id=each.id,
                name=each.name,
                attempt=each.restart_count,
                kill=each.state is not ContainerState.EXITED,
            )
            (sources if _is_source(container, each) else others).append(reset)
    return sources, others


def _is_source(container: Container, attempt: ContainerStatus) -> bool:
    return (
        attempt.state is ContainerState.EXITED
        and rule_action(container, attempt.exit_code) == RESTART_ALL_CONTAINERS
    )


def _has_begun(before: Json) -> bool:
    return any(
        each.get("type") == ALL_CONTAINERS_RESTARTING and each.get("status") == "True"
        for each in before.get("conditions") or ()
    )
