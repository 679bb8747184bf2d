"""How the site does, as figures that are read when somebody collects them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from tunnel.exposition import labelled_gauge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from prometheus_client import Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSources:
    """Who knows.

    Attributes:
        is_writer: Whether this provider is the one that serves the site.
        lease_renewed_at: When the Node's Lease was renewed last, UTC; None for never.
        certificate_ends: What each certificate is for, and when it ends, UTC; None where there is
            none.
        statuses_pending: Pods whose newest status is not in the API.
        events_pending: Events that are not in the API.
        messages_pending: What waits to be sent to the edge.
    """

    is_writer: Callable[[], bool]
    lease_renewed_at: Callable[[], datetime | None]
    certificate_ends: Callable[[], Iterable[tuple[str, datetime | None]]]
    statuses_pending: Callable[[], int]
    events_pending: Callable[[], int]
    messages_pending: Callable[[], int]


class SiteFigures(Collector):
    """Asks the sources; register it with a registry."""

    def __init__(self, sources: SiteSources) -> None:
        self._sources = sources

    def collect(self) -> Iterable[Metric]:
        """Return all figures as they are now."""
        sources = self._sources
        yield GaugeMetricFamily(
            "edgelet_writer",
            "Whether this provider holds the site's Lease, and so serves it.",
            value=int(sources.is_writer()),
        )
        yield self._lease_renewed()
        yield self._certificates()
        yield GaugeMetricFamily(
            "edgelet_statuses_pending",
            "Pods whose newest status is not known to be in the API.",
            value=sources.statuses_pending(),
        )
        yield GaugeMetricFamily(
            "edgelet_events_pending",
            "Events that are not known to be in the API.",
            value=sources.events_pending(),
        )
        yield GaugeMetricFamily(
            "edgelet_sync_messages_pending",
            "Messages that wait to be sent to the other end.",
            value=sources.messages_pending(),
        )

    def _lease_renewed(self) -> Metric:
        family = GaugeMetricFamily(
            "edgelet_node_lease_renewed_timestamp_seconds",
            "When the Node's Lease was renewed last; absent until it is.",
        )
        moment = self._sources.lease_renewed_at()
        if moment is not None:
            family.add_metric([], moment.timestamp())
        return family

    def _certificates(self) -> Metric:
        ends = self._sources.certificate_ends()
        return labelled_gauge(
            "edgelet_certificate_expiration_timestamp_seconds",
            "When a certificate ends.",
            "certificate",
            {
                name.lower().replace(" ", "_"): moment.timestamp() if moment else None
                for name, moment in ends
            },
        )
