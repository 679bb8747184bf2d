"""The machine's control groups: which version, and those of pods.

    version 1    <mount>/<controller>/kubepods/burstable/pod<uid>   one tree per controller
    version 2    <mount>/kubepods/burstable/pod<uid>                one tree

Source: kubernetes pkg/kubelet/cm/cgroup_manager_linux.go, pod_container_manager_linux.go.
"""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.objects.cgroup_names import CgroupDriver
from edge_runtime.runtime.cri_resources import (
    CPU_PERIOD_US,
    MAX_CPU_SHARES,
    MIN_CPU_SHARES,
    MachineResources,
    hugepage_unit,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_runtime.machine.machine_info import MachineInfo
    from edge_runtime.runtime.cri_resources import PodCgroupLimits

CGROUP_MOUNT = Path("/sys/fs/cgroup")
_MAX_WEIGHT = 10_000


class CgroupError(Exception):
    """A control group could not be made, set or removed.

    Attributes:
        path: Of the group, as the pod knows it.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"cgroup {self.path}: {self.reason}"


def read_machine_resources(
    machine: MachineInfo, *, mount: Path = CGROUP_MOUNT, root: Path = Path("/")
) -> MachineResources:
    """Read what decides how containers are confined; blocks on files of the kernel only."""
    unified = is_unified(mount)
    swap_file = mount / "memory/memory.memsw.limit_in_bytes"
    if unified:
        swap_file = _own_group(mount, root) / "memory.swap.max"
    cpus = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle"))
    return MachineResources(
        memory_bytes=machine.memory_bytes,
        cgroup_v2=unified,
        swap_controller=swap_file.exists(),
        hugepage_sizes=tuple(hugepage_unit(size) for size, _ in machine.hugepages),
        extra_masked_paths=tuple(f"/{path.relative_to(root)}" for path in cpus),
    )


def is_unified(mount: Path = CGROUP_MOUNT) -> bool:
    """Tell whether version 2 is the only one; a hybrid counts as version 1, as for runc."""
    return (mount / "cgroup.controllers").exists()


class PodCgroups:
    """Control groups of pods, parents of those of their containers.

    With the systemd driver the runtime asks systemd for the slices, and systemd drops those that
    are empty: there is nothing to do here, and only containers have limits.
    """

    def __init__(self, *, driver: CgroupDriver, mount: Path = CGROUP_MOUNT) -> None:
        self._driver = driver
        self._mount = mount

    async def ensure(self, parent: str, limits: PodCgroupLimits) -> None:
        """Make a pod's group and set its limits; again if it is there.

        Args:
            parent: See ``objects/cgroup_names.py``.
            limits: What to enforce for the whole pod.

        Raises:
            CgroupError: The kernel refuses.
        """
        if self._driver is CgroupDriver.CGROUPFS:
            await asyncio.to_thread(self._ensure, parent, limits)

    async def remove(self, parent: str) -> None:
        """Remove a pod's group with all groups in it; one that is not there is no error.

        Raises:
            CgroupError: A process still runs in it, or the kernel refuses.
        """
        if self._driver is CgroupDriver.CGROUPFS:
            await asyncio.to_thread(self._remove, parent)

    def _ensure(self, parent: str, limits: PodCgroupLimits) -> None:
        try:
            if is_unified(self._mount):
                self._ensure_v2(parent, limits)
            else:
                self._ensure_v1(parent, limits)
        except OSError as exc:
            raise CgroupError(parent, f"{exc.filename}: {exc.strerror}") from exc

    def _ensure_v1(self, parent: str, limits: PodCgroupLimits) -> None:
        files = {
            "cpu": {
                "cpu.shares": limits.cpu_shares,
                "cpu.cfs_period_us": CPU_PERIOD_US,
                "cpu.cfs_quota_us": limits.cpu_quota_us or -1,
            },
            "memory": {"memory.limit_in_bytes": limits.memory_bytes or -1},
        }
        for controller, values in files.items():
            group = self._mount / controller
            if controller == "memory" and limits.memory_bytes is None and not group.is_dir():
                continue  # kernels of small boards come without it; nothing is to be limited
            for part in Path(parent.lstrip("/")).parts:
                group /= part
                group.mkdir(exist_ok=True)
            for name, value in values.items():
                (group / name).write_text(str(value))

    def _ensure_v2(self, parent: str, limits: PodCgroupLimits) -> None:
        group = self._mount
        for part in Path(parent.lstrip("/")).parts:
            _delegate_controllers(group)
            group /= part
            group.mkdir(exist_ok=True)
        _delegate_controllers(group)
        (group / "cpu.weight").write_text(str(cpu_weight(limits.cpu_shares)))
        (group / "cpu.max").write_text(f"{limits.cpu_quota_us or 'max'} {CPU_PERIOD_US}")
        (group / "memory.max").write_text(str(limits.memory_bytes or "max"))

    def _remove(self, parent: str) -> None:
        for tree in self._trees():
            group = tree / parent.lstrip("/")
            try:
                _remove_groups(group)
            except FileNotFoundError:
                continue
            except OSError as exc:
                busy = exc.errno == errno.EBUSY
                reason = "a process still runs in it" if busy else str(exc.strerror)
                raise CgroupError(parent, f"{exc.filename}: {reason}") from exc

    def _trees(self) -> Iterable[Path]:
        if is_unified(self._mount):
            return (self._mount,)
        # Controllers that share a tree ("cpu,cpuacct") are links to it.
        return tuple(
            tree for tree in self._mount.iterdir() if tree.is_dir() and not tree.is_symlink()
        )


def cpu_weight(shares: int) -> int:
    """Convert version 1's weight (2 to 262144) to version 2's (1 to 10000), as runc 1.1 does."""
    span = MAX_CPU_SHARES - MIN_CPU_SHARES
    return 1 + (shares - MIN_CPU_SHARES) * (_MAX_WEIGHT - 1) // span


def _remove_groups(group: Path) -> None:
    for child in group.iterdir():
        if child.is_dir():
            _remove_groups(child)
    group.rmdir()


def _delegate_controllers(group: Path) -> None:
    available = set((group / "cgroup.controllers").read_text().split())
    enabled = set((group / "cgroup.subtree_control").read_text().split())
    missing = sorted(available & {"cpu", "cpuset", "memory", "pids", "io", "hugetlb"} - enabled)
    if missing:
        (group / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in missing))


def _own_group(mount: Path, root: Path) -> Path:
    """Return this process's group in the unified tree: the root group has no limits to look at."""
    for line in (root / "proc/self/cgroup").read_text().splitlines():
        if line.startswith("0::"):
            return mount / line.removeprefix("0::").lstrip("/")
    return mount
