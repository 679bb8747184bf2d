"""In which order a pod's containers are stopped; pure.

Source: kubernetes pkg/kubelet/kuberuntime/kuberuntime_termination_order.go,
kuberuntime_container.go ``setTerminationGracePeriod``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from edge_runtime.objects.container import ProbeKind
from edge_runtime.pod_actions.container_kills import KillReason

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from edge_runtime.objects.container import Container
    from edge_runtime.objects.pod import Pod


def compute_stop_order(pod: Pod, running: Collection[str]) -> Mapping[str, tuple[str, ...]]:
    """Return for whose end each running container waits before it gets its stop signal.

        main ──┐
        main ──┴──> last sidecar ──> … ──> first sidecar

    Main, init and ephemeral containers wait for nobody; sidecars wait for all main containers and
    for the sidecar after them. One that does not run is waited for by nobody.

    Args:
        pod: The pod.
        running: Names of its containers that run.
    """
    mains = [each.name for each in pod.containers]
    order: dict[str, tuple[str, ...]] = dict.fromkeys(running, ())
    later: list[str] = []
    for sidecar in reversed(pod.sidecars):
        if sidecar.name in order:
            order[sidecar.name] = tuple(name for name in [*mains, *later] if name in order)
        later = [sidecar.name]
    return order


def compute_kill_grace_s(pod: Pod, container: Container, reason: KillReason) -> int:
    """Return what a container gets between its stop signal and its end, seconds.

    A probe's own ``terminationGracePeriodSeconds`` holds when that probe is why, unless the pod is
    being deleted. What goes because all containers restart gets none: its hook does not run.
    """
    if reason is KillReason.RESTART_ALL_CONTAINERS:
        return 0
    if pod.deletion_grace_period_s is not None:
        return pod.deletion_grace_period_s
    kind = _probe_of(reason)
    probe = container.probe(kind) if kind is not None else None
    own_s = probe.get("terminationGracePeriodSeconds") if probe is not None else None
    return pod.termination_grace_period_s if own_s is None else int(own_s)


def _probe_of(reason: KillReason) -> ProbeKind | None:
    match reason:
        case KillReason.STARTUP_PROBE:
            return ProbeKind.STARTUP
        case KillReason.LIVENESS_PROBE:
            return ProbeKind.LIVENESS
        case (
            KillReason.UNKNOWN
            | KillReason.FAILED_POST_START_HOOK
            | KillReason.RESTART_ALL_CONTAINERS
        ):
            return None
        case _:
            assert_never(reason)
