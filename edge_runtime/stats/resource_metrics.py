"""``/metrics/resource``: what metrics-server asks for; pure.

Source: kubernetes pkg/kubelet/metrics/collectors/resource_metrics.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.stats.metric_family import Family, render_families, render_labels

if TYPE_CHECKING:
    from edge_runtime.objects.node_stats import ContainerFigures, GroupStats, NodeStats

_NS_PER_S = 1_000_000_000


class _Use:
    """The families of one kind of thing: of the node, of pods or of containers."""

    def __init__(self, prefix: str, noun: str) -> None:
        self.cpu = Family(
            f"{prefix}_cpu_usage_seconds_total",
            "counter",
            f"[STABLE] Cumulative cpu time consumed by the {noun} in core-seconds",
        )
        self.memory = Family(
            f"{prefix}_memory_working_set_bytes",
            "gauge",
            f"[STABLE] Current working set of the {noun} in bytes",
        )
        self.swap = Family(
            f"{prefix}_swap_usage_bytes",
            "gauge",
            f"[ALPHA] Current swap usage of the {noun} in bytes",
        )

    def add(self, labels: str, use: GroupStats) -> None:
        """Add what was measured; nothing is put in place of what was not."""
        cpu, memory, swap = use.cpu, use.memory, use.swap
        if cpu is not None and cpu.usage_core_ns is not None:
            seconds = cpu.usage_core_ns / _NS_PER_S
            self.cpu.add(labels, seconds, at_ns=cpu.timestamp_ns)
        if memory is not None and memory.working_set_bytes is not None:
            self.memory.add(labels, memory.working_set_bytes, at_ns=memory.timestamp_ns)
        if swap is not None and swap.usage_bytes is not None:
            self.swap.add(labels, swap.usage_bytes, at_ns=swap.timestamp_ns)


def resource_metrics(stats: NodeStats | None) -> bytes:
    """Return the page.

    A container of which processors or memory are not known yet, or read as zero, is left out: one
    such line makes metrics-server drop all containers of the pod, and the next scrape has it.

    Args:
        stats: None when they could not be read: then only that is told.
    """
    node, pods, containers = _Use("node", "node"), _Use("pod", "pod"), _Use(*("container",) * 2)
    started = Family(
        "container_start_time_seconds",
        "gauge",
        "[STABLE] Start time of the container since unix epoch in seconds",
    )
    limit = Family(
        "container_swap_limit_bytes",
        "gauge",
        "[ALPHA] Current amount of the container swap limit in bytes",
    )
    error = Family(
        "resource_scrape_error",
        "gauge",
        "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise",
    )
    error.add("", int(stats is None))
    if stats is not None:
        node.add("", stats.use)
        for pod in stats.pods:
            names = {"namespace": pod.namespace, "pod": pod.name}
            for each in pod.containers:
                if not _is_complete(each):
                    continue
                labels = render_labels({"container": each.name, **names})
                containers.add(labels, each.use)
                started.add(labels, each.created_at_ns / _NS_PER_S)
                swap = each.use.swap
                if swap is not None and swap.available_bytes is not None:
                    total = swap.available_bytes + (swap.usage_bytes or 0)
                    limit.add(labels, total, at_ns=swap.timestamp_ns)
            pods.add(render_labels(names), pod.use)
    return render_families(
        (
            containers.cpu,
            containers.memory,
            started,
            limit,
            containers.swap,
            node.cpu,
            node.memory,
            node.swap,
            pods.cpu,
            pods.memory,
            pods.swap,
            error,
        )
    )


def _is_complete(container: ContainerFigures) -> bool:
    cpu, memory = container.use.cpu, container.use.memory
    return bool(cpu and cpu.usage_core_ns and memory and memory.working_set_bytes)
