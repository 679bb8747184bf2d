"""``/metrics`` and ``/metrics/probes``: what the edge counts of its own work.

Source: kubernetes pkg/kubelet/server/server.go ``InstallAuthNotRequiredHandlers``.
"""

from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING, Protocol

from edge_runtime.api.request import respond_bytes
from edge_runtime.stats.stats_collector import StatsError
from edge_runtime.stats.volume_metrics import volume_metrics
from tunnel.exposition import CONTENT_TYPE, expose

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prometheus_client import CollectorRegistry

    from edge_runtime.api.request import ApiRequest
    from edge_runtime.objects.node_stats import VolumeStats
    from edge_runtime.objects.pod import PodUID
    from tunnel.stream import Stream

logger = logging.getLogger(__name__)


class VolumeFigures(Protocol):
    """How full mounted volumes are (stats/stats_collector.py); raises StatsError."""

    async def collect_volumes(self) -> Mapping[PodUID, tuple[VolumeStats, ...]]:
        """Return those that answer, by pod."""
        ...


class OwnMetricsHandler:
    """Answers with all figures of one registry, and how full claims are where that is asked for."""

    def __init__(
        self, registry: CollectorRegistry, *, volumes: VolumeFigures | None = None
    ) -> None:
        self._registry = registry
        self._volumes = volumes

    async def handle(self, _request: ApiRequest, stream: Stream) -> None:
        """Answer.

        Raises:
            StreamReset: The peer gave the request up.
            SessionClosed: The session is over.
        """
        body = await expose(self._registry) + await self._claims()
        await respond_bytes(stream, body, content_type=CONTENT_TYPE)

    async def _claims(self) -> bytes:
        if self._volumes is None:
            return b""
        try:
            found = await self._volumes.collect_volumes()
        except StatsError as exc:
            logger.warning("the figures of volumes cannot be read", extra={"reason": str(exc)})
            return b""
        return volume_metrics(itertools.chain.from_iterable(found.values()))
