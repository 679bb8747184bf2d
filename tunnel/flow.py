"""Receive windows: how much each stream's peer may send, and the memory that all may take together.

Credit that was granted cannot be taken back. A window is topped up when its reader takes bytes, so
a reader that stops costs its own window and nobody else's progress. Windows start small and grow
while a reader empties them faster than a round trip can fill them.
"""

from __future__ import annotations

import dataclasses

START_WINDOW_BYTES = 64 << 10
MAX_WINDOW_BYTES = 16 << 20
BUDGET_BYTES = 64 << 20
MAX_STREAMS = 256
# The connection's window does not guard memory (the streams' do): it has to cover the fastest link.
CONNECTION_WINDOW_BYTES = 16 << 20
# Round trips below this are taken for this: clocks of event loops tick in milliseconds, and a
# window has to cover the time until a busy process gets to its sockets again.
MIN_ROUND_TRIP_S = 0.002


@dataclasses.dataclass(slots=True, kw_only=True)
class _Window:
    size: int
    period_started_at: float
    owed: int = 0  # taken by the reader, or grown, and not granted to the peer yet
    taken_in_period: int = 0  # a period lasts until the reader has taken one window


def connection_credit(window_bytes: int) -> int:
    """Return what to give back on the connection: 0 until a quarter of its window is used."""
    missing = CONNECTION_WINDOW_BYTES - window_bytes
    return missing if missing >= CONNECTION_WINDOW_BYTES // 4 else 0


def compute_growth(
    *, window_bytes: int, elapsed_s: float, round_trip_s: float, spare_bytes: int
) -> int:
    """Decide by how much a window grows after its reader took one whole window.

    A window that limits its stream is taken about once in a round trip; one that is taken in less
    than two doubles. So it ends at two to four times the bandwidth-delay product. What counts is
    what the reader took, not what arrived: a burst into the buffer of a reader that sleeps is no
    speed.

    Args:
        window_bytes: The window now.
        elapsed_s: How long the reader took for it.
        round_trip_s: Of the last PING.
        spare_bytes: What the budget has left beyond a start window for every free stream slot.

    Returns:
        Bytes to add, 0 for none.

    Source: QUIC implementations tune their windows by the same rule (Chromium's
    QuicFlowController::MaybeIncreaseMaxWindowSize).
    """
    if elapsed_s >= 2 * max(round_trip_s, MIN_ROUND_TRIP_S):
        return 0
    return max(0, min(window_bytes, MAX_WINDOW_BYTES - window_bytes, spare_bytes))


class ReceiveFlow:
    """The receive windows of one session's streams, within one budget.

    Whether a peer keeps within what it was granted is seen where its frames arrive (data_path.py).
    So what a stream may send, plus what arrived and was not taken, is never more than its window.

    Invariant: the sum of all sizes plus a start window for every free slot stays within the budget,
    so that a new stream can always be let in.

    What the reader of an ended stream has not taken is held as long as somebody holds the stream.
    Nothing grows into that part of the budget, so all that waits is bounded by the budget and one
    start window for each stream that is held.
    """

    def __init__(self, *, budget_bytes: int = BUDGET_BYTES, max_streams: int = MAX_STREAMS) -> None:
        if budget_bytes < max_streams * START_WINDOW_BYTES:
            raise ValueError(
                f"a budget of {budget_bytes} bytes is too small for {max_streams} streams"
            )
        self._budget_bytes = budget_bytes
        self._max_streams = max_streams
        self._windows: dict[int, _Window] = {}
        self._granted_bytes = 0

    @property
    def granted_bytes(self) -> int:
        """Sum of all windows, in bytes; never over the budget."""
        return self._granted_bytes

    def window_bytes(self, stream_id: int) -> int:
        """Return the size of one stream's window."""
        return self._windows[stream_id].size

    def open(self, stream_id: int, *, now: float) -> None:
        """Give a new stream its start window, which HTTP/2's settings have granted already."""
        if len(self._windows) >= self._max_streams or stream_id in self._windows:
            raise AssertionError(f"stream {stream_id} has no slot")
        self._windows[stream_id] = _Window(size=START_WINDOW_BYTES, period_started_at=now)
        self._granted_bytes += START_WINDOW_BYTES

    def close(self, stream_id: int) -> None:
        """Take a stream's window back; unknown streams are fine."""
        window = self._windows.pop(stream_id, None)
        if window is not None:
            self._granted_bytes -= window.size

    def taken(self, stream_id: int, size: int) -> bool:
        """Account for bytes that the reader took.

        Args:
            stream_id: Unknown ones (closed meanwhile) are fine.
            size: At most what has arrived and was not taken.

        Returns:
            Whether ``credit`` MUST be called now.
        """
        window = self._windows.get(stream_id)
        if window is None:
            return False
        window.owed += size
        window.taken_in_period += size
        # Whoever takes little at once from a large window asks for no time and no credit.
        return 4 * window.owed >= window.size or window.taken_in_period >= window.size

    def credit(
        self, stream_id: int, *, now: float, round_trip_s: float | None, unread_bytes: int = 0
    ) -> int:
        """Return credit to grant to the peer now; 0 while it is less than a quarter of the window.

        Args:
            stream_id: An open one.
            now: On the caller's clock.
            round_trip_s: Of the last PING; None, before the first, lets nothing grow.
            unread_bytes: What readers of ended streams have not taken.
        """
        window = self._windows[stream_id]
        if window.taken_in_period >= window.size:
            increase = 0
            if round_trip_s is not None:
                increase = compute_growth(
                    window_bytes=window.size,
                    elapsed_s=now - window.period_started_at,
                    round_trip_s=round_trip_s,
                    spare_bytes=self._spare_bytes() - unread_bytes,
                )
            self._end_period(window, now=now, increase=increase)
        if 4 * window.owed < window.size:
            return 0
        credit, window.owed = window.owed, 0
        return credit

    def _spare_bytes(self) -> int:
        free_slots = self._max_streams - len(self._windows)
        return self._budget_bytes - self._granted_bytes - free_slots * START_WINDOW_BYTES

    def _end_period(self, window: _Window, *, now: float, increase: int) -> None:
        window.size += increase
        window.owed += increase
        self._granted_bytes += increase
        window.taken_in_period = 0
        window.period_started_at = now
