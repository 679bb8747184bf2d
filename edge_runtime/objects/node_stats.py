"""What the machine, its pods and their containers use; one reading, from which all answers come.

Values only. Times are nanoseconds since the epoch, UTC. What is None was not measured, or the
kernel or the runtime did not tell: never is a guess or a zero put in its place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_runtime.objects.container import ContainerID
    from edge_runtime.objects.pod import PodUID, SandboxID
    from edge_runtime.objects.runtime_stats import (
        CpuUsage,
        InterfaceUsage,
        MemoryUsage,
        SwapUsage,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PressureShare:
    """How much of the time tasks waited for a resource, in percent of the last seconds.

    Attributes:
        total_us: Since the group was made.
    """

    avg10: float
    avg60: float
    avg300: float
    total_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """Waits for one resource: of some tasks, and of all at once."""

    some: PressureShare
    full: PressureShare


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupPressure:
    """What a group's tasks waited for; None where the kernel does not count it."""

    timestamp_ns: int
    cpu: Pressure | None = None
    memory: Pressure | None = None
    io: Pressure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupStats:
    """What one control group uses, with those in it.

    Attributes:
        pressure: None where the kernel counts none by group: only version 2 does.
    """

    cpu: CpuUsage | None = None
    memory: MemoryUsage | None = None
    swap: SwapUsage | None = None
    pressure: GroupPressure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskUse:
    """What lies on a disk."""

    size_bytes: int = 0
    inodes: int = 0

    def __add__(self, other: DiskUse) -> DiskUse:
        """Return both together."""
        return DiskUse(
            size_bytes=self.size_bytes + other.size_bytes,
            inodes=self.inodes + other.inodes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesystemStats:
    """Space of one filesystem, and what of it is used by whom this stands beside.

    Attributes:
        used_bytes: By the owner alone, not by all who write to this filesystem.
        inodes_used: As ``used_bytes``.
    """

    timestamp_ns: int
    available_bytes: int | None = None
    capacity_bytes: int | None = None
    used_bytes: int | None = None
    inodes_free: int | None = None
    inodes: int | None = None
    inodes_used: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkStats:
    """Counters of the interfaces of one network namespace, loopback left out."""

    timestamp_ns: int
    interfaces: tuple[InterfaceUsage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeStats:
    """One volume of a pod.

    Attributes:
        claim: Namespace and name of its claim; None for a volume of the pod's own.
    """

    name: str
    filesystem: FilesystemStats
    claim: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerFigures:
    """One running container.

    Attributes:
        created_at_ns: When the runtime made it.
        group: Its control group's path.
        rootfs: Of its writable layer.
        logs: Of all its log files that are kept.
    """

    id: ContainerID
    name: str
    created_at_ns: int
    group: str
    image: str = ""
    use: GroupStats = field(default_factory=GroupStats)
    rootfs: FilesystemStats | None = None
    logs: FilesystemStats | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PodFigures:
    """One pod of which a container runs.

    Attributes:
        created_at_ns: When the runtime made its newest sandbox.
        group: Its control group's path.
        sandbox_group: That of the sandbox, whose processes are in the pod's network.
        claims: Names of the claims that its volumes are, by the volume's name.
        processes: In all its containers.
        ephemeral_storage: All that goes with the pod.
    """

    uid: PodUID
    name: str
    namespace: str
    created_at_ns: int
    group: str
    sandbox_id: SandboxID
    sandbox_group: str
    containers: tuple[ContainerFigures, ...] = ()
    claims: Mapping[str, str] = field(default_factory=dict)
    use: GroupStats = field(default_factory=GroupStats)
    network: NetworkStats | None = None
    processes: int | None = None
    volumes: tuple[VolumeStats, ...] = ()
    ephemeral_storage: FilesystemStats | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemContainer:
    """A part of the machine that is no pod, by the kubelet's word for it: ``pods``, ``kubelet``."""

    name: str
    started_at_ns: int
    use: GroupStats


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCounts:
    """Processes and threads of the machine."""

    timestamp_ns: int
    running: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStats:
    """The whole machine.

    Attributes:
        started_at_ns: When the machine booted.
        filesystem: That of edgelet's root folder; all that is used of it.
        image_filesystem: That of the runtime's images; what they use of it.
        container_filesystem: That of the containers' writable layers.
    """

    node_name: str
    started_at_ns: int
    use: GroupStats
    pods: tuple[PodFigures, ...] = ()
    system_containers: tuple[SystemContainer, ...] = ()
    network: NetworkStats | None = None
    filesystem: FilesystemStats | None = None
    image_filesystem: FilesystemStats | None = None
    container_filesystem: FilesystemStats | None = None
    tasks: TaskCounts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PodStorage:
    """What one pod keeps on disks: of containers by id, of their logs by name.

    Attributes:
        ephemeral: All that goes with the pod.
    """

    rootfs: Mapping[ContainerID, FilesystemStats]
    logs: Mapping[str, FilesystemStats]
    volumes: tuple[VolumeStats, ...]
    ephemeral: FilesystemStats


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStorage:
    """All filesystems, and pods by UID."""

    root: FilesystemStats
    image: FilesystemStats | None
    container: FilesystemStats | None
    pods: Mapping[PodUID, PodStorage]
