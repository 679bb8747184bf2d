"""``/stats/summary``: what machine and pods use, as JSON.

Source: kubernetes pkg/kubelet/server/stats/handler.go ``handleSummary``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from edge_runtime.api.own_metrics import VolumeFigures
from edge_runtime.api.request import JSON, ApiError, respond_bytes
from edge_runtime.stats.stats_collector import StatsError
from edge_runtime.stats.summary import summary

if TYPE_CHECKING:
    from edge_runtime.api.request import ApiRequest
    from edge_runtime.objects.node_stats import NodeStats
    from edge_runtime.stats.node_details import NodeDetails
    from tunnel.stream import Stream


class NodeFigures(VolumeFigures, Protocol):
    """What is measured (stats/stats_collector.py); raises StatsError."""

    async def collect(self) -> NodeStats:
        """Return processors, memory and swap."""
        ...

    async def collect_detailed(self) -> tuple[NodeStats, NodeDetails]:
        """Return networks, disks, limits and processes, too."""
        ...

    async def collect_all(self) -> NodeStats:
        """Return networks, processes and filesystems, too."""
        ...


class StatsHandler:
    """Answers ``/stats/summary``."""

    def __init__(self, figures: NodeFigures) -> None:
        self._figures = figures

    async def handle(self, request: ApiRequest, stream: Stream) -> None:
        """Answer with a Summary; ``only_cpu_and_memory=true`` leaves all else out.

        Raises:
            ApiError: 500 when the figures could not be read.
            StreamReset: The peer gave the request up.
            SessionClosed: The session is over.
        """
        only_these = request.query.get("only_cpu_and_memory") == ("true",)
        try:
            stats = await (self._figures.collect() if only_these else self._figures.collect_all())
        except StatsError as exc:
            raise ApiError(500, f"Internal Error: {exc}") from exc
        await respond_bytes(stream, msgspec.json.encode(summary(stats)), content_type=JSON)
