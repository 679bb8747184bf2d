"""What the sync stream costs: bytes and messages by type, in the form that Prometheus collects.

Some sites pay for each byte; this says for what.
"""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from tunnel.metrics import RECEIVED, SENT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import Metric

    from tunnel.sync import FromEdge, FromProvider


class SyncTraffic(Collector):
    """Sums over all sync streams of one site; register it with a registry."""

    def __init__(self) -> None:
        self._bytes: collections.Counter[tuple[str, str]] = collections.Counter()
        self._messages: collections.Counter[tuple[str, str]] = collections.Counter()

    def sent(self, message: FromProvider, *, size_bytes: int) -> None:
        """Count what the provider sent; the size is that of its JSON."""
        self._count(SENT, type(message).__name__, size_bytes)

    def received(self, message: FromEdge, *, size_bytes: int) -> None:
        """Count what the edge sent; the size is that of its JSON."""
        self._count(RECEIVED, type(message).__name__, size_bytes)

    def collect(self) -> Iterable[Metric]:
        """Return all figures as they are now."""
        for name, documentation, counts in (
            ("edgelet_sync_bytes", "Bytes of the sync stream's messages.", self._bytes),
            ("edgelet_sync_messages", "Messages of the sync stream.", self._messages),
        ):
            family = CounterMetricFamily(name, documentation, labels=["direction", "type"])
            for labels, count in sorted(counts.items()):
                family.add_metric(labels, count)
            yield family

    def _count(self, direction: str, kind: str, size_bytes: int) -> None:
        self._bytes[direction, kind] += size_bytes
        self._messages[direction, kind] += 1
