"""``/metrics`` and ``/metrics/probes``: what the edge counts of its own work.

Source: kubernetes pkg/kubelet/server/server.go ``InstallAuthNotRequiredHandlers``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.api.request import respond_bytes
from tunnel.exposition import CONTENT_TYPE, expose

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from edge_runtime.api.request import ApiRequest
    from tunnel.stream import Stream


class OwnMetricsHandler:
    """Answers with all figures of one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    async def handle(self, _request: ApiRequest, stream: Stream) -> None:
        """Answer.

        Raises:
            StreamReset: The peer gave the request up.
            SessionClosed: The session is over.
        """
        await respond_bytes(stream, await expose(self._registry), content_type=CONTENT_TYPE)
