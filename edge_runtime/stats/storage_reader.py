"""StorageReader: what pods keep on disks, and what is left there.

Writable layers are the runtime's to tell: it alone knows where they are, and it walks through them
by itself now and then. It reads control groups as well for its answer, 4 ms for each container, so
it is asked seldom.

Source: kubernetes pkg/kubelet/stats/helper.go ``makePodStorageStats``, host_stats_provider.go,
pkg/volume/util/fs/fs.go ``DiskUsage``.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from edge_runtime.objects.node_stats import (
    DiskUse,
    FilesystemStats,
    NodeStorage,
    PodStorage,
    VolumeStats,
)
from edge_runtime.stats.disk_use import disk_use
from edge_runtime.stats.filesystem_space import filesystem_space, folders_in
from edge_runtime.stats.mounted_volumes import MOUNTED_PLUGINS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from edge_runtime.objects.container import ContainerID
    from edge_runtime.objects.node_stats import PodFigures
    from edge_runtime.objects.pod import PodUID
    from edge_runtime.objects.runtime_stats import ContainerStats, FilesystemUsage, ImageFsInfo

# Kinds of volumes that lie on the disk of the root folder, and go with their pod.
_EPHEMERAL = frozenset({"kubernetes.io~empty-dir", "kubernetes.io~configmap"})
_HOSTS_FILE = "etc-hosts"

logger = logging.getLogger(__name__)


class StorageRuntime(Protocol):
    """What the runtime measures (runtime/cri_client.py); raises RuntimeServiceError."""

    async def list_container_stats(
        self, *, pod_uid: PodUID | None = None
    ) -> Sequence[ContainerStats]:
        """Return the figures of all containers, or of one pod's."""
        ...

    async def image_fs_info(self) -> ImageFsInfo:
        """Return where images are, and what they use."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeStorage:
    """What the runtime told: its filesystems, and containers' layers by their id."""

    image: FilesystemUsage | None = None
    container: FilesystemUsage | None = None
    layers: Mapping[ContainerID, FilesystemUsage] = field(default_factory=dict)


class StorageReader:
    """Measures when asked; keeps nothing."""

    def __init__(self, runtime: StorageRuntime, *, folders: PodFolders) -> None:
        self._runtime = runtime
        self._folders = folders

    async def ask_runtime(self) -> RuntimeStorage:
        """Return what only the runtime knows.

        Raises:
            RuntimeServiceError: It does not answer.
        """
        found = await self._runtime.image_fs_info()
        image = next(iter(found.image_filesystems), None)
        layers = {
            each.id: each.writable_layer
            for each in await self._runtime.list_container_stats()
            if each.writable_layer is not None
        }
        return RuntimeStorage(
            image=image,
            container=next(iter(found.container_filesystems), image),
            layers=layers,
        )

    def read(self, pods: Iterable[PodFigures], runtime: RuntimeStorage) -> NodeStorage:
        """Look into the pods' folders; blocks on the machine's own filesystems.

        Volumes that are mounted from elsewhere are left out (mounted_volumes.py).

        Raises:
            OSError: A folder cannot be read.
        """
        root = filesystem_space(self._folders.pods_dir.parent)
        layers = _LayerSpace(runtime.layers)
        return NodeStorage(
            root=root,
            image=_runtime_filesystem(runtime.image),
            container=_runtime_filesystem(runtime.container),
            pods={pod.uid: self._read_pod(pod, root, layers) for pod in pods},
        )

    def _read_pod(self, pod: PodFigures, root: FilesystemStats, layers: _LayerSpace) -> PodStorage:
        folder = self._folders.pods_dir / pod.uid
        logs_dir = self._folders.pod_logs_dir / f"{pod.namespace}_{pod.name}_{pod.uid}"
        logs = {each.name: disk_use(logs_dir / each.name) for each in pod.containers}
        rootfs = {
            each.id: found for each in pod.containers if (found := layers.of(each.id)) is not None
        }
        volumes = list(_volumes(folder / "volumes"))
        parts = [
            *logs.values(),
            *(_use_of(each) for each in rootfs.values()),
            *(use for plugin, _, use, _ in volumes if plugin in _EPHEMERAL),
            _file_use(folder / _HOSTS_FILE),
        ]
        return PodStorage(
            rootfs=rootfs,
            logs={name: _with_use(root, use) for name, use in logs.items()},
            volumes=tuple(
                VolumeStats(name=name, filesystem=_with_use(space, use))
                for _, name, use, space in volumes
            ),
            ephemeral=_with_use(root, sum(parts, DiskUse())),
        )


class _LayerSpace:
    """Writable layers, with the space of the filesystem that they are on, measured once each."""

    def __init__(self, layers: Mapping[ContainerID, FilesystemUsage]) -> None:
        self._layers = layers
        self._spaces: dict[str, FilesystemStats | None] = {}

    def of(self, container_id: ContainerID) -> FilesystemStats | None:
        """Return a container's layer, None when the runtime did not tell."""
        layer = self._layers.get(container_id)
        if layer is None:
            return None
        if layer.mountpoint not in self._spaces:
            self._spaces[layer.mountpoint] = _space_if_there(layer.mountpoint, layer.timestamp_ns)
        space = self._spaces[layer.mountpoint] or FilesystemStats(timestamp_ns=layer.timestamp_ns)
        return _with_use(space, DiskUse(size_bytes=layer.used_bytes, inodes=layer.inodes_used))


def _runtime_filesystem(usage: FilesystemUsage | None) -> FilesystemStats | None:
    if usage is None:
        return None
    space = _space_if_there(usage.mountpoint, usage.timestamp_ns)
    use = DiskUse(size_bytes=usage.used_bytes, inodes=usage.inodes_used)
    return _with_use(space or FilesystemStats(timestamp_ns=usage.timestamp_ns), use)


def _volumes(folder: Path) -> Iterable[tuple[str, str, DiskUse, FilesystemStats]]:
    """Yield plugin, name, use and space of what goes with the pod.

    What is removed meanwhile is left out, and so is what cannot be read: it is one pod's matter.
    """
    for plugin in sorted(set(folders_in(folder)).difference(MOUNTED_PLUGINS)):
        for name in folders_in(folder / plugin):
            path = folder / plugin / name
            try:
                # The volume's own folder is part of it.
                found = disk_use(path) + _file_use(path), filesystem_space(path)
            except FileNotFoundError:
                continue
            except OSError as exc:
                extra = {"path": str(path), "reason": str(exc)}
                logger.warning("the use of a volume is not known", extra=extra)
                continue
            yield plugin, name, *found


def _file_use(path: Path) -> DiskUse:
    try:
        return DiskUse(size_bytes=path.lstat().st_blocks * 512, inodes=1)
    except FileNotFoundError:
        return DiskUse()


def _use_of(stats: FilesystemStats) -> DiskUse:
    return DiskUse(size_bytes=stats.used_bytes or 0, inodes=stats.inodes_used or 0)


def _with_use(space: FilesystemStats, use: DiskUse) -> FilesystemStats:
    return FilesystemStats(
        timestamp_ns=space.timestamp_ns,
        available_bytes=space.available_bytes,
        capacity_bytes=space.capacity_bytes,
        inodes_free=space.inodes_free,
        inodes=space.inodes,
        used_bytes=use.size_bytes,
        inodes_used=use.inodes,
    )


def _space_if_there(path: str, timestamp_ns: int) -> FilesystemStats | None:
    try:
        return filesystem_space(path, timestamp_ns=timestamp_ns)
    except FileNotFoundError:
        return None
