"""CRI's figures as our values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.objects.container import ContainerID
from edge_runtime.objects.pod import PodUID, SandboxID
from edge_runtime.objects.runtime_stats import (
    ContainerStats,
    CpuUsage,
    FilesystemUsage,
    ImageFsInfo,
    InterfaceUsage,
    MemoryUsage,
    SandboxStats,
    SwapUsage,
)

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from cri_protos import api_pb2 as pb


def decode_container_stats(message: pb.ContainerStats) -> ContainerStats:
    """Decode one container's figures."""
    attributes = message.attributes
    return ContainerStats(
        id=ContainerID(attributes.id),
        name=attributes.metadata.name,
        attempt=attributes.metadata.attempt,
        labels=dict(attributes.labels),
        cpu=_cpu(message.cpu) if message.HasField("cpu") else None,
        memory=_memory(message.memory) if message.HasField("memory") else None,
        swap=_swap(message.swap) if message.HasField("swap") else None,
        writable_layer=_filesystem(message.writable_layer)
        if message.HasField("writable_layer")
        else None,
    )


def decode_sandbox_stats(message: pb.PodSandboxStats) -> SandboxStats:
    """Decode one pod's figures; containerd 1.6 has them only for sandboxes with a cgroup parent."""
    attributes, linux = message.attributes, message.linux
    network = linux.network
    interfaces = [network.default_interface] if network.HasField("default_interface") else []
    return SandboxStats(
        id=SandboxID(attributes.id),
        pod_name=attributes.metadata.name,
        pod_namespace=attributes.metadata.namespace,
        pod_uid=PodUID(attributes.metadata.uid),
        cpu=_cpu(linux.cpu) if linux.HasField("cpu") else None,
        memory=_memory(linux.memory) if linux.HasField("memory") else None,
        network_timestamp_ns=network.timestamp,
        interfaces=tuple(_interface(each) for each in (*interfaces, *network.interfaces)),
        process_count=_value(linux.process, "process_count"),
        containers=tuple(decode_container_stats(each) for each in linux.containers),
    )


def decode_image_fs_info(message: pb.ImageFsInfoResponse) -> ImageFsInfo:
    """Decode the use of the runtime's filesystems."""
    return ImageFsInfo(
        image_filesystems=tuple(_filesystem(each) for each in message.image_filesystems),
        container_filesystems=tuple(_filesystem(each) for each in message.container_filesystems),
    )


def _value(message: Message, field: str) -> int | None:
    """Return a wrapped number, None when the runtime did not tell it."""
    if not message.HasField(field):
        return None
    return int(getattr(message, field).value)


def _cpu(message: pb.CpuUsage) -> CpuUsage:
    return CpuUsage(
        timestamp_ns=message.timestamp,
        usage_core_ns=_value(message, "usage_core_nano_seconds"),
        usage_nano_cores=_value(message, "usage_nano_cores"),
    )


def _memory(message: pb.MemoryUsage) -> MemoryUsage:
    return MemoryUsage(
        timestamp_ns=message.timestamp,
        working_set_bytes=_value(message, "working_set_bytes"),
        available_bytes=_value(message, "available_bytes"),
        usage_bytes=_value(message, "usage_bytes"),
        rss_bytes=_value(message, "rss_bytes"),
        page_faults=_value(message, "page_faults"),
        major_page_faults=_value(message, "major_page_faults"),
    )


def _swap(message: pb.SwapUsage) -> SwapUsage:
    return SwapUsage(
        timestamp_ns=message.timestamp,
        usage_bytes=_value(message, "swap_usage_bytes"),
        available_bytes=_value(message, "swap_available_bytes"),
    )


def _interface(message: pb.NetworkInterfaceUsage) -> InterfaceUsage:
    return InterfaceUsage(
        name=message.name,
        rx_bytes=message.rx_bytes.value,
        rx_errors=message.rx_errors.value,
        tx_bytes=message.tx_bytes.value,
        tx_errors=message.tx_errors.value,
    )


def _filesystem(message: pb.FilesystemUsage) -> FilesystemUsage:
    return FilesystemUsage(
        timestamp_ns=message.timestamp,
        mountpoint=message.fs_id.mountpoint,
        used_bytes=message.used_bytes.value,
        inodes_used=message.inodes_used.value,
    )
