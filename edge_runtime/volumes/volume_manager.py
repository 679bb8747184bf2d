"""Make a pod's volumes ready, keep them up to date, and take them away.

    <pods_dir>/<uid>/volumes/kubernetes.io~<plugin>/<name>     a volume
    <pods_dir>/<uid>/volume-subpaths/...                       what is mounted of a part of one

What a pod has is found on the disk and in the kernel's table of mounts when it goes, so a volume
that was made before a crash is cleaned like any other.

Source: kubernetes pkg/kubelet/volumemanager/volume_manager.go, pkg/volume/util/util.go
``UnmountViaEmptyDir``, pkg/kubelet/kubelet_volumes.go ``cleanupOrphanedPodDirs``.
"""

from __future__ import annotations

import asyncio
import errno
import os
from typing import TYPE_CHECKING

from edge_runtime.objects.volume import (
    MountedVolume,
    Volume,
    VolumeProblem,
    VolumesNotReady,
    used_volumes,
)
from edge_runtime.volumes.mount_syscalls import unmount_below
from edge_runtime.volumes.plugin import VolumeError
from edge_runtime.volumes.tree_removal import remove_tree

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edge_runtime.objects.pod import Pod, PodUID
    from edge_runtime.volumes.plugin import VolumePlugin

VOLUMES_NAME = "volumes"
SUBPATHS_NAME = "volume-subpaths"
# For one volume: a server that does not answer must not hold a pod's worker for ever.
# Source: kubernetes pkg/kubelet/volumemanager/volume_manager.go ``podAttachAndMountTimeout``.
SET_UP_TIMEOUT_S = 123.0
# Nothing of a pod is other users' to look through.
_FOLDER_MODE = 0o750
# Where a kubelet calls a plugin otherwise than the API calls the volume.
_PLUGIN_NAMES = {
    "awsElasticBlockStore": "aws-ebs",
    "configMap": "configmap",
    "downwardAPI": "downward-api",
    "emptyDir": "empty-dir",
    "hostPath": "host-path",
    "persistentVolumeClaim": "persistent-volume-claim",
}


class VolumeManager:
    """Volumes of all pods; one call per pod at a time, as its worker makes them."""

    def __init__(
        self,
        plugins: Mapping[str, VolumePlugin],
        *,
        otherwise: VolumePlugin,
        pods_dir: Path,
        set_up_timeout_s: float = SET_UP_TIMEOUT_S,
    ) -> None:
        """Prepare; nothing is read or written yet.

        Args:
            plugins: By kind of volume (`objects.volume.Volume.kind`).
            otherwise: For every other kind.
            pods_dir: Root of the pods' own folders, one by UID.
            set_up_timeout_s: How long one volume may take.
        """
        self._plugins = plugins
        self._otherwise = otherwise
        self._pods_dir = pods_dir
        self._set_up_timeout_s = set_up_timeout_s
        self._mounted: dict[PodUID, dict[str, MountedVolume]] = {}

    def mounted(self, uid: PodUID) -> Mapping[str, MountedVolume]:
        """Return a pod's volumes that are ready, by name; also those that could not be updated."""
        return dict(self._mounted.get(uid, {}))

    async def mount(self, pod: Pod) -> None:
        """Make all volumes of a pod ready, or bring their contents up to date; idempotent.

        Cancelling leaves volumes half made: call it again, or `unmount`.

        Raises:
            VolumesNotReady: Some cannot be; the others are. One that was ready and cannot be
                brought up to date stays as it is, and is among `mounted`.
        """
        volumes = used_volumes(pod)
        if not volumes:
            return
        mounted = self._mounted.setdefault(pod.uid, {})
        outcomes = await asyncio.gather(*(self._set_up(pod, each) for each in volumes))
        problems = []
        for each in outcomes:
            if isinstance(each, VolumeProblem):
                problems.append(each)
            else:
                mounted[each.name] = each
        if problems:
            raise VolumesNotReady(tuple(problems))

    async def _set_up(self, pod: Pod, volume: Volume) -> MountedVolume | VolumeProblem:
        try:
            folder = self._folder(pod.uid, volume)
            await asyncio.to_thread(_make_folder, folder.parent, self._pods_dir)
            async with asyncio.timeout(self._set_up_timeout_s):
                return await self._plugin(volume).set_up(pod, volume, folder)
        except VolumeError as exc:
            return VolumeProblem(
                volume_name=volume.name, message=str(exc), is_lasting=exc.is_lasting
            )
        except TimeoutError:
            message = f"it was not ready within {self._set_up_timeout_s:g} s"
            return VolumeProblem(volume_name=volume.name, message=message)
        except OSError as exc:
            return VolumeProblem(volume_name=volume.name, message=str(exc))

    def _plugin(self, volume: Volume) -> VolumePlugin:
        return self._plugins.get(volume.kind, self._otherwise)

    def _folder(self, uid: PodUID, volume: Volume) -> Path:
        plugin = _PLUGIN_NAMES.get(volume.kind, volume.kind)
        # The API server lets no other names through, but a tree is removed below this one.
        for each in (uid, plugin, volume.name):
            if "/" in each or each in ("", ".", ".."):
                raise VolumeError(f"{each!a} is not a file name", is_lasting=True)
        return self._pods_dir / uid / VOLUMES_NAME / f"kubernetes.io~{plugin}" / volume.name

    async def unmount(self, uid: PodUID) -> None:
        """Unmount and remove all volumes of a pod of which no container is left; idempotent.

        What is on the disk and in the table of mounts decides, so a pod of an earlier process is
        cleaned, too. Cancelling is safe: call it again.

        Raises:
            OSError: Something is in use or cannot be removed; what is mounted stays untouched.
        """
        await asyncio.to_thread(_remove_all, self._pods_dir, uid)
        self._mounted.pop(uid, None)


def _make_folder(folder: Path, pods_dir: Path) -> None:
    missing = []
    while folder != pods_dir and not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    pods_dir.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    for each in reversed(missing):
        each.mkdir(mode=_FOLDER_MODE, exist_ok=True)


def _remove_all(pods_dir: Path, uid: PodUID) -> None:
    if "/" in uid or uid in ("", ".", ".."):
        raise OSError(errno.EINVAL, "not a file name", uid)
    folder = pods_dir / uid
    # Parts of volumes first: they are mounts of what is below the others.
    for name in (SUBPATHS_NAME, VOLUMES_NAME):
        if os.path.lexists(folder / name):
            unmount_below(folder / name)
            remove_tree(folder / name)
