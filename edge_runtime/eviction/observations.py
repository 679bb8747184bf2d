"""What is left of each resource, and what each pod uses; pure.

Source: kubernetes pkg/kubelet/eviction/helpers.go ``makeSignalObservations``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_runtime.objects.eviction_thresholds import Signal
from edge_runtime.objects.node_stats import DiskUse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_runtime.machine.usage import MachineUsage

# What runs short, as messages name it.
RESOURCES: Mapping[Signal, str] = {
    Signal.MEMORY_AVAILABLE: "memory",
    Signal.NODEFS_AVAILABLE: "ephemeral-storage",
    Signal.NODEFS_INODES_FREE: "inodes",
    Signal.IMAGEFS_AVAILABLE: "ephemeral-storage",
    Signal.IMAGEFS_INODES_FREE: "inodes",
    Signal.PID_AVAILABLE: "pids",
}
MEMORY_PRESSURE = "MemoryPressure"
DISK_PRESSURE = "DiskPressure"
PID_PRESSURE = "PIDPressure"
CONDITIONS: Mapping[str, str] = {
    "memory": MEMORY_PRESSURE,
    "ephemeral-storage": DISK_PRESSURE,
    "inodes": DISK_PRESSURE,
    "pids": PID_PRESSURE,
}


@dataclass(frozen=True, slots=True)
class Observation:
    """How much there is, in bytes, inodes or process ids.

    Attributes:
        available: What is left.
        capacity: What there is in all.
    """

    available: int
    capacity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerUse:
    """What one container uses.

    Attributes:
        memory_bytes: Working set; None when the runtime did not tell.
        writable_layer: None when the runtime did not tell.
        logs: All log files that are kept of it.
    """

    name: str
    memory_bytes: int | None = None
    writable_layer: DiskUse | None = None
    logs: DiskUse = field(default_factory=DiskUse)


@dataclass(frozen=True, slots=True, kw_only=True)
class PodUse:
    """What one pod uses.

    Attributes:
        volumes: Its emptyDirs on disk, by name.
        processes: How many processes run in it.
    """

    containers: tuple[ContainerUse, ...] = ()
    volumes: Mapping[str, DiskUse] = field(default_factory=dict)
    processes: int = 0

    @property
    def memory_bytes(self) -> int:
        """The working sets of all its containers."""
        return sum(each.memory_bytes or 0 for each in self.containers)

    @property
    def logs(self) -> DiskUse:
        """The logs of all its containers."""
        return sum((each.logs for each in self.containers), DiskUse())

    @property
    def writable_layers(self) -> DiskUse:
        """What all its containers wrote into their own filesystems."""
        return sum((each.writable_layer or DiskUse() for each in self.containers), DiskUse())

    @property
    def local_volumes(self) -> DiskUse:
        """All its emptyDirs on disk."""
        return sum(self.volumes.values(), DiskUse())

    @property
    def ephemeral_storage(self) -> DiskUse:
        """All that goes with the pod."""
        return self.logs + self.writable_layers + self.local_volumes


def observe(usage: MachineUsage) -> dict[Signal, Observation]:
    """Return the observation of each signal that can be measured."""
    found = {
        Signal.MEMORY_AVAILABLE: Observation(usage.available_memory_bytes, usage.memory_bytes),
        Signal.PID_AVAILABLE: Observation(usage.max_pids - usage.pids, usage.max_pids),
    }
    for space, available, inodes in (
        (usage.nodefs, Signal.NODEFS_AVAILABLE, Signal.NODEFS_INODES_FREE),
        (usage.imagefs, Signal.IMAGEFS_AVAILABLE, Signal.IMAGEFS_INODES_FREE),
    ):
        if space is not None:
            found[available] = Observation(space.available_bytes, space.capacity_bytes)
            if space.inodes:  # 0 where inodes are not counted
                found[inodes] = Observation(space.inodes_free, space.inodes)
    return found
