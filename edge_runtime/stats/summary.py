"""``/stats/summary``: figures as a kubelet's Summary; pure.

Source: kubernetes staging/src/k8s.io/kubelet/pkg/apis/stats/v1alpha1/types.go.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_runtime.objects.node_stats import (
        ContainerFigures,
        FilesystemStats,
        GroupStats,
        NetworkStats,
        NodeStats,
        PodFigures,
        Pressure,
        PressureShare,
        SystemContainer,
        VolumeStats,
    )
    from edge_runtime.objects.runtime_stats import InterfaceUsage

Json = dict[str, Any]

_NS_PER_S = 1_000_000_000
# The interface whose counters stand for the whole pod or machine.
_DEFAULT_INTERFACE = "eth0"


def summary(stats: NodeStats) -> Json:
    """Return the Summary of all that was measured; what was not is left out."""
    node: Json = {
        "nodeName": stats.node_name,
        "systemContainers": [_system_container(each) for each in stats.system_containers],
        "startTime": _time(stats.started_at_ns),
        **_use(stats.use),
        "network": _network(stats.network),
        "fs": _filesystem(stats.filesystem),
    }
    if stats.image_filesystem is not None:
        node["runtime"] = _known(
            {
                "imageFs": _filesystem(stats.image_filesystem),
                "containerFs": _filesystem(stats.container_filesystem),
            }
        )
    tasks = stats.tasks
    if tasks is not None:
        node["rlimit"] = {
            "time": _time(tasks.timestamp_ns),
            "maxpid": tasks.limit,
            "curproc": tasks.running,
        }
    return {"node": _known(node), "pods": [_pod(each) for each in stats.pods]}


def _pod(pod: PodFigures) -> Json:
    found: Json = {
        "podRef": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
        "startTime": _time(pod.created_at_ns),
        "containers": [_container(each) for each in pod.containers],
        **_use(pod.use),
        "network": _network(pod.network),
        "volume": [_volume(each) for each in pod.volumes] or None,
        "ephemeral-storage": _filesystem(pod.ephemeral_storage),
    }
    if pod.processes is not None:
        found["process_stats"] = {"process_count": pod.processes}
    return _known(found)


def _container(container: ContainerFigures) -> Json:
    return _known(
        {
            "name": container.name,
            "startTime": _time(container.created_at_ns),
            **_use(container.use),
            "rootfs": _filesystem(container.rootfs),
            "logs": _filesystem(container.logs),
        }
    )


def _system_container(container: SystemContainer) -> Json:
    return {
        "name": container.name,
        "startTime": _time(container.started_at_ns),
        **_use(container.use),
    }


def _use(use: GroupStats) -> Json:
    found: Json = {}
    cpu, memory, swap, pressure = use.cpu, use.memory, use.swap, use.pressure
    if cpu is not None:
        found["cpu"] = _known(
            {
                "time": _time(cpu.timestamp_ns),
                "usageNanoCores": cpu.usage_nano_cores,
                "usageCoreNanoSeconds": cpu.usage_core_ns,
                "psi": _psi(pressure.cpu if pressure else None),
            }
        )
    if memory is not None:
        found["memory"] = _known(
            {
                "time": _time(memory.timestamp_ns),
                "availableBytes": memory.available_bytes,
                "usageBytes": memory.usage_bytes,
                "workingSetBytes": memory.working_set_bytes,
                "rssBytes": memory.rss_bytes,
                "pageFaults": memory.page_faults,
                "majorPageFaults": memory.major_page_faults,
                "psi": _psi(pressure.memory if pressure else None),
            }
        )
    if pressure is not None and pressure.io is not None:
        found["io"] = {"time": _time(pressure.timestamp_ns), "psi": _psi(pressure.io)}
    if swap is not None:
        found["swap"] = _known(
            {
                "time": _time(swap.timestamp_ns),
                "swapAvailableBytes": swap.available_bytes,
                "swapUsageBytes": swap.usage_bytes,
            }
        )
    return found


def _psi(pressure: Pressure | None) -> Json | None:
    if pressure is None:
        return None
    return {"full": _share(pressure.full), "some": _share(pressure.some)}


def _share(share: PressureShare) -> Json:
    return {
        "total": share.total_us,
        "avg10": share.avg10,
        "avg60": share.avg60,
        "avg300": share.avg300,
    }


def _network(network: NetworkStats | None) -> Json | None:
    if network is None:
        return None
    found: Json = {"time": _time(network.timestamp_ns)}
    default = [each for each in network.interfaces if each.name == _DEFAULT_INTERFACE]
    # A kubelet writes an empty name where there is no such interface.
    found |= _interface(default[0]) if default else {"name": ""}
    found["interfaces"] = [_interface(each) for each in network.interfaces] or None
    return _known(found)


def _interface(interface: InterfaceUsage) -> Json:
    return {
        "name": interface.name,
        "rxBytes": interface.rx_bytes,
        "rxErrors": interface.rx_errors,
        "txBytes": interface.tx_bytes,
        "txErrors": interface.tx_errors,
    }


def _volume(volume: VolumeStats) -> Json:
    found = {**(_filesystem(volume.filesystem) or {}), "name": volume.name}
    if volume.claim is not None:
        namespace, name = volume.claim
        found["pvcRef"] = {"name": name, "namespace": namespace}
    return found


def _filesystem(stats: FilesystemStats | None) -> Json | None:
    if stats is None:
        return None
    return _known(
        {
            "time": _time(stats.timestamp_ns),
            "availableBytes": stats.available_bytes,
            "capacityBytes": stats.capacity_bytes,
            "usedBytes": stats.used_bytes,
            "inodesFree": stats.inodes_free,
            "inodes": stats.inodes,
            "inodesUsed": stats.inodes_used,
        }
    )


def _known(found: Json) -> Json:
    return {name: value for name, value in found.items() if value is not None}


def _time(at_ns: int) -> str:
    """Return a time as the API writes it: RFC 3339, whole seconds, UTC."""
    return datetime.fromtimestamp(at_ns // _NS_PER_S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
