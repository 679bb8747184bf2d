"""Files and folders of the machine.

Without a policy of the machine's owner the path goes to the runtime as it stands, as under a
kubelet. With one, what the path leads to at this moment is opened, held against the policy and
mounted below the pod's own folder: a pod that may write on the way to it gains nothing by putting a
link there afterwards.

Source: kubernetes pkg/volume/hostpath/host_path.go.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from typing import TYPE_CHECKING

from edge_runtime.objects.volume import MountedVolume
from edge_runtime.volumes.mount_syscalls import MountFlag
from edge_runtime.volumes.persistent_source import PersistentSource, check_path
from edge_runtime.volumes.plugin import VolumeError
from edge_runtime.volumes.subpath import mount_opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.volume import Volume
    from edge_runtime.policy.edge_policy import EdgePolicy

# What a type asks for, and how a message calls it.
_CHECKS: dict[str, tuple[Callable[[int], bool], str]] = {
    "DirectoryOrCreate": (stat.S_ISDIR, "a directory"),
    "Directory": (stat.S_ISDIR, "a directory"),
    "FileOrCreate": (stat.S_ISREG, "a file"),
    "File": (stat.S_ISREG, "a file"),
    "Socket": (stat.S_ISSOCK, "a socket file"),
    "CharDevice": (stat.S_ISCHR, "a character device"),
    "BlockDevice": (stat.S_ISBLK, "a block device"),
}
_FOLDER_MODE = 0o755
_FILE_MODE = 0o644
_PLACE = os.O_PATH | os.O_CLOEXEC
_NEW_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class HostPathPlugin:
    """Checks types, makes what may be made, and asks the machine's policy."""

    def __init__(self, policy: EdgePolicy) -> None:
        self._policy = policy

    @property
    def takes_mount_options(self) -> bool:
        """Nothing of these volumes is mounted with options."""
        return False

    async def set_up(self, pod: Pod, volume: Volume, folder: Path) -> MountedVolume:
        """Check the path, and make what it leads to where the type says so.

        Raises:
            VolumeError: It is not of that type, or the machine's policy forbids it.
            OSError: The machine refuses.
        """
        source = PersistentSource(volume_name=volume.name, fields=volume.source)
        return await self.mount_source(pod, source, folder)

    async def mount_source(self, pod: Pod, source: PersistentSource, folder: Path) -> MountedVolume:
        """Do the same for a PersistentVolume; see `set_up`.

        Raises:
            VolumeError: It is not of that type, or the machine's policy forbids it.
            OSError: The machine refuses.
        """
        del pod
        path, kind = str(source.fields.get("path") or ""), str(source.fields.get("type") or "")
        check_path(path, what="HostPath")
        if kind and kind not in _CHECKS:
            raise VolumeError(f"{kind} is an invalid volume type", is_lasting=True)
        is_free = self._policy.allowed_host_paths is None
        if kind or not is_free:
            await asyncio.to_thread(self._prepare, path, kind, None if is_free else folder)
        return MountedVolume(
            name=source.volume_name,
            host_path=path if is_free else str(folder),
            read_only=source.is_read_only,
            relabels=False,
        )

    def _prepare(self, path: str, kind: str, folder: Path | None) -> None:
        with self._opened(path, kind) as fd:
            if kind:
                is_right, name = _CHECKS[kind]
                if not is_right(os.fstat(fd).st_mode):
                    raise _wrong(path, name)
            if folder is not None:
                check_policy(self._policy, fd, path)
                mount_opened(fd, folder, flags=MountFlag.RECURSIVE)

    @contextlib.contextmanager
    def _opened(self, path: str, kind: str) -> Iterator[int]:
        try:
            fd = os.open(path, _PLACE)
        except (FileNotFoundError, NotADirectoryError) as exc:
            # Whatever has no type is made by the runtime, where no policy must be asked before.
            if kind not in ("", "DirectoryOrCreate", "FileOrCreate"):
                raise _wrong(path, _CHECKS[kind][1]) from exc
            fd = self._make(path, kind)
        try:
            yield fd
        finally:
            os.close(fd)

    def _make(self, path: str, kind: str) -> int:
        """Make what is missing of a path, folder by folder, each only where the policy allows."""
        names = [name for name in path.split("/") if name not in ("", ".")]
        here = os.open("/", _PLACE)
        try:
            for number, name in enumerate(names, 1):
                is_file = kind == "FileOrCreate" and number == len(names)
                try:
                    there = os.open(name, _PLACE, dir_fd=here)
                except FileNotFoundError:
                    if kind == "FileOrCreate" and not is_file:
                        raise
                    there = self._make_one(here, name, path, is_file=is_file)
                os.close(here)
                here = there
            return os.dup(here)
        finally:
            os.close(here)

    def _make_one(self, parent: int, name: str, path: str, *, is_file: bool) -> int:
        check_policy(self._policy, parent, path, name=name)
        if is_file:
            fd = os.open(name, _NEW_FILE, _FILE_MODE, dir_fd=parent)
        else:
            os.mkdir(name, mode=_FOLDER_MODE, dir_fd=parent)
            fd = os.open(name, _NEW_FOLDER, dir_fd=parent)
        # Whatever the process's umask is.
        os.fchmod(fd, _FILE_MODE if is_file else _FOLDER_MODE)
        return fd


def check_policy(policy: EdgePolicy, fd: int, path: str, *, name: str = "") -> None:
    """Refuse what was opened where the machine's owner does not want it mounted.

    Args:
        policy: The owner's.
        fd: Of what was opened.
        path: By which it was opened, for the message.
        name: Of what is to be made in it, "" for itself.

    Raises:
        VolumeError: The policy forbids it.
    """
    found = os.readlink(f"/proc/self/fd/{fd}")
    found = f"{found.rstrip('/')}/{name}" if name else found
    if not policy.allows_host_path(found):
        shown = path if found == path else f"{path}, which leads to {found}"
        # A link may be put right.
        raise VolumeError(
            f"the policy of this edge forbids host path {shown}", is_lasting=found == path
        )


def _wrong(path: str, name: str) -> VolumeError:
    return VolumeError(f"hostPath type check failed: {path} is not {name}")
