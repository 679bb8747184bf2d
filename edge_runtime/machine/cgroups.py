"""The machine's control groups: what they can do, and those of pods and their classes.

    kubepods                     weight of all processors
      ├─ burstable               weight of what its pods ask for
      │    └─ pod<uid>           limits of the pod
      ├─ besteffort              least weight
      └─ pod<uid>                Guaranteed pods

Source: kubernetes pkg/kubelet/cm/cgroup_manager_linux.go, pod_container_manager_linux.go,
qos_container_manager_linux.go.
"""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.machine.cgroup_files import (
    is_unified,
    remove_group,
    write_cpu_shares,
    write_limits,
)
from edge_runtime.machine.systemd_slices import (
    SliceError,
    SystemdSlices,
    limit_properties,
    weight_property,
)
from edge_runtime.objects.cgroup_names import CgroupDriver
from edge_runtime.runtime.cri_resources import MachineResources, hugepage_unit

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_runtime.machine.machine_info import MachineInfo
    from edge_runtime.machine.systemd_slices import Property
    from edge_runtime.runtime.cri_resources import PodCgroupLimits

CGROUP_MOUNT = Path("/sys/fs/cgroup")


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
    machine: MachineInfo,
    *,
    mount: Path = CGROUP_MOUNT,
    root: Path = Path("/"),
    min_oom_score_adj: int = -1000,
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
        min_oom_score_adj=min_oom_score_adj,
        cpus=machine.cpus,
    )


class PodCgroups:
    """Control groups of pods and their classes, parents of those of containers."""

    def __init__(
        self,
        *,
        driver: CgroupDriver,
        mount: Path = CGROUP_MOUNT,
        slices: SystemdSlices | None = None,
    ) -> None:
        """Prepare; nothing is made yet.

        Args:
            driver: Who makes control groups.
            mount: Where they are mounted.
            slices: Asks systemd, with its driver; without it systemd's groups are left to the
                runtime, and only containers have limits.
        """
        self._driver = driver
        self._mount = mount
        self._slices = slices
        self._changed: Callable[[], None] = lambda: None

    def on_change(self, changed: Callable[[], None]) -> None:
        """Call ``changed`` whenever a pod's group is made or removed."""
        self._changed = changed

    async def ensure(self, parent: str, limits: PodCgroupLimits) -> None:
        """Make a pod's group and set its limits; again if it is there.

        Args:
            parent: See ``objects/cgroup_names.py``.
            limits: What to enforce for the whole pod.

        Raises:
            CgroupError: The kernel or systemd refuses.
        """
        unified = is_unified(self._mount)
        await self._start_slice(parent, limit_properties(limits, unified=unified))
        await self._write(parent, lambda: write_limits(self._mount, parent, limits))
        self._changed()

    async def ensure_weight(self, group: str, cpu_shares: int) -> None:
        """Make the group of a class of pods and set its weight; again if it is there.

        Raises:
            CgroupError: The kernel or systemd refuses.
        """
        unified = is_unified(self._mount)
        await self._start_slice(group, (weight_property(cpu_shares, unified=unified),))
        await self._write(group, lambda: write_cpu_shares(self._mount, group, cpu_shares))

    async def remove(self, parent: str) -> None:
        """Remove a pod's group with all groups in it; one that is not there is no error.

        Raises:
            CgroupError: A process still runs in it, or the kernel or systemd refuses.
        """
        if self._slices is not None:
            try:
                await self._slices.stop(parent)
            except SliceError as exc:
                raise CgroupError(parent, str(exc)) from exc
        await self._write(parent, lambda: remove_group(self._mount, parent))
        self._changed()

    async def _start_slice(self, group: str, properties: tuple[Property, ...]) -> None:
        if self._slices is None:
            return
        try:
            await self._slices.ensure(group, properties, unified=is_unified(self._mount))
        except SliceError as exc:
            raise CgroupError(group, str(exc)) from exc

    async def _write(self, group: str, write: Callable[[], None]) -> None:
        if self._driver is CgroupDriver.SYSTEMD and self._slices is None:
            return
        try:
            await asyncio.to_thread(write)
        except OSError as exc:
            busy = exc.errno == errno.EBUSY
            reason = "a process still runs in it" if busy else str(exc.strerror)
            raise CgroupError(group, f"{exc.filename}: {reason}") from exc


def _own_group(mount: Path, root: Path) -> Path:
    """Return this process's group in the unified tree: the root group has no limits to look at."""
    for line in (root / "proc/self/cgroup").read_text().splitlines():
        if line.startswith("0::"):
            return mount / line.removeprefix("0::").lstrip("/")
    return mount
