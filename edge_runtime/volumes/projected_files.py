"""A volume of files that the edge writes: its folder, on disk or in memory, and what is in it.

Source: kubernetes pkg/volume/configmap/configmap.go ``SetUpAt``, pkg/volume/emptydir/empty_dir.go
``setupDir``, pkg/volume/util/nested_volumes.go.
"""

from __future__ import annotations

import asyncio
import os
import posixpath
from functools import partial
from typing import TYPE_CHECKING

from edge_runtime.objects.volume import MountedVolume, volume_mounts
from edge_runtime.volumes.atomic_writer import write_payload
from edge_runtime.volumes.mount_syscalls import mount_tmpfs
from edge_runtime.volumes.ownership import fs_group, set_ownership
from edge_runtime.volumes.payload import check_payload
from edge_runtime.volumes.plugin import VolumeError

if TYPE_CHECKING:
    from pathlib import Path

    from edge_runtime.objects.container import Container
    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.volume import Volume
    from edge_runtime.volumes.payload import Payload

# Whoever runs in the pod may look into it; on the machine the pod's own folder keeps others out.
_FOLDER_MODE = 0o777
_MOUNT_POINT_MODE = 0o755


async def set_up_files(
    pod: Pod, volume: Volume, folder: Path, payload: Payload, *, in_memory: bool
) -> MountedVolume:
    """Make the volume hold exactly these files.

    Args:
        pod: The pod.
        volume: The volume.
        folder: Where it belongs; its parent is there.
        payload: Its files, by path.
        in_memory: They hold secrets and MUST NOT be written to a disk.

    Raises:
        VolumeError: A path is not allowed.
        OSError: The machine refuses.
    """
    checked = check_payload(payload)
    await asyncio.to_thread(_set_up, pod, volume, folder, checked, in_memory)
    return MountedVolume(name=volume.name, host_path=str(folder), read_only=True)


def _set_up(pod: Pod, volume: Volume, folder: Path, payload: Payload, in_memory: bool) -> None:
    mount_points = nested_mount_points(pod, volume.name)
    group = fs_group(pod)
    _make_folder(folder, in_memory=in_memory)
    for each in mount_points:
        _make_mount_point(folder, each)
    own = None if group is None else partial(set_ownership, folder, group, read_only=True)
    write_payload(folder, payload, set_ownership=own)


def _make_folder(folder: Path, *, in_memory: bool) -> None:
    if not folder.is_dir():
        folder.mkdir()
    if in_memory and not os.path.ismount(folder):
        mount_tmpfs(folder)
    if folder.stat().st_mode & _FOLDER_MODE != _FOLDER_MODE:
        # Whatever the process's umask is.
        folder.chmod(_FOLDER_MODE)


def nested_mount_points(pod: Pod, name: str) -> tuple[str, ...]:
    """Return where in a volume containers mount others; the runtime cannot make these folders.

    Raises:
        VolumeError: A container would mount outside of its root.
    """
    found: dict[str, None] = {}
    for container in pod.all_containers:
        found.update(dict.fromkeys(_nested_in(container, name)))
    return tuple(found)


def _nested_in(container: Container, name: str) -> list[str]:
    paths = {posixpath.normpath(each.mount_path) for each in volume_mounts(container)}
    nested: list[str] = []
    for each in volume_mounts(container):
        own = posixpath.normpath(each.mount_path)
        if each.name != name:
            continue
        if own == ".." or own.startswith("../"):
            raise VolumeError(f"invalid container mount point {own}", is_lasting=True)
        below = sorted(path for path in paths if path.startswith(f"{own}/"))
        # What is mounted within another of these is that one's business.
        nested += [
            path[len(own) + 1 :]
            for path in below
            if not any(path.startswith(f"{other}/") for other in below)
        ]
    return nested


def _make_mount_point(folder: Path, path: str) -> None:
    for name in path.split("/"):
        folder = folder / name
        if os.path.lexists(folder):
            if folder.is_symlink() or not folder.is_dir():
                # One of the volume's own files: the runtime says what it thinks of that.
                return
            continue
        folder.mkdir()
        folder.chmod(_MOUNT_POINT_MODE)
