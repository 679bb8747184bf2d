"""What the provider counts, in one registry of its own; the kubelet port shows it."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

from provider.config import EDGELET_VERSION
from provider.telemetry.site_figures import SiteFigures, SiteSources
from provider.telemetry.sync_traffic import SyncTraffic
from tunnel.enrolment import RefusalReason
from tunnel.exposition import register_process
from tunnel.metrics import TunnelMetrics

# Of a call to the API server that brought no answer.
NO_ANSWER = "none"


class ProviderMetrics:
    """All figures of one provider.

    Attributes:
        registry: Whoever serves them collects from it.
        tunnel: The tunnel's.
        sync: The sync stream's.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        register_process(self.registry, component="provider", version=EDGELET_VERSION)
        self.tunnel = TunnelMetrics()
        self.registry.register(self.tunnel)
        self.sync = SyncTraffic()
        self.registry.register(self.sync)
        self._kubelet_calls = Counter(
            "edgelet_kubelet_requests",
            "Calls of the kubelet port that were answered, by row of its table and status.",
            labelnames=["path", "code"],
            registry=self.registry,
        )
        self._refusals = Counter(
            "edgelet_edge_refusals",
            "Requests that the edge port refused, by reason.",
            labelnames=["reason"],
            registry=self.registry,
        )
        # What begins with its first event hides that event from rates.
        for reason in RefusalReason:
            self._refusals.labels(reason=reason.value)
        self._api_calls = Counter(
            "edgelet_api_requests",
            f'Calls to the API server, by method and status; "{NO_ANSWER}" without an answer.',
            labelnames=["method", "code"],
            registry=self.registry,
        )

    def watch_site(self, sources: SiteSources) -> None:
        """Tell how the site does, too; once."""
        self.registry.register(SiteFigures(sources))

    def kubelet_answered(self, *, path: str, status: int) -> None:
        """Count an answer; ``path`` is a row of the route table."""
        self._kubelet_calls.labels(path=path, code=str(status)).inc()

    def edge_refused(self, reason: str) -> None:
        """Count a refusal; ``reason`` is one of a few words."""
        self._refusals.labels(reason=reason).inc()

    def api_answered(self, *, method: str, status: int | None) -> None:
        """Count a call to the API server; None for one without an answer."""
        code = NO_ANSWER if status is None else str(status)
        self._api_calls.labels(method=method, code=code).inc()
