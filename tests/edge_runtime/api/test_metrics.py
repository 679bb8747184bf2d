"""``/metrics/resource`` and ``/metrics/cadvisor`` through the tunnel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_runtime.api.metrics import PodMetricsHandler
from edge_runtime.api.router import Route, Router
from edge_runtime.stats.stats_collector import StatsError
from tests.fakes.edge_api import edge_api
from tests.fakes.tunnel_pair import tunnel_pair

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edge_runtime.objects.node_stats import NodeStats, VolumeStats
    from edge_runtime.objects.pod import PodUID
    from edge_runtime.stats.node_details import NodeDetails


class _Broken:
    async def collect(self) -> NodeStats:
        raise StatsError("nothing was told within 8 s")

    async def collect_detailed(self) -> tuple[NodeStats, NodeDetails]:
        raise StatsError("nothing was told within 8 s")

    async def collect_all(self) -> NodeStats:
        raise StatsError("nothing was told within 8 s")

    async def collect_volumes(self) -> Mapping[PodUID, tuple[VolumeStats, ...]]:
        raise StatsError("nothing was told within 8 s")


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/metrics/resource", b"\nnode_cpu_usage_seconds_total "),
        ("/metrics/cadvisor", b"\nmachine_cpu_cores "),
    ],
)
async def test_the_machine_is_told(tmp_path: Path, path: str, wanted: bytes) -> None:
    """In the text form that Prometheus and metrics-server read."""
    async with edge_api(tmp_path) as api:
        await api.run_pod()
        stream = await api.pair.request(path)
        head = await stream.response()
        body = b""
        while data := await stream.read():
            body += data
    assert head.status == 200
    assert dict(head.headers)["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert wanted in body
    assert b"scrape_error 0\n" in body


async def test_a_container_without_figures_is_no_zero(tmp_path: Path) -> None:
    """This one has no control group: with a zero metrics-server would drop its pod."""
    async with edge_api(tmp_path) as api:
        await api.run_pod()
        _, body = await api.pair.fetch("/metrics/resource")
    assert b"container_" not in body


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/metrics/resource", b"resource_scrape_error 1\n"),
        ("/metrics/cadvisor", b"container_scrape_error 1\n"),
    ],
)
async def test_figures_that_cannot_be_read_are_a_figure(path: str, error: bytes) -> None:
    """An alert sees that; a 500 would only be a gap."""
    handler = PodMetricsHandler(_Broken())
    router = Router(
        [
            Route("/metrics/resource", ("GET",), handler.handle_resource),
            Route("/metrics/cadvisor", ("GET",), handler.handle_cadvisor),
        ]
    )
    async with tunnel_pair(router.handle) as pair:
        status, body = await pair.fetch(path)
    assert status == 200
    assert body.endswith(error)
    assert body.count(b"\n") == 3
