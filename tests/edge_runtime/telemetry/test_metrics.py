"""What the edge counts can be collected."""

from __future__ import annotations

from prometheus_client import generate_latest

from edge_runtime.telemetry.metrics import EdgeMetrics


def test_all_figures_are_in_one_registry() -> None:
    """Whoever serves it shows them all."""
    metrics = EdgeMetrics()
    metrics.outlived_execs.inc()
    metrics.loop_failures.labels("PLEG").inc()
    text = generate_latest(metrics.registry).decode()
    assert "edgelet_exec_outlived_total 1.0" in text
    assert 'edgelet_loop_failures_total{loop="PLEG"} 1.0' in text
    assert "edgelet_tunnel_connected 0.0" in text
