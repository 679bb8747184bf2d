"""Which pods and containers there are to measure; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edge_runtime.objects.node_stats import ContainerFigures, PodFigures
from edge_runtime.objects.qos import QOSClass, compute_qos_class
from edge_runtime.objects.runtime_status import ContainerState
from edge_runtime.objects.volume import claim_name, pod_volumes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edge_runtime.objects.pod import Pod, PodUID
    from edge_runtime.objects.runtime_status import ContainerStatus, PodRuntimeStatus


class CgroupPaths(Protocol):
    """Where control groups are (pods/pod_settings.py)."""

    def cgroup_parent(self, uid: PodUID, qos: QOSClass) -> str:
        """Return the group of a pod of that class."""
        ...

    def container_cgroup(self, parent: str, container_id: str) -> str:
        """Return the group of a container or sandbox in a pod's group."""
        ...


def running_pods(
    pods: Iterable[Pod], *, status: Callable[[PodUID], PodRuntimeStatus], paths: CgroupPaths
) -> list[PodFigures]:
    """Return the pods of which a container runs, with nothing measured yet.

    As a kubelet does: what ended uses nothing, and a pod without a running container is left out.

    Source: kubernetes pkg/kubelet/stats/cri_stats_provider.go ``removeTerminatedContainers``,
    ``buildPodStats``.
    """
    found: list[PodFigures] = []
    for pod in pods:
        runtime = status(pod.uid)
        sandbox, running = runtime.sandbox, _running(runtime)
        if sandbox is None or not running:
            continue
        parent = paths.cgroup_parent(pod.uid, compute_qos_class(pod))
        found.append(
            PodFigures(
                uid=pod.uid,
                name=pod.name,
                namespace=pod.namespace,
                created_at_ns=sandbox.created_at_ns,
                group=parent,
                sandbox_group=paths.container_cgroup(parent, sandbox.id),
                sandbox_id=sandbox.id,
                claims={
                    volume.name: name
                    for volume in pod_volumes(pod)
                    if (name := claim_name(pod, volume)) is not None
                },
                containers=tuple(
                    ContainerFigures(
                        id=each.id,
                        name=each.name,
                        created_at_ns=each.created_at_ns,
                        group=paths.container_cgroup(parent, each.id),
                        image=each.image,
                    )
                    for each in running
                ),
            )
        )
    return found


def _running(runtime: PodRuntimeStatus) -> list[ContainerStatus]:
    """Return the newest running container of each name, in the order of their names."""
    newest: dict[str, ContainerStatus] = {}
    for each in runtime.containers:  # newest first
        if each.state is ContainerState.RUNNING:
            newest.setdefault(each.name, each)
    return [newest[name] for name in sorted(newest)]
