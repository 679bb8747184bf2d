"""``/metrics/resource`` and ``/metrics/cadvisor``: figures of pods for metrics-server, Prometheus.

Source: kubernetes pkg/kubelet/server/server.go ``InstallAuthNotRequiredHandlers``.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from edge_runtime.api.request import respond_bytes
from edge_runtime.stats.cadvisor_metrics import cadvisor_metrics
from edge_runtime.stats.metric_family import CONTENT_TYPE
from edge_runtime.stats.resource_metrics import resource_metrics
from edge_runtime.stats.stats_collector import StatsError

if TYPE_CHECKING:
    from edge_runtime.api.request import ApiRequest
    from edge_runtime.api.stats import NodeFigures
    from tunnel.stream import Stream

logger = logging.getLogger(__name__)


class PodMetricsHandler:
    """Answers with what pods use."""

    def __init__(self, figures: NodeFigures) -> None:
        self._figures = figures

    async def handle_resource(self, _request: ApiRequest, stream: Stream) -> None:
        """Answer; figures that could not be read are a metric, as with a kubelet.

        Raises:
            StreamReset: The peer gave the request up.
            SessionClosed: The session is over.
        """
        try:
            body = resource_metrics(await self._figures.collect())
        except StatsError as exc:
            logger.warning("the figures of pods cannot be read", extra={"reason": str(exc)})
            body = resource_metrics(None)
        await respond_bytes(stream, body, content_type=CONTENT_TYPE)

    async def handle_cadvisor(self, _request: ApiRequest, stream: Stream) -> None:
        """Answer with what cadvisor tells of containers; errors as with ``handle_resource``.

        Raises:
            StreamReset: The peer gave the request up.
            SessionClosed: The session is over.
        """
        try:
            body = cadvisor_metrics(*await self._figures.collect_detailed())
        except StatsError as exc:
            logger.warning("the figures of containers cannot be read", extra={"reason": str(exc)})
            body = cadvisor_metrics(None, None)
        await respond_bytes(stream, body, content_type=CONTENT_TYPE)
