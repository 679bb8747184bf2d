"""What the kernel counts for one control group, read out of its files' texts; pure.

Memory is counted as cadvisor does it, which is what kubelets tell: the working set is what is used
without the file pages that were not touched lately.

Source: cadvisor container/libcontainer/handler.go ``setMemoryStats``, ``setCPUStats``;
opencontainers/cgroups fs and fs2; kernel Documentation/admin-guide/cgroup-v1/memory.rst,
cgroup-v2.rst.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# Counted by version 2 in microseconds.
_NS_PER_US = 1000
# Version 1 has no word for "no limit": it is the largest multiple of a page in a signed long.
_NO_LIMIT_BYTES = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuCounters:
    """Time on processors since the group was made.

    Attributes:
        periods: Of the quota that were enforced.
        throttled_periods: Of them, those in which it was used up.
        throttled_ns: How long the group waited for the next period.
    """

    usage_ns: int
    user_ns: int = 0
    system_ns: int = 0
    periods: int = 0
    throttled_periods: int = 0
    throttled_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryCounters:
    """Memory of a group with all groups in it; faults are counted since it was made.

    Attributes:
        working_set_bytes: What reclaiming would not give back at once.
        limit_bytes: None without one.
        swap_limit_bytes: None without one; 0 where the kernel does not count swap.
        max_usage_bytes: The most that was ever used; 0 where the kernel does not tell.
        failures: How often the limit was hit.
        oom_kills: Processes that the kernel killed for it.
    """

    usage_bytes: int
    working_set_bytes: int
    rss_bytes: int
    cache_bytes: int
    mapped_file_bytes: int
    swap_bytes: int
    page_faults: int
    major_page_faults: int
    limit_bytes: int | None
    swap_limit_bytes: int | None = 0
    max_usage_bytes: int = 0
    failures: int = 0
    oom_kills: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuLimits:
    """What a group gets of processors.

    Attributes:
        shares: Its weight, on version 1's scale of 2 to 262144.
        quota_us: Of each period; None without a limit.
    """

    shares: int
    period_us: int
    quota_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskCounters:
    """What a group read from and wrote to one block device since it was made."""

    major: int
    minor: int
    read_bytes: int = 0
    write_bytes: int = 0
    reads: int = 0
    writes: int = 0


def parse_flat(text: str) -> dict[str, int]:
    """Read lines of ``name value``; what is no such line is passed over."""
    found: dict[str, int] = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if value.isdecimal():
            found[name] = int(value)
    return found


def parse_limit(text: str) -> int | None:
    """Read a limit; None when there is none."""
    value = text.strip()
    if not value.isdecimal() or int(value) >= _NO_LIMIT_BYTES:
        return None
    return int(value)


def cpu_counters_v1(*, usage: str, stat: str, user: str = "", system: str = "") -> CpuCounters:
    """Read ``cpuacct.usage``, ``cpu.stat``, ``cpuacct.usage_user`` and ``cpuacct.usage_sys``."""
    throttling = parse_flat(stat)
    return CpuCounters(
        usage_ns=_number(usage),
        user_ns=_number(user),
        system_ns=_number(system),
        periods=throttling.get("nr_periods", 0),
        throttled_periods=throttling.get("nr_throttled", 0),
        throttled_ns=throttling.get("throttled_time", 0),
    )


def cpu_counters_v2(stat: str) -> CpuCounters:
    """Read ``cpu.stat``."""
    values = parse_flat(stat)
    return CpuCounters(
        usage_ns=values.get("usage_usec", 0) * _NS_PER_US,
        user_ns=values.get("user_usec", 0) * _NS_PER_US,
        system_ns=values.get("system_usec", 0) * _NS_PER_US,
        periods=values.get("nr_periods", 0),
        throttled_periods=values.get("nr_throttled", 0),
        throttled_ns=values.get("throttled_usec", 0) * _NS_PER_US,
    )


def cpu_limits_v1(*, shares: str, period: str, quota: str) -> CpuLimits:
    """Read ``cpu.shares``, ``cpu.cfs_period_us`` and ``cpu.cfs_quota_us``."""
    # "-1" is no limit.
    return CpuLimits(
        shares=_number(shares), period_us=_number(period), quota_us=_number(quota) or None
    )


def cpu_limits_v2(*, weight: str, limit: str) -> CpuLimits:
    """Read ``cpu.weight`` and ``cpu.max``.

    Source: cadvisor container/common/helpers.go ``convertCPUWeightToCPULimit``.
    """
    quota, _, period = limit.strip().partition(" ")
    shares = 2 + (max(_number(weight), 1) - 1) * 262_142 // 9999
    return CpuLimits(shares=shares, period_us=_number(period), quota_us=_number(quota) or None)


def memory_counters_v1(
    *,
    usage: str,
    stat: str,
    limit: str,
    total_limit: str | None = None,
    max_usage: str = "",
    failures: str = "",
    oom_control: str = "",
) -> MemoryCounters:
    """Read ``memory.usage_in_bytes`` and its siblings.

    ``memory.memsw.limit_in_bytes``, the total limit, is that of memory and swap together.

    Faults are the group's own, as cadvisor has them, all else is with the groups in it.
    """
    values = parse_flat(stat)
    usage_bytes = _number(usage)
    return MemoryCounters(
        usage_bytes=usage_bytes,
        working_set_bytes=_without(usage_bytes, values.get("total_inactive_file", 0)),
        rss_bytes=values.get("total_rss", 0),
        cache_bytes=values.get("total_cache", 0),
        mapped_file_bytes=values.get("total_mapped_file", 0),
        swap_bytes=values.get("total_swap", 0),
        page_faults=values.get("pgfault", 0),
        major_page_faults=values.get("pgmajfault", 0),
        limit_bytes=parse_limit(limit),
        swap_limit_bytes=_swap_limit_v1(limit, total_limit),
        max_usage_bytes=_number(max_usage),
        failures=_number(failures),
        oom_kills=parse_flat(oom_control).get("oom_kill", 0),
    )


def memory_counters_v2(
    *,
    current: str | None,
    stat: str,
    limit: str,
    swap: str = "",
    swap_limit: str = "0",
    peak: str = "",
    events: str = "",
) -> MemoryCounters:
    """Read ``memory.current`` and its siblings.

    The tree's root has no ``memory.current``: None counts what is mapped and what holds files.
    """
    values = parse_flat(stat)
    if current is None:
        usage_bytes = values.get("anon", 0) + values.get("file", 0)
    else:
        usage_bytes = _number(current)
    return MemoryCounters(
        usage_bytes=usage_bytes,
        working_set_bytes=_without(usage_bytes, values.get("inactive_file", 0)),
        rss_bytes=values.get("anon", 0),
        cache_bytes=values.get("file", 0),
        mapped_file_bytes=values.get("file_mapped", 0),
        swap_bytes=_number(swap),
        page_faults=values.get("pgfault", 0),
        major_page_faults=values.get("pgmajfault", 0),
        limit_bytes=parse_limit(limit),
        swap_limit_bytes=parse_limit(swap_limit),
        max_usage_bytes=_number(peak),
        failures=parse_flat(events).get("max", 0),
        oom_kills=parse_flat(events).get("oom_kill", 0),
    )


def disk_counters_v1(*, transferred: str, operations: str) -> tuple[DiskCounters, ...]:
    """Read ``blkio.throttle.io_service_bytes_recursive`` and ``io_serviced_recursive``.

    Lines are ``major:minor Read|Write|… value``.
    """
    found: dict[str, dict[str, int]] = {}
    names = {"Read": ("read_bytes", "reads"), "Write": ("write_bytes", "writes")}
    for index, text in enumerate((transferred, operations)):
        for line in text.splitlines():
            match line.split():
                case [device, what, value] if what in names and value.isdecimal():
                    found.setdefault(device, {})[names[what][index]] = int(value)
                case _:
                    continue
    return _disks(found)


def disk_counters_v2(stat: str) -> tuple[DiskCounters, ...]:
    """Read ``io.stat``: lines of ``major:minor rbytes=… wbytes=… rios=… wios=…``."""
    names = {"rbytes": "read_bytes", "wbytes": "write_bytes", "rios": "reads", "wios": "writes"}
    found: dict[str, dict[str, int]] = {}
    for line in stat.splitlines():
        device, *pairs = line.split() or [""]
        for pair in pairs:
            name, _, value = pair.partition("=")
            if name in names and value.isdecimal():
                found.setdefault(device, {})[names[name]] = int(value)
    return _disks(found)


def _disks(found: Mapping[str, Mapping[str, int]]) -> tuple[DiskCounters, ...]:
    disks: list[DiskCounters] = []
    for device, values in found.items():
        major, _, minor = device.partition(":")
        if major.isdecimal() and minor.isdecimal():
            disks.append(DiskCounters(major=int(major), minor=int(minor), **values))
    return tuple(disks)


def _swap_limit_v1(limit: str, total_limit: str | None) -> int | None:
    if total_limit is None:
        return 0
    total = parse_limit(total_limit)
    return None if total is None else max(total - (parse_limit(limit) or 0), 0)


def _number(text: str) -> int:
    value = text.strip()
    return int(value) if value.isdecimal() else 0


def _without(usage_bytes: int, inactive_bytes: int) -> int:
    return max(usage_bytes - inactive_bytes, 0)
