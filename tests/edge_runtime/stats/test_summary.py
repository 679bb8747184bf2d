"""The Summary has a kubelet's fields, and nothing that was not measured."""

from __future__ import annotations

from edge_runtime.stats.summary import summary
from tests.edge_runtime.stats.figures import node, pod

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
