"""How the edge is, as figures that are read when somebody collects them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from tunnel.exposition import labelled_gauge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from prometheus_client import Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeSources:
    """Who knows; none of them waits.

    Attributes:
        node_name: The Node's.
        running_pods: Pods with a sandbox that is ready.
        desired_pods: Pods that are to run.
        containers: How many containers there are, by state.
        relisted_at_s: When the runtime was last looked at as a whole, seconds since the epoch;
            None before the first time.
        certificate_end_s: When the edge's certificate ends, seconds since the epoch; None where
            it cannot be read.
        statuses_pending: Pods whose newest status is not in the API.
        events_pending: Events that are not in the API.
        store_bytes: How large the database is on disk.
    """

    node_name: str
    running_pods: Callable[[], int]
    desired_pods: Callable[[], int]
    containers: Callable[[], Mapping[str, int]]
    relisted_at_s: Callable[[], float | None]
    certificate_end_s: Callable[[], float | None]
    statuses_pending: Callable[[], int]
    events_pending: Callable[[], int]
    store_bytes: Callable[[], int]


class EdgeFigures(Collector):
    """Asks the sources; register it with a registry."""

    def __init__(self, sources: EdgeSources) -> None:
        self._sources = sources

    def collect(self) -> Iterable[Metric]:
        """Return all figures as they are now."""
        yield from self._as_a_kubelet()
        sources = self._sources
        yield labelled_gauge(
            "edgelet_certificate_expiration_timestamp_seconds",
            "When a certificate ends.",
            "certificate",
            {"edge": sources.certificate_end_s()},
        )
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
            "edgelet_store_size_bytes",
            "Size of the database on disk, with what is not merged into it yet.",
            value=sources.store_bytes(),
        )

    def _as_a_kubelet(self) -> Iterable[Metric]:
        sources = self._sources
        yield labelled_gauge(
            "kubelet_node_name", "The Node's name; always 1.", "node", {sources.node_name: 1}
        )
        yield GaugeMetricFamily(
            "kubelet_running_pods",
            "Pods that have a running sandbox.",
            value=sources.running_pods(),
        )
        yield labelled_gauge(
            "kubelet_running_containers",
            "Containers that there are, by state.",
            "container_state",
            sources.containers(),
        )
        desired = GaugeMetricFamily(
            "kubelet_desired_pods", "Pods that are to run here.", labels=["static"]
        )
        # There are no static pods.
        desired.add_metric([""], sources.desired_pods())
        yield desired
        last_seen = GaugeMetricFamily(
            "kubelet_pleg_last_seen_seconds", "When the container runtime was last looked at."
        )
        if (moment := sources.relisted_at_s()) is not None:
            last_seen.add_metric([], moment)
        yield last_seen
