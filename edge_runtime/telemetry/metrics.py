"""What the edge counts; ``/metrics`` and ``/metrics/probes`` show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram

from edge_runtime.config import EDGELET_VERSION
from edge_runtime.telemetry.edge_figures import EdgeFigures, EdgeSources
from edge_runtime.telemetry.kubelet_metrics import KubeletMetrics
from edge_runtime.telemetry.probe_metrics import ProbeMetrics
from tunnel.exposition import register_process
from tunnel.metrics import TunnelMetrics
from tunnel.tracing import NoTracer

if TYPE_CHECKING:
    from tunnel.tracing import Tracer

_PULL_BUCKETS = (1, 5, 10, 20, 30, 60, 120, 180, 240, 300, 600, 1200, 1800, 3600)


class EdgeMetrics:
    """All figures of one edge.

    Attributes:
        registry: Whoever serves them collects from it.
        tracer: Follows calls.
        tunnel: The tunnel's.
        kubelet: What a kubelet counts, too.
        probes: What came of probes, in a registry of its own.
        lost_audit_records: Lines that the audit log did not take.
        outlived_execs: Processes that went on after their exec call was lost.
        loop_failures: How often each loop raised what it does not expect.
        failed_renewals: Attempts to renew the edge's certificate that failed.
    """

    def __init__(self, tracer: Tracer | None = None) -> None:
        self.tracer = tracer or NoTracer()
        self.registry = CollectorRegistry()
        register_process(self.registry, component="edge", version=EDGELET_VERSION)
        self.tunnel = TunnelMetrics()
        self.registry.register(self.tunnel)
        self.kubelet = KubeletMetrics(self.registry)
        self.probes = ProbeMetrics()
        self.lost_audit_records = self._counter(
            "edgelet_audit_records_lost",
            "Lines on calls into pods that the audit log did not take.",
        )
        self.outlived_execs = self._counter(
            "edgelet_exec_outlived",
            "Processes that went on, as far as is known, after their exec call was lost.",
        )
        self.failed_renewals = self._counter(
            "edgelet_certificate_renewal_failures",
            "Attempts to renew the edge's certificate that failed.",
        )
        self._failed_pulls = self._counter(
            "edgelet_image_pull_failures", "Pulls of images that brought none."
        )
        self._pulls = Histogram(
            "edgelet_image_pull_duration_seconds",
            "How long pulls of images took, without the wait for their turn.",
            buckets=_PULL_BUCKETS,
            registry=self.registry,
        )
        self.loop_failures = Counter(
            "edgelet_loop_failures",
            "Times that a loop failed by a mistake and was started again.",
            ["loop"],
            registry=self.registry,
        )
        self._store_operations = self._counter(
            "edgelet_store_operations", "Operations on the database that came to their end."
        )
        self._store_failures = self._counter(
            "edgelet_store_failures", "Transactions that could not be written to the disk."
        )
        self._commits = Histogram(
            "edgelet_store_commit_duration_seconds",
            "How long transactions took, with the wait for the disk.",
            registry=self.registry,
        )

    def watch_edge(self, sources: EdgeSources) -> None:
        """Tell how the edge is, too; once."""
        self.registry.register(EdgeFigures(sources))

    def pulled(self, *, duration_s: float, has_failed: bool) -> None:
        """Count a pull of an image."""
        if has_failed:
            self._failed_pulls.inc()
        else:
            self._pulls.observe(duration_s)

    def committed(self, *, operations: int, duration_s: float, has_failed: bool) -> None:
        """Count a transaction; may be called from any thread."""
        self._commits.observe(duration_s)
        if has_failed:
            self._store_failures.inc()
        else:
            self._store_operations.inc(operations)

    def _counter(self, name: str, documentation: str) -> Counter:
        return Counter(name, documentation, registry=self.registry)
