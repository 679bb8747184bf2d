"""What the edge counts can be collected."""

from __future__ import annotations

from edge_runtime.config import EDGELET_VERSION
from edge_runtime.telemetry.metrics import EdgeMetrics
from tunnel.exposition import expose


async def _text(metrics: EdgeMetrics) -> str:
    return (await expose(metrics.registry)).decode()


async def test_all_figures_are_in_one_registry() -> None:
    """Whoever serves it shows them all."""
    metrics = EdgeMetrics()
    metrics.outlived_execs.inc()
    metrics.loop_failures.labels("PLEG").inc()
    metrics.failed_renewals.inc()
    text = await _text(metrics)
    assert "edgelet_exec_outlived_total 1.0" in text
    assert 'edgelet_loop_failures_total{loop="PLEG"} 1.0' in text
    assert "edgelet_certificate_renewal_failures_total 1.0" in text
    assert "edgelet_tunnel_connected 0.0" in text
    assert f'edgelet_build_info{{component="edge",version="{EDGELET_VERSION}"}} 1.0' in text


async def test_a_pull_that_failed_has_no_duration() -> None:
    """A registry that refuses at once would make pulls look fast."""
    metrics = EdgeMetrics()
    metrics.pulled(duration_s=3, has_failed=False)
    metrics.pulled(duration_s=0.1, has_failed=True)
    text = await _text(metrics)
    assert "edgelet_image_pull_failures_total 1.0" in text
    assert "edgelet_image_pull_duration_seconds_count 1.0" in text
    assert "edgelet_image_pull_duration_seconds_sum 3.0" in text


async def test_operations_that_were_not_written_are_not_counted_as_such() -> None:
    """A transaction that failed took all its operations with it."""
    metrics = EdgeMetrics()
    metrics.committed(operations=5, duration_s=0.002, has_failed=False)
    metrics.committed(operations=7, duration_s=1, has_failed=True)
    text = await _text(metrics)
    assert "edgelet_store_operations_total 5.0" in text
    assert "edgelet_store_failures_total 1.0" in text
    assert "edgelet_store_commit_duration_seconds_count 2.0" in text
