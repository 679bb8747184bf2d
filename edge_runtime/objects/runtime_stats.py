"""What the container runtime measured: use of processors, memory, network and filesystems.

Times are nanoseconds since the epoch, UTC; None means that the runtime did not tell.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_runtime.objects.pod import ContainerID, PodUID, SandboxID


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
class ContainerStats:
    """One reading of a container's use; None where the runtime did not tell.

    Attributes:
        cpu_usage_ns: Core-nanoseconds since the container's start.
        cpu_nano_cores: Use per second, in billionths of a core.
    """

    id: ContainerID
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    cpu_timestamp_ns: int = 0
    cpu_usage_ns: int | None = None
    cpu_nano_cores: int | None = None
    memory_timestamp_ns: int = 0
    working_set_bytes: int | None = None
    available_bytes: int | None = None
    usage_bytes: int | None = None
    rss_bytes: int | None = None
    page_faults: int | None = None
    major_page_faults: int | None = None
    swap_usage_bytes: int | None = None
    swap_available_bytes: int | None = None
    writable_layer: FilesystemUsage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceUsage:
    """Counters of one network interface since the sandbox's start."""

    name: str
    rx_bytes: int = 0
    rx_errors: int = 0
    tx_bytes: int = 0
    tx_errors: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxStats:
    """One reading of a whole pod's use; None where the runtime did not tell."""

    id: SandboxID
    pod_name: str
    pod_namespace: str
    pod_uid: PodUID
    cpu_timestamp_ns: int = 0
    cpu_usage_ns: int | None = None
    cpu_nano_cores: int | None = None
    memory_timestamp_ns: int = 0
    working_set_bytes: int | None = None
    available_bytes: int | None = None
    usage_bytes: int | None = None
    rss_bytes: int | None = None
    page_faults: int | None = None
    major_page_faults: int | None = None
    network_timestamp_ns: int = 0
    interfaces: tuple[InterfaceUsage, ...] = ()
    process_count: int | None = None
    containers: tuple[ContainerStats, ...] = ()
