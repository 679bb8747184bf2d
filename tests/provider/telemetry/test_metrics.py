"""What the provider counts can be collected."""

from __future__ import annotations

from provider.config import EDGELET_VERSION
from provider.telemetry.metrics import ProviderMetrics
from tunnel.exposition import expose
from tunnel.sync import PodForget


async def _text(metrics: ProviderMetrics) -> str:
    return (await expose(metrics.registry)).decode()


async def test_all_figures_are_in_one_registry() -> None:
    """Whoever serves it shows them all."""
    metrics = ProviderMetrics()
    metrics.tunnel.reconnected("resumed")
    metrics.sync.sent(PodForget(uid="u"), size_bytes=30)
    text = await _text(metrics)
    assert 'edgelet_tunnel_reconnects_total{reason="resumed"} 1.0' in text
    assert 'edgelet_sync_bytes_total{direction="sent",type="PodForget"} 30.0' in text
    assert "edgelet_tunnel_connected 0.0" in text
    assert f'edgelet_build_info{{component="provider",version="{EDGELET_VERSION}"}} 1.0' in text
    assert "process_resident_memory_bytes " in text


async def test_calls_are_counted_by_row_and_status() -> None:
    """A call that the site could not answer can be told from one that it did."""
    metrics = ProviderMetrics()
    metrics.kubelet_answered(path="/pods", status=200)
    metrics.kubelet_answered(path="/pods", status=503)
    metrics.kubelet_answered(path="/pods", status=503)
    text = await _text(metrics)
    assert 'edgelet_kubelet_requests_total{code="200",path="/pods"} 1.0' in text
    assert 'edgelet_kubelet_requests_total{code="503",path="/pods"} 2.0' in text


async def test_a_call_without_an_answer_is_counted_as_such() -> None:
    """An API server that is away shows."""
    metrics = ProviderMetrics()
    metrics.api_answered(method="GET", status=None)
    metrics.api_answered(method="PATCH", status=409)
    metrics.edge_refused("BadToken")
    text = await _text(metrics)
    assert 'edgelet_api_requests_total{code="none",method="GET"} 1.0' in text
    assert 'edgelet_api_requests_total{code="409",method="PATCH"} 1.0' in text
    assert 'edgelet_edge_refusals_total{reason="BadToken"} 1.0' in text
    assert 'edgelet_edge_refusals_total{reason="DuplicateSite"} 0.0' in text
