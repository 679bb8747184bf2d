"""``/metrics/cadvisor``: the families that Kubernetes' dashboards and alerts ask for; pure.

What is here and what of a kubelet's page is not stands in docs/metrics.md. The rows are the
machine (``id="/"``), each pod as a whole (without ``container``; its network is told there, as of
its sandbox) and each container.

Source: cadvisor metrics/prometheus.go; kubernetes pkg/kubelet/server/server.go
``containerPrometheusLabelsFunc``; kubernetes-mixin, kube-prometheus.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.stats.metric_family import Family, render_families, render_labels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_runtime.objects.node_stats import (
        ContainerFigures,
        GroupStats,
        NetworkStats,
        NodeStats,
        PodFigures,
    )
    from edge_runtime.stats.cgroup_counters import CpuCounters, DiskCounters, MemoryCounters
    from edge_runtime.stats.metric_family import Kind
    from edge_runtime.stats.node_details import ContainerDetails, NodeDetails

_NS_PER_S = 1_000_000_000

_FAMILIES: tuple[tuple[str, Kind, str], ...] = (
    ("container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed in seconds."),
    ("container_cpu_user_seconds_total", "counter", "Cumulative user cpu time in seconds."),
    ("container_cpu_system_seconds_total", "counter", "Cumulative system cpu time in seconds."),
    ("container_cpu_cfs_periods_total", "counter", "Number of elapsed enforcement periods."),
    ("container_cpu_cfs_throttled_periods_total", "counter", "Number of throttled periods."),
    ("container_cpu_cfs_throttled_seconds_total", "counter", "Total time of being throttled."),
    ("container_memory_usage_bytes", "gauge", "Current memory usage in bytes, all memory."),
    ("container_memory_working_set_bytes", "gauge", "Current working set in bytes."),
    ("container_memory_rss", "gauge", "Size of RSS in bytes."),
    ("container_memory_cache", "gauge", "Bytes of page cache memory."),
    ("container_memory_mapped_file", "gauge", "Size of memory mapped files in bytes."),
    ("container_memory_swap", "gauge", "Swap usage in bytes."),
    ("container_memory_max_usage_bytes", "gauge", "Maximum memory usage recorded in bytes."),
    ("container_memory_failcnt", "counter", "Number of memory usage hits limits."),
    ("container_memory_failures_total", "counter", "Cumulative count of page faults."),
    ("container_oom_events_total", "counter", "Processes that were killed for lack of memory."),
    ("container_fs_reads_bytes_total", "counter", "Cumulative count of bytes read."),
    ("container_fs_reads_total", "counter", "Cumulative count of reads completed."),
    ("container_fs_writes_bytes_total", "counter", "Cumulative count of bytes written."),
    ("container_fs_writes_total", "counter", "Cumulative count of writes completed."),
    ("container_network_receive_bytes_total", "counter", "Cumulative count of bytes received."),
    ("container_network_receive_packets_total", "counter", "Count of packets received."),
    ("container_network_receive_packets_dropped_total", "counter", "Packets dropped, received."),
    ("container_network_receive_errors_total", "counter", "Count of errors while receiving."),
    ("container_network_transmit_bytes_total", "counter", "Count of bytes transmitted."),
    ("container_network_transmit_packets_total", "counter", "Count of packets transmitted."),
    ("container_network_transmit_packets_dropped_total", "counter", "Packets dropped, sent."),
    ("container_network_transmit_errors_total", "counter", "Count of errors while transmitting."),
    ("container_processes", "gauge", "Number of processes running inside the container."),
    ("container_threads", "gauge", "Number of threads running inside the container."),
    ("container_spec_cpu_shares", "gauge", "CPU share of the container."),
    ("container_spec_cpu_period", "gauge", "CPU period of the container."),
    ("container_spec_cpu_quota", "gauge", "CPU quota of the container."),
    ("container_spec_memory_limit_bytes", "gauge", "Memory limit for the container."),
    ("container_start_time_seconds", "gauge", "Start time of the container since the epoch."),
    ("container_last_seen", "gauge", "Last time a container was seen by the exporter."),
    ("machine_cpu_cores", "gauge", "Number of logical CPU cores."),
    ("machine_memory_bytes", "gauge", "Amount of memory installed on the machine."),
    ("machine_swap_bytes", "gauge", "Amount of swap memory available on the machine."),
    ("container_scrape_error", "gauge", "1 if there was an error while reading, 0 otherwise."),
)
FAMILY_NAMES = tuple(name for name, _, _ in _FAMILIES)


def cadvisor_metrics(stats: NodeStats | None, details: NodeDetails | None) -> bytes:
    """Return the page.

    Args:
        stats: None when figures could not be read: then only that is told.
        details: As ``stats``.
    """
    page = _Page({} if details is None else details.disk_names)
    if stats is None or details is None:
        page.add("container_scrape_error", "", 1)
        return page.render()
    page.add("container_scrape_error", "", 0)
    page.add_machine(stats, details)
    for pod in stats.pods:
        found = details.pods.get(pod.uid)
        page.add_pod(pod, None if found is None else found.network)
        for container in pod.containers:
            counted = None if found is None else found.containers.get(container.id)
            if counted is not None:
                page.add_container(pod, container, counted)
    return page.render()


class _Row:
    """The labels of one control group, rendered once."""

    def __init__(self, **labels: str) -> None:
        names = ("container", "id", "image", "name", "namespace", "pod")
        self.labels = render_labels({name: labels.get(name, "") for name in names})

    def with_label(self, name: str, value: str) -> str:
        return f"{self.labels[:-1]},{render_labels({name: value})[1:]}"


class _Page:
    def __init__(self, disk_names: Mapping[tuple[int, int], str]) -> None:
        self._disk_names = disk_names
        self._families = {name: Family(name, kind, text) for name, kind, text in _FAMILIES}

    def add(self, name: str, labels: str, value: float, *, at_ns: int | None = None) -> None:
        self._families[name].add(labels, value, at_ns=at_ns)

    def render(self) -> bytes:
        return render_families(self._families.values())

    def add_machine(self, stats: NodeStats, details: NodeDetails) -> None:
        row = _Row(id="/")
        self._add_group(row, stats.use)
        self._add_network(row, stats.network or details.network)
        self.add("container_start_time_seconds", row.labels, stats.started_at_ns / _NS_PER_S)
        self.add("machine_cpu_cores", "", details.cpus)
        self.add("machine_memory_bytes", "", details.memory_bytes)
        self.add("machine_swap_bytes", "", details.swap_bytes)

    def add_pod(self, pod: PodFigures, network: NetworkStats | None) -> None:
        names = {"namespace": pod.namespace, "pod": pod.name}
        self._add_group(_Row(id=pod.group, **names), pod.use)
        self._add_network(_Row(id=pod.sandbox_group, name=pod.sandbox_id, **names), network)

    def add_container(
        self, pod: PodFigures, container: ContainerFigures, found: ContainerDetails
    ) -> None:
        row = _Row(
            container=container.name,
            id=container.group,
            image=container.image,
            name=container.id,
            namespace=pod.namespace,
            pod=pod.name,
        )
        at_ns = found.timestamp_ns
        if found.cpu is not None:
            self._add_cpu(row, found.cpu, at_ns)
        if found.memory is not None:
            self._add_memory(row, found.memory, at_ns)
        for disk in found.disks:
            self._add_disk(row, disk, at_ns)
        self.add("container_processes", row.labels, found.processes, at_ns=at_ns)
        if found.tasks is not None:
            self.add("container_threads", row.labels, found.tasks, at_ns=at_ns)
        self._add_spec(row, found)
        created_at_s = container.created_at_ns / _NS_PER_S
        self.add("container_start_time_seconds", row.labels, created_at_s)
        self.add("container_last_seen", row.labels, at_ns / _NS_PER_S, at_ns=at_ns)

    def _add_group(self, row: _Row, use: GroupStats) -> None:
        cpu, memory = use.cpu, use.memory
        if cpu is not None and cpu.usage_core_ns is not None:
            self.add(
                "container_cpu_usage_seconds_total",
                row.with_label("cpu", "total"),
                cpu.usage_core_ns / _NS_PER_S,
                at_ns=cpu.timestamp_ns,
            )
        if memory is None:
            return
        for name, value in (
            ("container_memory_usage_bytes", memory.usage_bytes),
            ("container_memory_working_set_bytes", memory.working_set_bytes),
            ("container_memory_rss", memory.rss_bytes),
        ):
            if value is not None:
                self.add(name, row.labels, value, at_ns=memory.timestamp_ns)

    def _add_cpu(self, row: _Row, cpu: CpuCounters, at_ns: int) -> None:
        total = row.with_label("cpu", "total")
        seconds = cpu.usage_ns / _NS_PER_S
        self.add("container_cpu_usage_seconds_total", total, seconds, at_ns=at_ns)
        found = {
            "container_cpu_user_seconds_total": cpu.user_ns / _NS_PER_S,
            "container_cpu_system_seconds_total": cpu.system_ns / _NS_PER_S,
        }
        # A kubelet tells of periods only where a quota was ever enforced.
        if cpu.periods:
            found |= {
                "container_cpu_cfs_periods_total": cpu.periods,
                "container_cpu_cfs_throttled_periods_total": cpu.throttled_periods,
                "container_cpu_cfs_throttled_seconds_total": cpu.throttled_ns / _NS_PER_S,
            }
        for name, value in found.items():
            self.add(name, row.labels, value, at_ns=at_ns)

    def _add_memory(self, row: _Row, memory: MemoryCounters, at_ns: int) -> None:
        for name, value in (
            ("container_memory_usage_bytes", memory.usage_bytes),
            ("container_memory_working_set_bytes", memory.working_set_bytes),
            ("container_memory_rss", memory.rss_bytes),
            ("container_memory_cache", memory.cache_bytes),
            ("container_memory_mapped_file", memory.mapped_file_bytes),
            ("container_memory_swap", memory.swap_bytes),
            ("container_memory_max_usage_bytes", memory.max_usage_bytes),
            ("container_memory_failcnt", memory.failures),
            ("container_oom_events_total", memory.oom_kills),
        ):
            self.add(name, row.labels, value, at_ns=at_ns)
        for kind, value in (
            ("pgfault", memory.page_faults),
            ("pgmajfault", memory.major_page_faults),
        ):
            labels = f'{row.with_label("failure_type", kind)[:-1]},scope="container"}}'
            self.add("container_memory_failures_total", labels, value, at_ns=at_ns)

    def _add_disk(self, row: _Row, disk: DiskCounters, at_ns: int) -> None:
        name = self._disk_names.get((disk.major, disk.minor))
        # Dashboards pick disks by their names (device=~"(/dev/)?(sd.+|vd.+|nvme.+)").
        device = f"/dev/{name}" if name else f"{disk.major}:{disk.minor}"
        labels = row.with_label("device", device)
        for family, value in (
            ("container_fs_reads_bytes_total", disk.read_bytes),
            ("container_fs_reads_total", disk.reads),
            ("container_fs_writes_bytes_total", disk.write_bytes),
            ("container_fs_writes_total", disk.writes),
        ):
            self.add(family, labels, value, at_ns=at_ns)

    def _add_network(self, row: _Row, network: NetworkStats | None) -> None:
        if network is None:
            return
        for each in network.interfaces:
            labels = row.with_label("interface", each.name)
            for name, value in (
                ("receive_bytes", each.rx_bytes),
                ("receive_packets", each.rx_packets),
                ("receive_packets_dropped", each.rx_dropped),
                ("receive_errors", each.rx_errors),
                ("transmit_bytes", each.tx_bytes),
                ("transmit_packets", each.tx_packets),
                ("transmit_packets_dropped", each.tx_dropped),
                ("transmit_errors", each.tx_errors),
            ):
                family = f"container_network_{name}_total"
                self.add(family, labels, value, at_ns=network.timestamp_ns)

    def _add_spec(self, row: _Row, found: ContainerDetails) -> None:
        limits = found.limits
        if limits is not None:
            self.add("container_spec_cpu_shares", row.labels, limits.shares)
            self.add("container_spec_cpu_period", row.labels, limits.period_us)
            if limits.quota_us is not None:
                self.add("container_spec_cpu_quota", row.labels, limits.quota_us)
        if found.memory is not None:
            limit_bytes = found.memory.limit_bytes or 0
            self.add("container_spec_memory_limit_bytes", row.labels, limit_bytes)
