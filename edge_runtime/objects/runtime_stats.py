"""What the container runtime measured: use of processors, memory, network and filesystems.

Times are nanoseconds since the epoch, UTC; None means that the runtime did not tell.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_runtime.objects.container import ContainerID
    from edge_runtime.objects.pod import PodUID, SandboxID


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuUsage:
    """Use of processors.

    Attributes:
        usage_core_ns: Core-nanoseconds since the start.
        usage_nano_cores: Use per second, in billionths of a core.
    """

    timestamp_ns: int
    usage_core_ns: int | None = None
    usage_nano_cores: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryUsage:
    """Use of memory; ``available_bytes`` only where there is a limit."""

    timestamp_ns: int
    working_set_bytes: int | None = None
    available_bytes: int | None = None
    usage_bytes: int | None = None
    rss_bytes: int | None = None
    page_faults: int | None = None
    major_page_faults: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapUsage:
    """Use of swap."""

    timestamp_ns: int
    usage_bytes: int | None = None
    available_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesystemUsage:
    """Use of one filesystem of the runtime.

    Attributes:
        mountpoint: Path on the machine.
    """

    timestamp_ns: int
    mountpoint: str
    used_bytes: int
    inodes_used: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFsInfo:
    """Use of the filesystems of images and of containers' writable layers."""

    image_filesystems: tuple[FilesystemUsage, ...] = ()
    container_filesystems: tuple[FilesystemUsage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceUsage:
    """Counters of one network interface since the sandbox's start; CRI tells no packets."""

    name: str
    rx_bytes: int = 0
    rx_packets: int = 0
    rx_errors: int = 0
    rx_dropped: int = 0
    tx_bytes: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    tx_dropped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerStats:
    """One reading of a container's use."""

    id: ContainerID
    name: str
    attempt: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    cpu: CpuUsage | None = None
    memory: MemoryUsage | None = None
    swap: SwapUsage | None = None
    writable_layer: FilesystemUsage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxStats:
    """One reading of a whole pod's use; the default interface comes first."""

    id: SandboxID
    pod_name: str
    pod_namespace: str
    pod_uid: PodUID
    cpu: CpuUsage | None = None
    memory: MemoryUsage | None = None
    network_timestamp_ns: int = 0
    interfaces: tuple[InterfaceUsage, ...] = ()
    process_count: int | None = None
    containers: tuple[ContainerStats, ...] = ()
