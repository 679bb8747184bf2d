"""Scratch space of a pod: on disk, in memory, or in huge pages.

That on disk is held to its ``sizeLimit`` by eviction (eviction/storage_limits.py), the others by
the kernel. After a reboot that on disk is there with its contents, the others are empty.

Source: kubernetes pkg/volume/emptydir/empty_dir.go.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING

from edge_runtime.objects.pod_resources import (
    HUGEPAGES,
    is_limited,
    pod_level_resources,
    pod_limits,
)
from edge_runtime.objects.qos import QOSClass, compute_qos_class
from edge_runtime.objects.quantity import QuantityError, parse_quantity, whole_value
from edge_runtime.objects.volume import MountedVolume
from edge_runtime.volumes.mount_syscalls import MountFlag, mount, mount_tmpfs, read_mounts
from edge_runtime.volumes.mount_table import mount_at
from edge_runtime.volumes.ownership import fs_group, set_ownership
from edge_runtime.volumes.plugin import VolumeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from fractions import Fraction
    from pathlib import Path

    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.volume import Volume

MEMORY = "Memory"
HUGE_PAGES = "HugePages"
# Everybody's, whatever user a container has.
_MODE = 0o777
# What a fresh file system of these kinds has.
_TMPFS_MODE = 0o1777
_HUGETLBFS_MODE = 0o755
_GROUP_MODE = 0o2770


class EmptyDirPlugin:
    """Makes folders, and mounts memory at some of them."""

    def __init__(self, allocatable: Callable[[], Mapping[str, Fraction]]) -> None:
        """Prepare.

        Args:
            allocatable: Returns what all pods together may use, in units and bytes: none of their
                volumes gets more memory.
        """
        self._allocatable = allocatable

    async def set_up(self, pod: Pod, volume: Volume, folder: Path) -> MountedVolume:
        """Make the folder once; what is in it is never touched again.

        Raises:
            VolumeError: The medium is none that there is, or a size is no quantity.
            OSError: The machine refuses.
        """
        try:
            await asyncio.to_thread(self._make, pod, volume, folder)
        except QuantityError as exc:
            raise VolumeError(str(exc)) from exc
        return MountedVolume(name=volume.name, host_path=str(folder))

    def _make(self, pod: Pod, volume: Volume, folder: Path) -> None:
        medium = str(volume.source.get("medium") or "")
        group = fs_group(pod)
        if medium == "":
            _make_folder(folder, group)
        elif medium == MEMORY:
            size_bytes = memory_size_bytes(pod, volume, allocatable=self._allocatable())
            _make_memory(folder, size_bytes, group)
        elif medium == HUGE_PAGES or medium.startswith(f"{HUGE_PAGES}-"):
            _make_huge_pages(folder, huge_page_bytes(pod, medium), group)
        else:
            raise VolumeError(f'unknown storage medium "{medium}"', is_lasting=True)


def memory_size_bytes(pod: Pod, volume: Volume, *, allocatable: Mapping[str, Fraction]) -> int:
    """Return what a volume in memory holds: its limit, at most the pod's, at most all pods'.

    Source: ``calculateEmptyDirMemorySize``.

    Raises:
        QuantityError: A limit is no quantity.
    """
    size = allocatable["memory"]
    qos = compute_qos_class(pod)
    is_bounded = qos is QOSClass.GUARANTEED or (
        qos is QOSClass.BURSTABLE and is_limited(pod, "memory")
    )
    limits = [pod_limits(pod)["memory"]] if is_bounded else []
    if volume.source.get("sizeLimit") is not None:
        limits.append(parse_quantity(str(volume.source["sizeLimit"])))
    for limit in limits:
        if 0 < limit < size:
            size = limit
    return int(size)


def huge_page_bytes(pod: Pod, medium: str) -> int:
    """Return the size of the pages of a volume: that of its medium, else the only one asked for.

    Source: ``getPageSizeMountOption``.

    Raises:
        VolumeError: No container asks for such pages, or for more than one size.
        QuantityError: A size is no quantity.
    """
    names = set(pod_level_resources(pod, "requests"))
    for container in (*pod.containers, *pod.init_containers):
        # Requests and limits of huge pages are the same; either may be left out.
        names |= {*container.requests, *container.limits}
    asked = {
        whole_value(each.removeprefix(HUGEPAGES)) for each in names if each.startswith(HUGEPAGES)
    }
    if medium != HUGE_PAGES:
        asked &= {whole_value(medium.removeprefix(f"{HUGE_PAGES}-"))}
    if not asked:
        raise VolumeError(
            f"medium {medium}: hugePages storage requested, but there is no resource request for"
            " huge pages"
        )
    if len(asked) > 1:
        raise VolumeError(
            f"medium: {medium} can't be used if container requests multiple huge page sizes"
        )
    return asked.pop()


def _make_folder(folder: Path, group: int | None) -> None:
    if folder.is_dir() and not folder.is_symlink():
        return
    # Complete or not at all: after a crash nobody could tell whether the pod chose another mode.
    new = folder.with_name(f".{folder.name}.new")
    with contextlib.suppress(FileNotFoundError):
        new.rmdir()
    new.mkdir(mode=_MODE)
    new.chmod(_MODE)
    if group is not None:
        set_ownership(new, group, read_only=False)
    new.rename(folder)


def _make_memory(folder: Path, size_bytes: int, group: int | None) -> None:
    folder.mkdir(mode=_MODE, exist_ok=True)
    if _is_mounted(folder, "tmpfs"):
        return
    data = _owner(_TMPFS_MODE, group)
    mount_tmpfs(folder, size_bytes=size_bytes, data=data, flags=MountFlag.NONE)


def _make_huge_pages(folder: Path, page_bytes: int, group: int | None) -> None:
    folder.mkdir(mode=_MODE, exist_ok=True)
    if _is_mounted(folder, "hugetlbfs"):
        return
    data = f"pagesize={page_bytes},{_owner(_HUGETLBFS_MODE, group)}"
    mount(folder, source="nodev", fs_type="hugetlbfs", data=data)


def _owner(mode: int, group: int | None) -> str:
    """Return the options that make a file system's own folder the pod's, at once with it."""
    if group is None:
        return f"mode={mode:o}"
    return f"mode={mode | _GROUP_MODE:o},gid={group}"


def _is_mounted(folder: Path, fs_type: str) -> bool:
    found = mount_at(read_mounts(), os.path.realpath(folder))
    return found is not None and found.fs_type == fs_type
