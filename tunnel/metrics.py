"""What one end of the tunnel counts, in the form that Prometheus collects.

Source: prometheus.io/docs/practices/naming.
"""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import Metric

    from tunnel.session import Session

SENT, RECEIVED = "sent", "received"
OUTCOMES = ("completed", "lost", "reset")


class TunnelMetrics(Collector):
    """Sums over all sessions of one site, one after the other; register it with a registry.

    Attributes:
        reconnects: How often a connection after the first was needed, by reason.
    """

    def __init__(self) -> None:
        self.reconnects: collections.Counter[str] = collections.Counter()
        self._reasons: tuple[str, ...] = ()
        self._sessions: list[Session] = []
        # Of the sessions that have ended.
        self._bytes: collections.Counter[str] = collections.Counter()
        self._streams: collections.Counter[str] = collections.Counter()
        self._window_stalls = 0

    def watch(self, session: Session) -> None:
        """Count what this session does, from its beginning to its end."""
        self._let_go()
        self._sessions.append(session)

    def expect(self, *reasons: str) -> None:
        """Show these reasons from the start: what begins with its first event hides that event."""
        self._reasons = reasons

    def reconnected(self, reason: str) -> None:
        """Count a connection after the first; ``reason`` is one of a few words."""
        self.reconnects[reason] += 1

    def collect(self) -> Iterable[Metric]:
        """Return all figures as they are now."""
        self._let_go()
        attached = [session for session in self._sessions if session.is_attached]
        yield GaugeMetricFamily(
            "edgelet_tunnel_connected",
            "Whether a connection carries a session now.",
            value=int(bool(attached)),
        )
        yield self._round_trip(attached)
        yield self._by_label(
            "edgelet_tunnel_bytes",
            "Bytes of the HTTP/2 connection, each counted once however often it was sent.",
            label="direction",
            known=(SENT, RECEIVED),
            values=sum((_bytes_of(session) for session in self._sessions), self._bytes),
        )
        yield GaugeMetricFamily(
            "edgelet_tunnel_streams_open",
            "Calls under way, the sync stream included.",
            value=sum(session.open_streams for session in self._sessions),
        )
        yield self._by_label(
            "edgelet_tunnel_streams",
            "Calls that have ended, by how: completed, reset by either end, lost with the session.",
            label="outcome",
            known=OUTCOMES,
            values=sum((session.ended_streams for session in self._sessions), self._streams),
        )
        yield CounterMetricFamily(
            "edgelet_tunnel_window_stalls",
            "How often a call had to wait for its reader at the other end.",
            value=sum((session.window_stalls for session in self._sessions), self._window_stalls),
        )
        yield self._by_label(
            "edgelet_tunnel_reconnects",
            "Connections after the first, by why they were needed or how they came.",
            label="reason",
            known=self._reasons,
            values=self.reconnects,
        )

    def _round_trip(self, attached: list[Session]) -> Metric:
        family = GaugeMetricFamily(
            "edgelet_tunnel_round_trip_seconds", "Of the last PING; absent without a connection."
        )
        for session in attached[-1:]:
            if session.round_trip_s is not None:
                family.add_metric([], session.round_trip_s)
        return family

    def _by_label(
        self,
        name: str,
        documentation: str,
        *,
        label: str,
        known: Iterable[str],
        values: collections.Counter[str],
    ) -> Metric:
        family = CounterMetricFamily(name, documentation, labels=[label])
        for value, count in sorted({**dict.fromkeys(known, 0), **values}.items()):
            family.add_metric([value], count)
        return family

    def _let_go(self) -> None:
        """Keep the figures of the sessions that have ended, and not the sessions."""
        for session in [one for one in self._sessions if one.close_reason is not None]:
            self._sessions.remove(session)
            self._bytes += _bytes_of(session)
            self._streams += session.ended_streams
            self._window_stalls += session.window_stalls


def _bytes_of(session: Session) -> collections.Counter[str]:
    return collections.Counter({SENT: session.sent_bytes, RECEIVED: session.received_bytes})
