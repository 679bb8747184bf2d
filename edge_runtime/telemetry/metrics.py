"""What the edge counts; one registry of its own, which nobody serves yet."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

from tunnel.metrics import TunnelMetrics


class EdgeMetrics:
    """All figures of one edge.

    Attributes:
        registry: Whoever serves them collects from it.
        tunnel: The tunnel's.
        lost_audit_records: Lines that the audit log did not take.
        outlived_execs: Processes that went on after their exec call was lost.
        loop_failures: How often each loop raised what it does not expect.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.tunnel = TunnelMetrics()
        self.registry.register(self.tunnel)
        self.lost_audit_records = Counter(
            "edgelet_audit_records_lost",
            "Lines on calls into pods that the audit log did not take.",
            registry=self.registry,
        )
        self.outlived_execs = Counter(
            "edgelet_exec_outlived",
            "Processes that went on, as far as is known, after their exec call was lost.",
            registry=self.registry,
        )
        self.loop_failures = Counter(
            "edgelet_loop_failures",
            "Times that a loop failed by a mistake and was started again.",
            ["loop"],
            registry=self.registry,
        )
