"""Whose DATA frame is next.

Each turn is one frame of one stream. Streams that write little and rarely (terminals, sync, health)
wait in a queue of their own that goes first; the others share what is left in turn. The first queue
may run ahead of a waiting second one by 64 KiB at most, so neither starves.

    idle ──ready──> first or bulk ──next──> its turn ──sent(more)──> first or bulk ^
      ├──sent(no more)──> idle └────────────────────────────────────────┴──blocked──> idle until
      ready, still in the same burst

Source: the idea of sparse flows going first is RFC 8290 §4.2 (FQ-CoDel); here one frame is the
quantum.
"""

from __future__ import annotations

import collections
import dataclasses

# Largest payload of a DATA frame. Four frames of this size fill one pipe message. With the headers
# of HTTP/2 and the WebSocket and with four TLS records it stays below 65483 bytes, the largest
# segment on loopback and about what a network card takes at once: a few bytes more are a segment of
# their own, which wakes the reader once more. That made the tunnel a third slower.
MAX_FRAME_BYTES = (16 << 10) - 64
# A stream that sends no more than this before it falls silent counts as one that writes little.
SMALL_BURST_BYTES = 16 << 10
# So much may overtake a waiting bulk stream before it gets a turn.
MAX_AHEAD_BYTES = 64 << 10
MIN_TURN_BYTES = 512


@dataclasses.dataclass(slots=True)
class _Turns:
    burst_bytes: int = 0
    is_bulk: bool = False
    is_queued: bool = False


class Schedule:
    """The streams that have something to send and may send it, in the order of their turns."""

    def __init__(self) -> None:
        self._turns: dict[int, _Turns] = {}
        self._first: collections.deque[int] = collections.deque()
        self._bulk: collections.deque[int] = collections.deque()
        self._ahead_bytes = 0

    def ready(self, stream_id: int) -> None:
        """Queue a stream that has something to send; one that is queued keeps its place."""
        turns = self._turns.setdefault(stream_id, _Turns())
        if not turns.is_queued:
            turns.is_queued = True
            (self._bulk if turns.is_bulk else self._first).append(stream_id)

    def next(self) -> int | None:
        """Return the stream whose turn it is, or None.

        The stream leaves its queue: the caller reports ``sent`` or ``blocked`` before it asks
        again.
        """
        if self._bulk and (not self._first or self._ahead_bytes >= MAX_AHEAD_BYTES):
            stream_id = self._bulk.popleft()
        elif self._first:
            stream_id = self._first.popleft()
        else:
            return None
        self._turns[stream_id].is_queued = False
        return stream_id

    def sent(self, stream_id: int, size: int, *, more: bool) -> None:
        """Record a turn.

        Args:
            stream_id: The stream that ``next`` named.
            size: Payload bytes of the frame, or of all frames when nobody else waited.
            more: Whether the stream has more to send and may.
        """
        turns = self._turns[stream_id]
        turns.burst_bytes += size
        if turns.is_bulk:
            self._ahead_bytes = 0
        elif self._bulk:
            # A turn costs its frame's header and a wake-up however small the frame is.
            self._ahead_bytes += max(size, MIN_TURN_BYTES)
        turns.is_bulk = turns.burst_bytes > SMALL_BURST_BYTES
        if not more:
            turns.burst_bytes = 0
            return
        turns.is_queued = True
        (self._bulk if turns.is_bulk else self._first).append(stream_id)

    def blocked(self, stream_id: int) -> None:
        """Give the turn up for want of a window; after ``ready`` the burst goes on."""
        if self._turns[stream_id].is_queued:
            raise AssertionError(f"stream {stream_id} gave up a turn that it did not have")

    def forget(self, stream_id: int) -> None:
        """Drop a stream that ended; unknown ones are fine."""
        turns = self._turns.pop(stream_id, None)
        if turns is not None and turns.is_queued:
            (self._bulk if turns.is_bulk else self._first).remove(stream_id)
