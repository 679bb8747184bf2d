"""GroupStatsReader: processors, memory and swap of control groups as values; blocks on the kernel.

A file whose group went away in the meantime leaves its part out.
"""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

from edge_runtime.objects.node_stats import GroupPressure, GroupStats
from edge_runtime.objects.runtime_stats import CpuUsage, MemoryUsage, SwapUsage
from edge_runtime.stats.cpu_rates import CpuRates

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_runtime.objects.node_stats import Pressure
    from edge_runtime.stats.cgroup_counters import MemoryCounters
    from edge_runtime.stats.cgroup_reader import CgroupReader
    from edge_runtime.stats.machine_reader import MachineMemory


class GroupStatsReader:
    """Reads groups, and remembers how far their processors' counters were the last time.

    Args:
        cgroups: Reads the kernel's files.
    """

    def __init__(self, cgroups: CgroupReader) -> None:
        self._cgroups = cgroups
        self._rates = CpuRates()
        self._has_swap = True

    def read(self, group: str) -> GroupStats:
        """Return what a group uses now.

        Raises:
            OSError: The kernel refuses, for another reason than that the group is gone.
        """
        cpu = self._cpu(group)
        memory = self._cgroups.memory(group)
        pressure = _pressure(self._cgroups.pressure(group))
        if memory is None:
            return GroupStats(cpu=cpu, pressure=pressure)
        now_ns = time.time_ns()
        return GroupStats(
            cpu=cpu,
            memory=_memory(memory, now_ns),
            swap=self._swap(memory, now_ns),
            pressure=pressure,
        )

    def read_machine(self, machine: MachineMemory, pressure: Mapping[str, Pressure]) -> GroupStats:
        """Return what the root of all groups uses.

        Args:
            machine: Its memory is the root's limit.
            pressure: What its tasks waited for.

        Raises:
            OSError: The kernel refuses.
        """
        self._has_swap = machine.swap_total_bytes > 0
        cpu = self._cpu("/")
        memory = self._cgroups.memory("/")
        if memory is None:
            return GroupStats(cpu=cpu)
        memory = dataclasses.replace(
            memory,
            limit_bytes=machine.total_bytes,
            swap_bytes=machine.swap_total_bytes - machine.swap_free_bytes,
            swap_limit_bytes=machine.swap_total_bytes,
        )
        now_ns = time.time_ns()
        return GroupStats(
            cpu=cpu,
            memory=_memory(memory, now_ns),
            swap=self._swap(memory, now_ns),
            pressure=_pressure(pressure),
        )

    def end_round(self) -> None:
        """Forget the groups that were not read since the last call."""
        self._rates.end_round()

    def _cpu(self, group: str) -> CpuUsage | None:
        usage_ns = self._cgroups.cpu_usage_ns(group)
        if usage_ns is None:
            return None
        return CpuUsage(
            timestamp_ns=time.time_ns(),
            usage_core_ns=usage_ns,
            usage_nano_cores=self._rates.put(group, usage_ns=usage_ns, at_ns=time.monotonic_ns()),
        )

    def _swap(self, counters: MemoryCounters, now_ns: int) -> SwapUsage:
        # Without a limit there is as much as the machine has: nothing to tell, unless that is none.
        limit = counters.swap_limit_bytes if self._has_swap else 0
        return SwapUsage(
            timestamp_ns=now_ns,
            usage_bytes=counters.swap_bytes,
            available_bytes=None if limit is None else max(limit - counters.swap_bytes, 0),
        )


def _pressure(found: Mapping[str, Pressure]) -> GroupPressure | None:
    return GroupPressure(timestamp_ns=time.time_ns(), **found) if found else None


def _memory(counters: MemoryCounters, now_ns: int) -> MemoryUsage:
    limit = counters.limit_bytes
    return MemoryUsage(
        timestamp_ns=now_ns,
        available_bytes=None if limit is None else max(limit - counters.working_set_bytes, 0),
        usage_bytes=counters.usage_bytes,
        working_set_bytes=counters.working_set_bytes,
        rss_bytes=counters.rss_bytes,
        page_faults=counters.page_faults,
        major_page_faults=counters.major_page_faults,
    )
