"""What pods use: memory and writable layers as the runtime tells, logs and volumes as they lie."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Protocol

from edge_runtime.eviction.observations import ContainerUse, PodUse
from edge_runtime.machine.cgroup_files import is_unified
from edge_runtime.machine.cgroups import CGROUP_MOUNT
from edge_runtime.objects.node_stats import DiskUse
from edge_runtime.objects.qos import QOSClass, compute_qos_class
from edge_runtime.objects.runtime_status import POD_UID_LABEL
from edge_runtime.stats.disk_use import disk_use

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from edge_runtime.objects.pod import Pod, PodUID
    from edge_runtime.objects.runtime_stats import ContainerStats, FilesystemUsage

_EMPTY_DIRS = "volumes/kubernetes.io~empty-dir"


class MeasuringRuntime(Protocol):
    """What measures containers (runtime/cri_client.py); raises RuntimeServiceError."""

    async def list_container_stats(
        self, *, pod_uid: PodUID | None = None
    ) -> Sequence[ContainerStats]:
        """Return the figures of all containers, or of one pod's."""
        ...


class PodFolders(Protocol):
    """Where what a pod writes lies (pods/pod_settings.py)."""

    @property
    def pod_logs_dir(self) -> Path:
        """Root of the pods' log folders."""
        ...

    @property
    def pods_dir(self) -> Path:
        """Root of the pods' own folders."""
        ...

    def cgroup_parent(self, uid: PodUID, qos: QOSClass) -> str:
        """Return the cgroup of a pod of that class."""
        ...


class PodUsageReader:
    """Measures pods when asked; keeps nothing."""

    def __init__(
        self,
        runtime: MeasuringRuntime,
        *,
        settings: PodFolders,
        cgroup_mount: Path = CGROUP_MOUNT,
    ) -> None:
        self._runtime = runtime
        self._settings = settings
        self._cgroup_mount = cgroup_mount

    async def measure(self, pods: Sequence[Pod]) -> dict[PodUID, PodUse]:
        """Return what each of these pods uses now.

        Raises:
            RuntimeServiceError: The runtime does not answer.
            OSError: A folder cannot be read.
        """
        if len(pods) == 1:
            stats = await self._runtime.list_container_stats(pod_uid=pods[0].uid)
        else:
            stats = await self._runtime.list_container_stats()
        by_pod = _newest_by_pod(stats)
        return await asyncio.to_thread(
            lambda: {pod.uid: self._use(pod, by_pod[pod.uid]) for pod in pods}
        )

    def _use(self, pod: Pod, stats: Mapping[str, ContainerStats]) -> PodUse:
        logs = self._settings.pod_logs_dir / pod.log_folder_name
        folder = self._settings.pods_dir / pod.uid / _EMPTY_DIRS
        parent = self._settings.cgroup_parent(pod.uid, compute_qos_class(pod))
        return PodUse(
            containers=tuple(
                ContainerUse(
                    name=name,
                    memory_bytes=each.memory.working_set_bytes if each.memory else None,
                    writable_layer=_layer(each.writable_layer),
                    logs=disk_use(logs / name),
                )
                for name, each in sorted(stats.items())
            ),
            volumes={name: disk_use(folder / name) for name in _empty_dirs_on_disk(pod)},
            processes=count_processes(parent, mount=self._cgroup_mount),
        )


def count_processes(parent: str, *, mount: Path = CGROUP_MOUNT) -> int:
    """Return how many processes and threads run in a pod's cgroup, 0 where none is."""
    tree = mount if is_unified(mount) else mount / "pids"
    try:
        return int((tree / parent.lstrip("/") / "pids.current").read_text())
    except FileNotFoundError:
        return 0


def _newest_by_pod(
    stats: Iterable[ContainerStats],
) -> dict[str, dict[str, ContainerStats]]:
    found: defaultdict[str, dict[str, ContainerStats]] = defaultdict(dict)
    for each in stats:
        containers = found[each.labels.get(POD_UID_LABEL, "")]
        known = containers.get(each.name)
        if known is None or each.attempt > known.attempt:
            containers[each.name] = each
    return found


def _layer(usage: FilesystemUsage | None) -> DiskUse | None:
    if usage is None:
        return None
    return DiskUse(size_bytes=usage.used_bytes, inodes=usage.inodes_used)


def _empty_dirs_on_disk(pod: Pod) -> Iterable[str]:
    for volume in pod.spec.get("volumes") or ():
        source = volume.get("emptyDir")
        if source is not None and source.get("medium") in (None, ""):
            yield str(volume["name"])
