"""/metrics and /metrics/probes, through a real tunnel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from edge_runtime.api.own_metrics import OwnMetricsHandler
from edge_runtime.api.router import Route, Router
from edge_runtime.objects.node_stats import FilesystemStats, VolumeStats
from edge_runtime.objects.pod import PodUID
from edge_runtime.stats.stats_collector import StatsError
from edge_runtime.telemetry.metrics import EdgeMetrics
from tests.fakes.edge_api import EdgeApi, edge_api
from tests.fakes.edge_pods import pod_json
from tests.fakes.tunnel_pair import TunnelPair, read_all, tunnel_pair

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest


class _Claims:
    """One pod with one claim, or a disk that does not answer."""

    def __init__(self, error: str = "") -> None:
        self._error = error

    async def collect_volumes(self) -> Mapping[PodUID, tuple[VolumeStats, ...]]:
        if self._error:
            raise StatsError(self._error)
        space = FilesystemStats(timestamp_ns=1, capacity_bytes=100, available_bytes=3)
        volume = VolumeStats(name="data", filesystem=space, claim=("n", "disk"))
        return {PodUID("u"): (volume,)}


async def _samples(api: EdgeApi, path: str) -> dict[str, float]:
    return await _samples_of(api.pair, path)


async def _samples_of(pair: TunnelPair, path: str) -> dict[str, float]:
    """Return all samples of a page by name and sorted labels."""
    stream = await pair.request(path)
    head = await stream.response()
    assert head.status == 200
    assert dict(head.headers)["content-type"].startswith("text/plain; version=0.0.4")
    text = (await read_all(stream)).decode()
    return {
        f"{each.name}{sorted(each.labels.items())}": each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
    }


async def test_a_pod_that_was_started_shows(tmp_path: Path) -> None:
    """What it took of the runtime, and how long it took as a whole."""
    async with edge_api(tmp_path) as api:
        await api.run_pod()
        samples = await _samples(api, "/metrics")
    for operation in ("run_podsandbox", "create_container", "start_container"):
        assert samples[f"kubelet_runtime_operations_total[('operation_type', '{operation}')]"] == 1
    assert samples["kubelet_pod_start_duration_seconds_count[]"] == 1
    assert samples["kubelet_pod_worker_duration_seconds_count[('operation_type', 'sync')]"] >= 1
    assert samples["kubelet_pleg_relist_duration_seconds_count[]"] >= 1
    assert samples["process_resident_memory_bytes[]"] > 0


async def test_probes_have_a_page_of_their_own(tmp_path: Path) -> None:
    """It is empty until there is one."""
    async with edge_api(tmp_path) as api:
        await api.run_pod(pod_json())
        assert await _samples(api, "/metrics/probes") == {}


async def test_how_full_claims_are() -> None:
    """Beside the edge's own figures, as an alert on volumes that fill up asks for it."""
    handler = OwnMetricsHandler(EdgeMetrics().registry, volumes=_Claims())
    async with tunnel_pair(Router([Route("/metrics", ("GET",), handler.handle)]).handle) as pair:
        samples = await _samples_of(pair, "/metrics")
    labels = "[('namespace', 'n'), ('persistentvolumeclaim', 'disk')]"
    assert samples[f"kubelet_volume_stats_available_bytes{labels}"] == 3
    assert samples[f"kubelet_volume_stats_capacity_bytes{labels}"] == 100
    assert samples["process_resident_memory_bytes[]"] > 0


async def test_volumes_that_cannot_be_asked_hide_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The edge's own figures are needed most when a disk is gone."""
    handler = OwnMetricsHandler(EdgeMetrics().registry, volumes=_Claims("it hangs"))
    async with tunnel_pair(Router([Route("/metrics", ("GET",), handler.handle)]).handle) as pair:
        samples = await _samples_of(pair, "/metrics")
    assert samples["process_resident_memory_bytes[]"] > 0
    assert not any(name.startswith("kubelet_volume_stats") for name in samples)
    assert "the figures of volumes cannot be read" in caplog.text
