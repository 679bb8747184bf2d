"""Folders of the machine that are PersistentVolumes of kind ``local``: mounted where the pod's are.

A disk that is not mounted by the machine is refused: nothing here ever formats one.

Source: kubernetes pkg/volume/local/local.go.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from typing import TYPE_CHECKING

from edge_runtime.objects.volume import MountedVolume
from edge_runtime.volumes.host_path import check_policy
from edge_runtime.volumes.mount_options import parse_bind_options
from edge_runtime.volumes.mount_syscalls import MountFlag, mount, read_mounts
from edge_runtime.volumes.mount_table import mount_at, mounts_below
from edge_runtime.volumes.ownership import fs_group, set_ownership
from edge_runtime.volumes.persistent_source import PersistentSource, check_path
from edge_runtime.volumes.plugin import VolumeError
from edge_runtime.volumes.subpath import mount_opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge_runtime.objects.pod import Pod
    from edge_runtime.policy.edge_policy import EdgePolicy

_PLACE = os.O_PATH | os.O_CLOEXEC


class LocalPathPlugin:
    """Binds folders; see `persistent_source.SourceMounter`."""

    def __init__(self, policy: EdgePolicy, *, pods_dir: Path) -> None:
        """Prepare.

        Args:
            policy: Which paths the machine's owner allows.
            pods_dir: Root of the pods' own folders: who else uses a folder is mounted there.
        """
        self._policy = policy
        self._pods_dir = pods_dir

    @property
    def takes_mount_options(self) -> bool:
        """Those that a bind mount may have."""
        return True

    async def mount_source(self, pod: Pod, source: PersistentSource, folder: Path) -> MountedVolume:
        """Bind the folder, once it belongs to the pod's group.

        Raises:
            VolumeError: It is no folder, or the machine's policy forbids it.
            OSError: The machine refuses.
        """
        path = str(source.fields.get("path") or "")
        check_path(path, what="path")
        flags = parse_bind_options(source.mount_options)
        if source.is_read_only:
            flags |= MountFlag.READ_ONLY
        await asyncio.to_thread(self._bind, pod, path, folder, flags)
        return MountedVolume(
            name=source.volume_name,
            host_path=str(folder),
            read_only=source.is_read_only,
            relabels=not source.is_read_only,
        )

    def _bind(self, pod: Pod, path: str, folder: Path, flags: MountFlag) -> None:
        with _opened(path) as fd:
            check_policy(self._policy, fd, path)
            found = os.fstat(fd)
            if stat.S_ISBLK(found.st_mode):
                raise VolumeError(
                    f"{path} is a block device: this edgelet only mounts folders of the machine,"
                    " mount the device there",
                    is_lasting=True,
                )
            if not stat.S_ISDIR(found.st_mode):
                raise VolumeError("only directory and block device are supported")
            # The group is set before it is mounted: if it is, that was done, too.
            if mount_at(read_mounts(), os.path.realpath(folder)) is None:
                group = fs_group(pod)
                is_writable = MountFlag.READ_ONLY not in flags
                if group is not None and is_writable and not self._is_used(found):
                    policy = str(pod.security_context.get("fsGroupChangePolicy") or "Always")
                    # "." since the descriptor's own name is a link.
                    own = f"/proc/self/fd/{fd}/."
                    set_ownership(own, group, read_only=False, policy=policy)
                mount_opened(fd, folder)
            if flags:
                mount(folder, flags=MountFlag.BIND | MountFlag.REMOUNT | flags)

    def _is_used(self, wanted: os.stat_result) -> bool:
        """Tell whether another pod has the folder mounted: then its group stays what it is."""
        device = f"{os.major(wanted.st_dev)}:{os.minor(wanted.st_dev)}"
        for each in mounts_below(read_mounts(), os.path.realpath(self._pods_dir)):
            if each.device == device:
                with contextlib.suppress(OSError):
                    found = os.lstat(each.path)
                    if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
                        return True
        return False


@contextlib.contextmanager
def _opened(path: str) -> Iterator[int]:
    fd = os.open(path, _PLACE)
    try:
        yield fd
    finally:
        os.close(fd)
