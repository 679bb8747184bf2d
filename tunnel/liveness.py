"""Whether the peer is there: when to send a PING, what its answer says, when to give up.

An end is dead for the other when a PING to it has been unanswered for 10 s and nothing sent to it
was acknowledged since. A busy link that is merely slow keeps acknowledging, so it is not taken for
dead. What dies is one connection; the session may go on over the next.
"""

from __future__ import annotations

import collections
import math

PING_EVERY_S = 5.0
DEAD_AFTER_S = 10.0
# While data flows its round trip is measured anew, at most so often.
PROBE_EVERY_S = 0.05
# Of ours under way; one every 5 s and one per round trip, and 10 s without an answer end the
# connection.
MAX_PINGS_UNDER_WAY = 16
_OPAQUE_BYTES = 8


class Liveness:
    """PINGs under way and what is known of the peer; the caller sends and sleeps.

    Attributes:
        round_trip_s: Of the last PING that was answered; None before the first.
    """

    def __init__(
        self, *, ping_every_s: float = PING_EVERY_S, dead_after_s: float = DEAD_AFTER_S
    ) -> None:
        self.round_trip_s: float | None = None
        self._ping_every_s = ping_every_s
        self._dead_after_s = dead_after_s
        self._under_way: collections.OrderedDict[bytes, float] = collections.OrderedDict()
        self._count = 0
        # The first goes out at once: its round trip lets the windows of the first streams grow.
        self._next_ping_at = -math.inf
        self._probe: bytes | None = None
        self._next_probe_at = -math.inf
        self._acknowledged_at = -math.inf

    def restart(self, *, now: float) -> None:
        """Begin anew on a fresh connection: a PING is due at once.

        PINGs that were under way are answered some time, but measure nothing.
        """
        self._under_way.clear()
        self._probe = None
        self._next_ping_at = now
        self._acknowledged_at = now

    def ping(self, *, now: float) -> bytes:
        """Note a PING that is sent now; returns its eight opaque bytes."""
        self._count += 1
        opaque = self._count.to_bytes(_OPAQUE_BYTES, "big")
        if len(self._under_way) < MAX_PINGS_UNDER_WAY:
            self._under_way[opaque] = now
        return opaque

    def regular_ping(self, *, now: float) -> bytes | None:
        """Note and return the PING that is due every five seconds; None when none is due."""
        if now < self._next_ping_at:
            return None
        self._next_ping_at = now + self._ping_every_s
        return self.ping(now=now)

    def probing_ping(self, *, now: float) -> bytes | None:
        """Note and return a PING that measures the round trip while data flows.

        None while the last one is under way, or was sent less than 50 ms ago.
        """
        if self._probe in self._under_way or now < self._next_probe_at:
            return None
        self._next_probe_at = now + PROBE_EVERY_S
        self._probe = self.ping(now=now)
        return self._probe

    def answered(self, opaque: bytes, *, now: float) -> float | None:
        """Take a PING's answer.

        Returns:
            The round trip in seconds, None for one that we do not wait for.
        """
        sent_at = self._under_way.pop(opaque, None)
        if sent_at is None:
            return None
        self.acknowledged(now=now)
        # What was sent before it cannot be answered after it: a peer answers in order.
        for earlier in [key for key, at in self._under_way.items() if at < sent_at]:
            del self._under_way[earlier]
        self.round_trip_s = now - sent_at
        return self.round_trip_s

    def acknowledged(self, *, now: float) -> None:
        """Note that the peer acknowledged something that we sent."""
        self._acknowledged_at = now

    def silent_s(self, *, now: float) -> float:
        """For how long the peer has owed an answer and acknowledged nothing; 0 without a debt."""
        return max(0.0, now - self._silent_since()) if self._under_way else 0.0

    def is_dead(self, *, now: float) -> bool:
        """Whether the peer has been silent for too long."""
        return bool(self._under_way) and now >= self._dead_at()

    def next_at(self) -> float:
        """When to look again: the next PING, or the end of patience."""
        return min(self._next_ping_at, self._dead_at()) if self._under_way else self._next_ping_at

    def _dead_at(self) -> float:
        return self._silent_since() + self._dead_after_s

    def _silent_since(self) -> float:
        oldest = next(iter(self._under_way.values()))
        return max(oldest, self._acknowledged_at)
