"""Whether a container that ended starts again; pure.

A container's own rules come first, then its own policy, then the pod's.

Source: kubernetes pkg/api/v1/pod/util.go ``ContainerShouldRestart``,
``FindMatchingContainerRestartRule``, ``IsContainerRestartable`` (KEP-5307).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.objects.runtime_status import ContainerState

if TYPE_CHECKING:
    from edge_runtime.objects.container import Container
    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.runtime_status import ContainerStatus, PodRuntimeStatus

RESTART = "Restart"
RESTART_ALL_CONTAINERS = "RestartAllContainers"
NEVER = "Never"
ON_FAILURE = "OnFailure"


def rule_action(container: Container, exit_code: int) -> str:
    """Return the action of the first of a container's rules that fits, "" when none does."""
    for rule in container.restart_rules:
        codes = rule.get("exitCodes") or {}
        is_listed = exit_code in (codes.get("values") or ())
        operator = codes.get("operator")
        if (operator == "In" and is_listed) or (operator == "NotIn" and not is_listed):
            return str(rule.get("action") or "")
    return ""


def effective_policy(pod: Pod, container: Container) -> str:
    """Return the container's own restart policy, or the pod's."""
    return container.restart_policy or pod.restart_policy


def restarts_after(pod: Pod, container: Container, exit_code: int) -> bool:
    """Return whether a container that ended with this exit code starts again."""
    if container.restart_policy and rule_action(container, exit_code) in (
        RESTART,
        RESTART_ALL_CONTAINERS,
    ):
        return True
    policy = effective_policy(pod, container)
    return policy != NEVER and (policy != ON_FAILURE or exit_code != 0)


def restarts_killed(pod: Pod, container: Container) -> bool:
    """Return whether a container that is killed while it runs starts again; it has no exit code."""
    return effective_policy(pod, container) != NEVER


def is_restartable(pod: Pod, container: Container) -> bool:
    """Return whether there is any end after which a container starts again."""
    rules = container.restart_rules if container.restart_policy else ()
    return restarts_killed(pod, container) or any(each.get("action") == RESTART for each in rules)


def should_restart(pod: Pod, container: Container, status: ContainerStatus | None) -> bool:
    """Return whether a regular container is to be started; `status` is its newest attempt.

    Source: kubernetes pkg/kubelet/container/helpers.go ``ShouldContainerBeRestarted``.
    """
    if pod.is_deleted:
        return False
    if status is None or status.state in (ContainerState.UNKNOWN, ContainerState.CREATED):
        return True
    if status.state is ContainerState.RUNNING:
        return False
    return restarts_after(pod, container, status.exit_code)


def all_ended(pod: Pod, status: PodRuntimeStatus) -> bool:
    """Whether all regular containers ended for good: no sidecar is started for them again.

    Source: kubernetes pkg/kubelet/kubelet_pods.go ``getPhase``, which a kubelet asks first.
    """
    latest = [(each, status.latest(each.name)) for each in pod.containers]
    return all(
        attempt is not None
        and attempt.state is ContainerState.EXITED
        and not should_restart(pod, container, attempt)
        for container, attempt in latest
    )
