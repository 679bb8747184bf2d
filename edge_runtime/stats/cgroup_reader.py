"""Reads what the kernel counts for control groups, of both versions; everything here blocks.

Files of the kernel only, some microseconds each. A group may vanish between two of its files: then
there is nothing to tell of it, rather than half of it.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from edge_runtime.machine.cgroup_files import is_unified
from edge_runtime.machine.cgroups import CGROUP_MOUNT
from edge_runtime.stats.cgroup_counters import (
    CpuCounters,
    CpuLimits,
    DiskCounters,
    MemoryCounters,
    cpu_counters_v1,
    cpu_counters_v2,
    cpu_limits_v1,
    cpu_limits_v2,
    disk_counters_v1,
    disk_counters_v2,
    memory_counters_v1,
    memory_counters_v2,
)
from edge_runtime.stats.pressure import parse_pressure

if TYPE_CHECKING:
    from pathlib import Path

    from edge_runtime.objects.node_stats import Pressure

# What tasks wait for.
PRESSURES = ("cpu", "memory", "io")
# No file of a control group is near that; one that is longer is cut, not kept in memory.
_MAX_FILE_BYTES = 256 << 10
# What the kernel says of a group that is on its way out.
_GONE = frozenset({errno.ENOENT, errno.ENODEV, errno.ENOTDIR})
# A kernel that was told not to count pressure has the files all the same.
_NOT_COUNTED = errno.EOPNOTSUPP


class CgroupReader:
    """Reads groups by their path below the mount (``/kubepods/burstable/pod…``)."""

    def __init__(self, mount: Path = CGROUP_MOUNT) -> None:
        """Find out which version there is.

        Args:
            mount: Where control groups are mounted.
        """
        self._mount = os.fspath(mount)
        self._unified = is_unified(mount)

    def cpu(self, group: str) -> CpuCounters | None:
        """Return a group's time on processors, None when it is gone.

        Raises:
            OSError: The kernel refuses for another reason.
        """
        if self._unified:
            stat = self._read("", group, "cpu.stat")
            return None if stat is None else cpu_counters_v2(stat)
        usage = self._read("cpuacct", group, "cpuacct.usage")
        if usage is None:
            return None
        return cpu_counters_v1(
            usage=usage,
            stat=self._read("cpu", group, "cpu.stat") or "",
            user=self._read("cpuacct", group, "cpuacct.usage_user") or "",
            system=self._read("cpuacct", group, "cpuacct.usage_sys") or "",
        )

    def cpu_limits(self, group: str) -> CpuLimits | None:
        """Return what a group gets of processors, None when it is gone."""
        if self._unified:
            weight, limit = self._read("", group, "cpu.weight"), self._read("", group, "cpu.max")
            if weight is None or limit is None:
                return None
            return cpu_limits_v2(weight=weight, limit=limit)
        shares = self._read("cpu", group, "cpu.shares")
        if shares is None:
            return None
        return cpu_limits_v1(
            shares=shares,
            period=self._read("cpu", group, "cpu.cfs_period_us") or "",
            quota=self._read("cpu", group, "cpu.cfs_quota_us") or "",
        )

    def cpu_usage_ns(self, group: str) -> int | None:
        """Return only the total of ``cpu``, from one file."""
        if self._unified:
            counters = self.cpu(group)
            return None if counters is None else counters.usage_ns
        usage = self._read("cpuacct", group, "cpuacct.usage")
        return None if usage is None else cpu_counters_v1(usage=usage, stat="").usage_ns

    def memory(self, group: str, *, detailed: bool = False) -> MemoryCounters | None:
        """Return a group's memory, None when it is gone or the kernel does not count it.

        Args:
            group: Path below the mount.
            detailed: Whether to read the greatest use, failures and kills, too: more files.

        Raises:
            OSError: The kernel refuses for another reason.
        """
        if self._unified:
            return self._memory_v2(group, detailed=detailed)
        usage = self._read("memory", group, "memory.usage_in_bytes")
        stat = self._read("memory", group, "memory.stat")
        if usage is None or stat is None:
            return None
        more = ("max_usage_in_bytes", "failcnt", "oom_control") if detailed else ()
        max_usage, failures, oom_control = self._optional("memory", group, more)
        return memory_counters_v1(
            usage=usage,
            stat=stat,
            limit=self._read("memory", group, "memory.limit_in_bytes") or "",
            total_limit=self._read("memory", group, "memory.memsw.limit_in_bytes"),
            max_usage=max_usage,
            failures=failures,
            oom_control=oom_control,
        )

    def _memory_v2(self, group: str, *, detailed: bool) -> MemoryCounters | None:
        stat = self._read("", group, "memory.stat")
        current = self._read("", group, "memory.current")
        if stat is None or (current is None and group.strip("/")):
            return None
        peak, events, _ = self._optional("", group, ("peak", "events") if detailed else ())
        return memory_counters_v2(
            current=current,
            stat=stat,
            limit=self._read("", group, "memory.max") or "",
            swap=self._read("", group, "memory.swap.current") or "",
            swap_limit=self._read("", group, "memory.swap.max") or "0",
            peak=peak,
            events=events,
        )

    def _optional(
        self, controller: str, group: str, names: tuple[str, ...]
    ) -> tuple[str, str, str]:
        found = [self._read(controller, group, f"memory.{name}") or "" for name in names]
        first, second, third = (*found, "", "", "")[:3]
        return first, second, third

    def pressure(self, group: str) -> dict[str, Pressure]:
        """Return what a group's tasks waited for, by ``cpu``, ``memory`` and ``io``.

        Empty where the kernel does not count it, as in version 1, and when the group is gone.
        """
        if not self._unified:
            return {}
        texts = {name: self._read("", group, f"{name}.pressure") for name in PRESSURES}
        found = {name: parse_pressure(text) for name, text in texts.items() if text is not None}
        return {name: each for name, each in found.items() if each is not None}

    def disks(self, group: str) -> tuple[DiskCounters, ...]:
        """Return what a group read and wrote, by block device; empty when it is gone."""
        if self._unified:
            return disk_counters_v2(self._read("", group, "io.stat") or "")
        name = "blkio.throttle.io_{}_recursive"
        return disk_counters_v1(
            transferred=self._read("blkio", group, name.format("service_bytes")) or "",
            operations=self._read("blkio", group, name.format("serviced")) or "",
        )

    def processes(self, group: str) -> tuple[int, ...]:
        """Return the processes in a group itself, not in those below it; empty when it is gone."""
        tree = "" if self._unified else "cpuacct"
        text = self._read(tree, group, "cgroup.procs")
        return () if text is None else tuple(int(each) for each in text.split() if each.isdecimal())

    def tasks(self, group: str) -> int | None:
        """Return how many processes and threads are in a group and those below it."""
        text = self._read("" if self._unified else "pids", group, "pids.current")
        return None if text is None or not text.strip().isdecimal() else int(text)

    def _read(self, controller: str, group: str, name: str) -> str | None:
        path = "/".join(part for part in (self._mount, controller, group.strip("/"), name) if part)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as exc:
            if exc.errno in _GONE or exc.errno == _NOT_COUNTED:
                return None
            raise
        text = b""
        try:
            # The kernel hands out lists a page at a time, as that of a group's processes.
            while len(text) < _MAX_FILE_BYTES and (data := os.read(descriptor, _MAX_FILE_BYTES)):
                text += data
            return text.decode(errors="replace")
        except OSError as exc:
            if exc.errno in _GONE or exc.errno == _NOT_COUNTED:
                return None
            raise
        finally:
            os.close(descriptor)
