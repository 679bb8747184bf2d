"""The page has what dashboards join on, under the names and labels that a kubelet gives them."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from edge_runtime.objects.container import ContainerID
from edge_runtime.objects.node_stats import NetworkStats, TaskCounts
from edge_runtime.objects.pod import PodUID
from edge_runtime.objects.runtime_stats import InterfaceUsage
from edge_runtime.stats.cadvisor_metrics import FAMILY_NAMES, cadvisor_metrics
from edge_runtime.stats.cgroup_counters import (
    CpuCounters,
    CpuLimits,
    DiskCounters,
    MemoryCounters,
)
from edge_runtime.stats.node_details import ContainerDetails, NodeDetails, PodDetails
from tests.edge_runtime.stats.figures import NOW_NS, S, container, node, pod

_MEMORY = MemoryCounters(
    usage_bytes=9000,
    working_set_bytes=5000,
    rss_bytes=4000,
    cache_bytes=3000,
    mapped_file_bytes=2000,
    swap_bytes=1,
    page_faults=70,
    major_page_faults=7,
    limit_bytes=1 << 20,
    failures=3,
    oom_kills=2,
)
_COUNTED = ContainerDetails(
    timestamp_ns=NOW_NS,
    cpu=CpuCounters(usage_ns=5 * S, periods=10, throttled_periods=4, throttled_ns=S // 2),
    limits=CpuLimits(shares=204, period_us=100_000, quota_us=20_000),
    memory=_MEMORY,
    disks=(
        DiskCounters(major=8, minor=0, read_bytes=512, reads=1),
        DiskCounters(major=252, minor=7, read_bytes=1024, reads=2),
    ),
    processes=3,
    tasks=5,
)
_NETWORK = NetworkStats(timestamp_ns=NOW_NS, interfaces=(InterfaceUsage(name="eth0", rx_bytes=42),))


def _details(**containers: ContainerDetails) -> NodeDetails:
    return NodeDetails(
        cpus=2,
        memory_bytes=1 << 30,
        swap_bytes=0,
        network=_NETWORK,
        tasks=TaskCounts(timestamp_ns=NOW_NS, running=1, limit=2),
        pods={
            PodUID("u-p"): PodDetails(
                network=_NETWORK,
                processes=3,
                containers={ContainerID(f"id-{name}"): each for name, each in containers.items()},
            )
        },
        disk_names={(8, 0): "sda"},
    )


def _samples(page: bytes, name: str) -> list[tuple[dict[str, str], float]]:
    return [
        (each.labels, each.value)
        for family in text_string_to_metric_families(page.decode())
        for each in family.samples
        if each.name == name
    ]


def test_a_container_has_the_labels_that_dashboards_join_on() -> None:
    """``container!="", image!=""`` picks it, and nothing else of the pod."""
    page = cadvisor_metrics(node(pod()), _details(c=_COUNTED))
    labels = {
        "container": "c",
        "id": "/kubepods/podu/id-c",
        "image": "busybox:1",
        "name": "id-c",
        "namespace": "n",
        "pod": "p",
    }
    usage = _samples(page, "container_cpu_usage_seconds_total")
    assert ({**labels, "cpu": "total"}, 5.0) in usage
    assert [one["id"] for one, _ in usage if not one["container"]] == ["/", "/kubepods/podu"]
    assert (labels, 5000.0) in _samples(page, "container_memory_working_set_bytes")
    assert _samples(page, "container_cpu_cfs_throttled_periods_total") == [(labels, 4.0)]
    assert _samples(page, "container_oom_events_total") == [(labels, 2.0)]
    assert _samples(page, "container_spec_cpu_quota") == [(labels, 20_000.0)]
    assert _samples(page, "container_spec_memory_limit_bytes") == [(labels, float(1 << 20))]
    # "252:7" is of a device that is gone.
    assert _samples(page, "container_fs_reads_bytes_total") == [
        ({**labels, "device": "/dev/sda"}, 512.0),
        ({**labels, "device": "252:7"}, 1024.0),
    ]
    assert (
        {**labels, "failure_type": "pgmajfault", "scope": "container"},
        7.0,
    ) in _samples(page, "container_memory_failures_total")


def test_the_network_is_the_pods() -> None:
    """Told once, of the sandbox, and of the machine."""
    page = cadvisor_metrics(node(pod(container(), container("d"))), _details(c=_COUNTED))
    found = _samples(page, "container_network_receive_bytes_total")
    assert [(one["pod"], one["name"], one["interface"], value) for one, value in found] == [
        ("", "", "eth0", 42.0),
        ("p", "s", "eth0", 42.0),
    ]


def test_all_families_can_be_told() -> None:
    """None of them is only a name."""
    lines = cadvisor_metrics(node(pod()), _details(c=_COUNTED)).decode().splitlines()
    found = {line.partition("{")[0].partition(" ")[0] for line in lines if line[0] != "#"}
    assert found == set(FAMILY_NAMES)


def test_a_container_that_is_gone_is_left_out() -> None:
    """Its group vanished between two readings."""
    page = cadvisor_metrics(node(pod()), _details())
    assert not _samples(page, "container_memory_rss") or all(
        not one["container"] for one, _ in _samples(page, "container_memory_rss")
    )


def test_figures_that_could_not_be_read_are_an_error_and_nothing_else() -> None:
    """As cadvisor tells it."""
    page = cadvisor_metrics(None, None)
    assert _samples(page, "container_scrape_error") == [({}, 1.0)]
    assert page.count(b"\n") == 3
