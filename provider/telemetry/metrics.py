"""What the provider counts; one registry of its own, which nobody serves yet."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from provider.telemetry.sync_traffic import SyncTraffic
from tunnel.metrics import TunnelMetrics


class ProviderMetrics:
    """All figures of one provider.

    Attributes:
        registry: Whoever serves them collects from it.
        tunnel: The tunnel's.
        sync: The sync stream's.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.tunnel = TunnelMetrics()
        self.registry.register(self.tunnel)
        self.sync = SyncTraffic()
        self.registry.register(self.sync)
