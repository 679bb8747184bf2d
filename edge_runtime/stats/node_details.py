"""What more the kernel counts than a summary tells; values only, pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_runtime.objects.container import ContainerID
    from edge_runtime.objects.node_stats import NetworkStats, TaskCounts
    from edge_runtime.objects.pod import PodUID
    from edge_runtime.stats.cgroup_counters import (
        CpuCounters,
        CpuLimits,
        DiskCounters,
        MemoryCounters,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerDetails:
    """Counters of one container; None for what is gone.

    Attributes:
        timestamp_ns: When they were read.
        processes: In it, without threads.
        tasks: Processes and threads.
    """

    timestamp_ns: int
    cpu: CpuCounters | None
    limits: CpuLimits | None
    memory: MemoryCounters | None
    disks: tuple[DiskCounters, ...]
    processes: int
    tasks: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PodDetails:
    """Counters of one pod; of its containers by id.

    Attributes:
        network: None when its sandbox is gone.
        processes: In all its containers.
    """

    network: NetworkStats | None
    processes: int
    containers: Mapping[ContainerID, ContainerDetails]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDetails:
    """Counters of the machine; of pods by UID.

    Attributes:
        cpus: Processors.
        disk_names: Of block devices by major and minor number, as below ``/dev``; those that the
            kernel does not name are missing.
    """

    cpus: int
    memory_bytes: int
    swap_bytes: int
    network: NetworkStats | None
    tasks: TaskCounts
    pods: Mapping[PodUID, PodDetails]
    disk_names: Mapping[tuple[int, int], str] = field(default_factory=dict)
