"""Give a volume to a pod's ``fsGroup``: its files, their modes, and what is made in it later.

A container may write into the volume meanwhile, so every file is opened without following links
and changed by what was opened, and no mount below the volume is entered.

Source: kubernetes pkg/volume/volume_linux.go.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from edge_runtime.volumes.path_resolution import open_inside

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge_runtime.objects.pod import Pod

ON_ROOT_MISMATCH = "OnRootMismatch"
_READ_WRITE = 0o660
_READ_ONLY = 0o440
_ENTER = 0o110
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# What is gone, was swapped for a link, or is a mount, is none of the volume's files any more.
_NOT_OURS = frozenset({errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.EXDEV})


def fs_group(pod: Pod) -> int | None:
    """Return the group that gets the pod's volumes, None for none."""
    value = pod.security_context.get("fsGroup")
    return None if value is None else int(value)


def fs_user(pod: Pod) -> int | None:
    """Return the user that gets the pod's tokens: the one as whom all its containers run.

    Source: kubernetes pkg/volume/util/util.go ``FsUserFrom``.
    """
    default = pod.security_context.get("runAsUser")
    found: set[int | None] = set()
    for container in (*pod.init_containers, *pod.containers):
        own = (container.raw.get("securityContext") or {}).get("runAsUser")
        user = default if own is None else own
        found.add(None if user is None else int(user))
    return found.pop() if len(found) == 1 else None


def set_ownership(
    folder: Path | str, group: int, *, read_only: bool, policy: str = "Always"
) -> None:
    """Give a volume to a group; blocks, for as long as there are files.

    Args:
        folder: The volume.
        group: Group id.
        read_only: Its files are only read.
        policy: The pod's ``fsGroupChangePolicy``; with ``OnRootMismatch`` nothing is done when the
            volume's own folder is right already.

    Raises:
        OSError: The file system refuses; the volume's own folder is then not changed yet.
    """
    root = os.open(folder, _FOLDER_FLAGS)
    try:
        if policy == ON_ROOT_MISMATCH and _is_right(root, group, read_only=read_only):
            return
        for each in _entries(root):
            _change(each, group, read_only=read_only)
        # The last: it tells the next look that all below it is right.
        _change(root, group, read_only=read_only)
    finally:
        os.close(root)


def _is_right(root: int, group: int, *, read_only: bool) -> bool:
    status = os.fstat(root)
    wanted = (_READ_ONLY if read_only else _READ_WRITE) | _ENTER | stat.S_ISGID
    return status.st_gid == group and status.st_mode & wanted == wanted


def _entries(root: int) -> Iterator[int]:
    """Yield a descriptor of everything below a folder; it is closed when the next one is asked for.

    Folders are opened by their path from the root, so that only one at a time is open however deep
    they lie.
    """
    folders = ["."]
    while folders:
        path = folders.pop()
        fd = _open(root, path, _FOLDER_FLAGS)
        if fd is None:
            continue
        try:
            for name, entry in _children(fd):
                if stat.S_ISDIR(os.fstat(entry).st_mode):
                    folders.append(f"{path}/{name}")
                yield entry
        finally:
            os.close(fd)


def _children(folder: int) -> Iterator[tuple[str, int]]:
    with os.scandir(folder) as found:
        for each in found:
            fd = _open(folder, each.name, os.O_PATH)
            if fd is None:
                continue
            try:
                yield each.name, fd
            finally:
                os.close(fd)


def _open(folder: int, path: str, flags: int) -> int | None:
    try:
        return open_inside(folder, path, flags=flags)
    except OSError as exc:
        if exc.errno in _NOT_OURS:
            return None
        raise


def _change(fd: int, group: int, *, read_only: bool) -> None:
    # An O_PATH descriptor is changed by this name alone; of an opened link it is the link's.
    path = f"/proc/self/fd/{fd}"
    mode = os.fstat(fd).st_mode
    os.chown(path, -1, group)
    if stat.S_ISLNK(mode):
        return
    wanted = mode | (_READ_ONLY if read_only else _READ_WRITE)
    if stat.S_ISDIR(mode):
        wanted |= stat.S_ISGID | _ENTER
    os.chmod(path, stat.S_IMODE(wanted))
