"""What pods use now: memory and processes as the kernel counts them, layers as the runtime tells.

Logs and volumes are measured as they lie. Nothing is taken from what others read some seconds ago:
by this, pods are ended.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from edge_runtime.eviction.observations import ContainerUse, PodUse
from edge_runtime.objects.node_stats import DiskUse
from edge_runtime.objects.qos import compute_qos_class
from edge_runtime.stats.disk_use import disk_use
from edge_runtime.stats.running_pods import CgroupPaths, running_pods

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from edge_runtime.objects.container import ContainerID
    from edge_runtime.objects.node_stats import ContainerFigures
    from edge_runtime.objects.pod import Pod, PodUID
    from edge_runtime.objects.runtime_stats import ContainerStats, FilesystemUsage
    from edge_runtime.objects.runtime_status import PodRuntimeStatus
    from edge_runtime.stats.cgroup_reader import CgroupReader

_EMPTY_DIRS = "volumes/kubernetes.io~empty-dir"


class MeasuringRuntime(Protocol):
    """What measures containers (runtime/cri_client.py); raises RuntimeServiceError."""

    async def list_container_stats(
        self, *, pod_uid: PodUID | None = None
    ) -> Sequence[ContainerStats]:
        """Return the figures of all containers, or of one pod's."""
        ...


class PodFolders(CgroupPaths, Protocol):
    """Where what a pod writes lies, and where it runs (pods/pod_settings.py)."""

    @property
    def pod_logs_dir(self) -> Path:
        """Root of the pods' log folders."""
        ...

    @property
    def pods_dir(self) -> Path:
        """Root of the pods' own folders."""
        ...


class PodUsageReader:
    """Measures pods when asked; keeps nothing."""

    def __init__(
        self,
        runtime: MeasuringRuntime,
        *,
        settings: PodFolders,
        status: Callable[[PodUID], PodRuntimeStatus],
        cgroups: CgroupReader,
    ) -> None:
        """Prepare; nothing is measured yet.

        Args:
            runtime: Tells what writable layers hold.
            settings: Where pods' folders and control groups are.
            status: Returns what the runtime has of a pod.
            cgroups: Reads control groups.
        """
        self._runtime = runtime
        self._settings = settings
        self._status = status
        self._cgroups = cgroups

    async def measure(self, pods: Sequence[Pod], *, disks: bool = True) -> dict[PodUID, PodUse]:
        """Return what each of these pods uses now.

        Args:
            pods: Which to measure.
            disks: Whether what lies on disks is wanted: then the runtime is asked, and folders are
                walked through. A machine that is short of memory had better not.

        Raises:
            RuntimeServiceError: The runtime does not answer.
            OSError: A folder or a file of the kernel cannot be read.
        """
        running = running_pods(pods, status=self._status, paths=self._settings)
        figures = {each.uid: each.containers for each in running}
        layers = await self._layers(pods) if disks else {}
        return await asyncio.to_thread(
            lambda: {
                pod.uid: self._use(pod, figures.get(pod.uid, ()), layers, disks=disks)
                for pod in pods
            }
        )

    async def _layers(self, pods: Sequence[Pod]) -> dict[ContainerID, DiskUse]:
        if len(pods) == 1:
            stats = await self._runtime.list_container_stats(pod_uid=pods[0].uid)
        else:
            stats = await self._runtime.list_container_stats()
        return {each.id: _layer(each.writable_layer) for each in stats if each.writable_layer}

    def _use(
        self,
        pod: Pod,
        containers: Iterable[ContainerFigures],
        layers: Mapping[ContainerID, DiskUse],
        *,
        disks: bool,
    ) -> PodUse:
        logs = self._settings.pod_logs_dir / pod.log_folder_name
        folder = self._settings.pods_dir / pod.uid / _EMPTY_DIRS
        parent = self._settings.cgroup_parent(pod.uid, compute_qos_class(pod))
        volumes = _empty_dirs_on_disk(pod) if disks else ()
        return PodUse(
            containers=tuple(
                ContainerUse(
                    name=each.name,
                    memory_bytes=self._memory_bytes(each),
                    writable_layer=layers.get(each.id),
                    logs=disk_use(logs / each.name) if disks else DiskUse(),
                )
                for each in containers
            ),
            volumes={name: disk_use(folder / name) for name in volumes},
            processes=self._cgroups.tasks(parent) or 0,
        )

    def _memory_bytes(self, container: ContainerFigures) -> int | None:
        memory = self._cgroups.memory(container.group)
        return None if memory is None else memory.working_set_bytes


def _layer(usage: FilesystemUsage) -> DiskUse:
    return DiskUse(size_bytes=usage.used_bytes, inodes=usage.inodes_used)


def _empty_dirs_on_disk(pod: Pod) -> Iterable[str]:
    for volume in pod.spec.get("volumes") or ():
        source = volume.get("emptyDir")
        if source is not None and source.get("medium") in (None, ""):
            yield str(volume["name"])
