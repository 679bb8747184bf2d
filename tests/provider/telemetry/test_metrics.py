"""What the provider counts can be collected."""

from __future__ import annotations

from prometheus_client import generate_latest

from provider.telemetry.metrics import ProviderMetrics
from tunnel.sync import PodForget


def test_all_figures_are_in_one_registry() -> None:
    """Whoever serves it shows them all."""
    metrics = ProviderMetrics()
    metrics.tunnel.reconnected("resumed")
    metrics.sync.sent(PodForget(uid="u"), size_bytes=30)
    text = generate_latest(metrics.registry).decode()
    assert 'edgelet_tunnel_reconnects_total{reason="resumed"} 1.0' in text
    assert "edgelet_tunnel_connected 0.0" in text
    assert 'edgelet_sync_bytes_total{direction="sent",type="PodForget"} 30.0' in text
