"""The Summary has a kubelet's fields, and nothing that was not measured."""

from __future__ import annotations

import dataclasses

from edge_runtime.objects.node_stats import (
    FilesystemStats,
    GroupPressure,
    NetworkStats,
    Pressure,
    PressureShare,
    SystemContainer,
    TaskCounts,
    VolumeStats,
)
from edge_runtime.objects.runtime_stats import InterfaceUsage
from edge_runtime.stats.summary import summary
from tests.edge_runtime.stats.figures import NOW_NS, container, node, pod, use

_NOW = "2026-01-02T03:04:05Z"


def test_processors_and_memory_are_told_of_node_pods_and_containers() -> None:
    """What only_cpu_and_memory asks for, and no more than that."""
    found = summary(node(pod()))
    assert set(found["node"]) == {
        "nodeName",
        "systemContainers",
        "startTime",
        "cpu",
        "memory",
        "swap",
    }
    assert found["node"]["cpu"] == {"time": _NOW, "usageCoreNanoSeconds": 90_000_000_000}
    (only,) = found["pods"]
    assert only["podRef"] == {"name": "p", "namespace": "n", "uid": "u-p"}
    assert only["cpu"]["usageNanoCores"] == 200_000_000
    assert only["containers"] == [
        {
            "name": "c",
            "startTime": "2026-01-02T03:03:04Z",
            "cpu": {"time": _NOW, "usageCoreNanoSeconds": 2_000_000_000},
            "memory": {"time": _NOW, "usageBytes": 8192, "workingSetBytes": 4096},
            "swap": {"time": _NOW, "swapAvailableBytes": 100, "swapUsageBytes": 0},
        }
    ]


def test_a_node_without_pods_has_an_empty_list() -> None:
    """Readers in Go tell null from []."""
    assert summary(node())["pods"] == []


def test_waits_stand_beside_what_was_waited_for() -> None:
    """Only where the kernel counts them."""
    share = PressureShare(avg10=1.5, avg60=0.25, avg300=0.0, total_us=77)
    none = PressureShare(avg10=0.0, avg60=0.0, avg300=0.0, total_us=0)
    waits = Pressure(some=share, full=none)
    pressure = GroupPressure(timestamp_ns=NOW_NS, cpu=waits, memory=waits, io=waits)
    stats = dataclasses.replace(node(), use=dataclasses.replace(use(), pressure=pressure))
    found = summary(stats)["node"]
    psi = {
        "full": {"total": 0, "avg10": 0.0, "avg60": 0.0, "avg300": 0.0},
        "some": {"total": 77, "avg10": 1.5, "avg60": 0.25, "avg300": 0.0},
    }
    assert found["cpu"]["psi"] == found["memory"]["psi"] == psi
    assert found["io"] == {"time": _NOW, "psi": psi}


def test_networks_filesystems_volumes_and_tasks() -> None:
    """All that a kubelet tells besides."""
    space = FilesystemStats(timestamp_ns=NOW_NS, available_bytes=5, used_bytes=3, inodes_used=1)
    told = {"time": _NOW, "availableBytes": 5, "usedBytes": 3, "inodesUsed": 1}
    network = NetworkStats(
        timestamp_ns=NOW_NS,
        interfaces=(InterfaceUsage(name="eth0", rx_bytes=7), InterfaceUsage(name="wlan0")),
    )
    one = dataclasses.replace(
        pod(dataclasses.replace(container(), rootfs=space, logs=space)),
        network=network,
        processes=4,
        volumes=(VolumeStats(name="v", filesystem=space, claim=("n", "data")),),
        ephemeral_storage=space,
    )
    found = summary(
        dataclasses.replace(
            node(one),
            filesystem=space,
            image_filesystem=space,
            container_filesystem=space,
            tasks=TaskCounts(timestamp_ns=NOW_NS, running=353, limit=32768),
            system_containers=(SystemContainer(name="pods", started_at_ns=NOW_NS, use=use()),),
        )
    )
    assert found["node"]["fs"] == told
    assert found["node"]["runtime"] == {"imageFs": told, "containerFs": told}
    assert found["node"]["rlimit"] == {"time": _NOW, "maxpid": 32768, "curproc": 353}
    assert found["node"]["systemContainers"][0]["name"] == "pods"
    (only,) = found["pods"]
    eth0 = {"name": "eth0", "rxBytes": 7, "rxErrors": 0, "txBytes": 0, "txErrors": 0}
    assert {**only["network"], "interfaces": None} == {"time": _NOW, **eth0, "interfaces": None}
    assert [each["name"] for each in only["network"]["interfaces"]] == ["eth0", "wlan0"]
    assert only["process_stats"] == {"process_count": 4}
    claim = {"name": "data", "namespace": "n"}
    assert only["volume"] == [{**told, "name": "v", "pvcRef": claim}]
    assert only["ephemeral-storage"] == told
    assert only["containers"][0]["rootfs"] == only["containers"][0]["logs"] == told
