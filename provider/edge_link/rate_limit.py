"""How often somebody without a certificate may ask for one: pure, with the clock handed in.

Guessing a token's signature is hopeless; the limit keeps the guesses from costing anything.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass

# Whoever has more addresses than this is held by the overall bucket alone.
MAX_SOURCES = 4096
# Somebody with IPv6 has at least a network of this length for himself (RFC 6177).
_IPV6_NETWORK_BITS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How much a bucket gives.

    Attributes:
        burst: How many at once.
        per_s: How many per second in the long run.
    """

    burst: int
    per_s: float


class TokenBucket:
    """A bucket that is full at first."""

    __slots__ = ("_filled_at", "_level", "_rate")

    def __init__(self, rate: Rate, *, now: float) -> None:
        self._rate = rate
        self._level = float(rate.burst)
        self._filled_at = now

    def take(self, *, now: float) -> float:
        """Take one if there is one.

        Args:
            now: Seconds of a clock that never goes back.

        Returns:
            0.0 when it was taken, else in how many seconds there will be one.
        """
        gained = max(0.0, now - self._filled_at) * self._rate.per_s
        self._level = min(float(self._rate.burst), self._level + gained)
        self._filled_at = now
        if self._level < 1.0:
            return (1.0 - self._level) / self._rate.per_s
        self._level -= 1.0
        return 0.0


class RequestLimit:
    """One bucket per source and one for all; the latter is not touched by a source that is over.

    Args:
        source: The rate of each source.
        overall: The rate of all of them together.
        now: Seconds of a clock that never goes back.
    """

    def __init__(self, *, source: Rate, overall: Rate, now: float) -> None:
        self._source_rate = source
        self._overall = TokenBucket(overall, now=now)
        # The one that asked last is the last; the first makes room.
        self._sources: OrderedDict[str, TokenBucket] = OrderedDict()

    @property
    def source_count(self) -> int:
        """How many sources are remembered, at most MAX_SOURCES."""
        return len(self._sources)

    def take(self, address: str, *, now: float) -> float:
        """Let one request of this address through if it may pass.

        Returns:
            0.0 when it may pass, else in how many seconds it is worth to ask again.
        """
        source = source_of(address)
        bucket = self._sources.pop(source, None) or TokenBucket(self._source_rate, now=now)
        self._sources[source] = bucket
        if len(self._sources) > MAX_SOURCES:
            self._sources.popitem(last=False)
        return bucket.take(now=now) or self._overall.take(now=now)


def source_of(address: str) -> str:
    """Return whom an address stands for: itself, or its network with IPv6."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, _IPV6_NETWORK_BITS), strict=False))
