"""How much is left of memory, disk and process ids."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesystemSpace:
    """Space of one filesystem; inodes are 0 where it does not count them (btrfs)."""

    available_bytes: int
    capacity_bytes: int
    inodes_free: int
    inodes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineUsage:
    """What is left at one moment.

    Attributes:
        available_memory_bytes: What is free, or holds files that nobody used lately.
        memory_bytes: What there is in all.
        nodefs: Filesystem of edgelet's root folder.
        imagefs: Filesystem of the runtime's images; None when the runtime did not tell.
        pids: Processes and threads that exist.
        max_pids: How many the kernel allows.
    """

    available_memory_bytes: int
    memory_bytes: int
    nodefs: FilesystemSpace
    imagefs: FilesystemSpace | None
    pids: int
    max_pids: int


def measure_usage(
    root_dir: Path, *, image_dir: Path | None, proc: Path = Path("/proc")
) -> MachineUsage:
    """Measure now; blocks on files of the kernel and on both filesystems.

    Args:
        root_dir: A folder on the filesystem of edgelet's root folder.
        image_dir: Where the runtime keeps its images.
        proc: The kernel's process filesystem.

    Raises:
        OSError: A folder is not there or cannot be read.
    """
    return MachineUsage(
        available_memory_bytes=available_memory_bytes(proc),
        memory_bytes=_meminfo(proc)["MemTotal"],
        nodefs=_space(root_dir),
        imagefs=None if image_dir is None else _space(image_dir),
        pids=_count_tasks(proc / "loadavg"),
        max_pids=min(
            int((proc / "sys/kernel/pid_max").read_text()),
            int((proc / "sys/kernel/threads-max").read_text()),
        ),
    )


def available_memory_bytes(proc: Path = Path("/proc")) -> int:
    """Return the memory that is not in the machine's working set, as a kubelet counts it.

    Less than the kernel's own MemAvailable: file pages in active use count as used.

    Source: kubernetes pkg/kubelet/eviction/helpers.go ``makeMemoryAvailableSignalObservation``;
    github.com/google/cadvisor container/libcontainer/handler.go ``setMemoryStats``.
    """
    found = _meminfo(proc)
    return found["MemFree"] + found["Inactive(file)"]


def _meminfo(proc: Path) -> dict[str, int]:
    lines = (line.split() for line in (proc / "meminfo").read_text().splitlines())
    return {name.rstrip(":"): int(value) * 1024 for name, value, *_ in lines}


def _space(folder: Path) -> FilesystemSpace:
    found = os.statvfs(folder)
    return FilesystemSpace(
        available_bytes=found.f_bavail * found.f_frsize,
        capacity_bytes=found.f_blocks * found.f_frsize,
        inodes_free=found.f_ffree,
        inodes=found.f_files,
    )


def _count_tasks(loadavg: Path) -> int:
    # "0.20 0.18 0.12 1/80 11206": running and existing tasks are the fourth word (proc(5)).
    return int(loadavg.read_text().split()[3].partition("/")[2])
