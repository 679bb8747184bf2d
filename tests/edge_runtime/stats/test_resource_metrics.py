"""metrics-server finds each container's figures, and none that make it drop the pod."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edge_runtime.objects.node_stats import GroupStats
from edge_runtime.objects.runtime_stats import CpuUsage
from edge_runtime.stats.resource_metrics import resource_metrics
from tests.edge_runtime.stats.figures import NOW_NS, S, container, node, pod, use


def _samples(page: bytes) -> dict[tuple[str, ...], tuple[float, float | None]]:
    return {
        (each.name, *each.labels.values()): (
            each.value,
            None if each.timestamp is None else float(each.timestamp),
        )
        for family in text_string_to_metric_families(page.decode())
        for each in family.samples
    }


def test_node_pod_and_container_are_told_with_the_time_of_reading() -> None:
    """The start alone has no time: it is no measurement."""
    found = _samples(resource_metrics(node(pod())))
    now = NOW_NS / S
    assert found[("node_cpu_usage_seconds_total",)] == (90.0, now)
    assert found[("node_memory_working_set_bytes",)] == (4096.0, now)
    assert found[("container_cpu_usage_seconds_total", "c", "n", "p")] == (2.0, now)
    assert found[("container_memory_working_set_bytes", "c", "n", "p")] == (4096.0, now)
    assert found[("container_start_time_seconds", "c", "n", "p")] == (now - 60.5, None)
    assert found[("container_swap_limit_bytes", "c", "n", "p")] == (100.0, now)
    assert found[("pod_cpu_usage_seconds_total", "n", "p")] == (2.0, now)
    assert found[("pod_memory_working_set_bytes", "n", "p")] == (4096.0, now)
    assert found[("resource_scrape_error",)] == (0.0, None)


@pytest.mark.parametrize(
    "incomplete",
    [
        use(cpu_ns=0),
        use(memory_bytes=0),
        GroupStats(),
        GroupStats(cpu=CpuUsage(timestamp_ns=NOW_NS, usage_core_ns=5)),
    ],
)
def test_a_container_that_is_not_fully_known_is_left_out(incomplete: GroupStats) -> None:
    """One zero, or a start without figures, and metrics-server drops the other containers, too."""
    found = _samples(resource_metrics(node(pod(container(), container("fresh", incomplete)))))
    assert not [key for key in found if "fresh" in key]
    assert ("container_cpu_usage_seconds_total", "c", "n", "p") in found


def test_figures_that_could_not_be_read_are_an_error_and_nothing_else() -> None:
    """As a kubelet answers: 200, and the one line."""
    assert _samples(resource_metrics(None)) == {("resource_scrape_error",): (1.0, None)}
