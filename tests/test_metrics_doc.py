"""docs/metrics.md is complete: what a registry has is listed, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime

from edge_runtime.stats.cadvisor_metrics import FAMILY_NAMES
from edge_runtime.stats.volume_metrics import VOLUME_FAMILY_NAMES
from edge_runtime.telemetry.edge_figures import EdgeSources
from edge_runtime.telemetry.metrics import EdgeMetrics
from provider.telemetry.metrics import ProviderMetrics
from provider.telemetry.site_figures import SiteSources
from tests.metrics_doc import documented, exposed
from tunnel.exposition import expose

MOMENT = datetime(2026, 1, 2, tzinfo=UTC)


def _kinds(page: str) -> dict[str, str]:
    return {name: each.kind for name, each in documented()[page].items()}


async def test_the_providers_figures_are_documented() -> None:
    """With their types."""
    metrics = ProviderMetrics()
    metrics.watch_site(
        SiteSources(
            is_writer=lambda: True,
            lease_renewed_at=lambda: MOMENT,
            certificate_ends=lambda: (("Edge", MOMENT),),
            statuses_pending=lambda: 0,
            events_pending=lambda: 0,
            messages_pending=lambda: 0,
        )
    )
    assert exposed((await expose(metrics.registry)).decode()) == _kinds("/edgelet/metrics")


async def test_the_edges_figures_are_documented() -> None:
    """With their types; those of probes are a page of their own."""
    metrics = EdgeMetrics()
    metrics.watch_edge(
        EdgeSources(
            node_name="site-a",
            running_pods=lambda: 0,
            desired_pods=lambda: 0,
            containers=lambda: {"running": 1},
            relisted_at_s=lambda: 0.0,
            certificate_end_s=lambda: 0.0,
            statuses_pending=lambda: 0,
            events_pending=lambda: 0,
            store_bytes=lambda: 0,
        )
    )
    claims = dict.fromkeys(VOLUME_FAMILY_NAMES, "gauge")
    page = exposed((await expose(metrics.registry)).decode())
    assert {**page, **claims} == _kinds("/metrics")
    probes = exposed((await expose(metrics.probes.registry)).decode())
    assert probes == _kinds("/metrics/probes")


def test_the_figures_of_containers_are_documented() -> None:
    """The whole page of cAdvisor's names; those of metrics-server's are compared end to end."""
    assert set(FAMILY_NAMES) == set(_kinds("/metrics/cadvisor"))
