"""Receive windows: how much each stream's peer may send, and the memory that all of them may take together.

Credit that was granted cannot be taken back. A window is topped up when its reader takes bytes, so
a reader that stops costs its own window and nobody else's progress. Windows start small and grow
while a round trip (a PING) shows that the window, not the reader or the link, is the limit.
"""

from __future__ import annotations

import dataclasses

from tunnel.errors import WindowExceeded

START_WINDOW_BYTES = 64 << 10
MAX_WINDOW_BYTES = 16 << 20
BUDGET_BYTES = 64 << 20
MAX_STREAMS = 256
# The connection's window does not guard memory (the streams' do): it only has to cover the largest
# link.
CONNECTION_WINDOW_BYTES = 16 << 20
# A round trip is measured at most this often: enough to double ten times in the first second of a
# fast stream.
ROUND_EVERY_S = 0.05


@dataclasses.dataclass(slots=True, kw_only=True)
class _Window:
    size: int
    credit: int  # what the peer may still send
    buffered: int = 0  # arrived, not taken by the reader
    taken_in_round: int = 0


def connection_credit(window_bytes: int) -> int:
    """Return what to give back on the connection, given its window now: 0 until a quarter is used."""
    missing = CONNECTION_WINDOW_BYTES - window_bytes
    return missing if missing >= CONNECTION_WINDOW_BYTES // 4 else 0


def compute_growth(*, window_bytes: int, taken_bytes: int, spare_bytes: int) -> int:
    """Decide by how much one window grows after a round trip.

    A reader that took two thirds of the window within one round trip was waiting for the window:
    the sender may have had twice as much under way. ``taken_bytes`` counts what the reader took,
    not what arrived, so that a burst into the buffer of a reader that sleeps never looks like
    speed.

    Args:
        window_bytes: The window now.
        taken_bytes: What the reader took during the round trip.
        spare_bytes: What the budget has left beyond a start window for every free stream slot.

    Returns:
        Bytes to add, 0 for none.
    """
    if 3 * taken_bytes < 2 * window_bytes:
        return 0
    wanted = min(2 * taken_bytes, MAX_WINDOW_BYTES)
    return max(0, min(wanted - window_bytes, spare_bytes))


class ReceiveFlow:
    """The receive windows of one session's streams, within one budget.

    Invariants: for every stream ``credit + buffered <= size``; and the sum of all sizes plus a
    start window for every free slot stays within the budget, so that a new stream can always be let
    in.
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
        self._in_round: set[int] = set()
        self._round_open = False
        self._next_round_at = 0.0

    @property
    def granted_bytes(self) -> int:
        """Sum of all windows, in bytes; never over the budget."""
        return self._granted_bytes

    @property
    def buffered_bytes(self) -> int:
        """What has arrived and no reader has taken."""
        return sum(window.buffered for window in self._windows.values())

    def window_bytes(self, stream_id: int) -> int:
        """Return the size of one stream's window."""
        return self._windows[stream_id].size

    def open(self, stream_id: int) -> None:
        """Give a new stream its start window, which HTTP/2's settings have granted already."""
        if len(self._windows) >= self._max_streams or stream_id in self._windows:
            raise AssertionError(f"stream {stream_id} has no slot")
        self._windows[stream_id] = _Window(size=START_WINDOW_BYTES, credit=START_WINDOW_BYTES)
        self._granted_bytes += START_WINDOW_BYTES

    def close(self, stream_id: int) -> None:
        """Take a stream's window back; unknown streams are fine."""
        window = self._windows.pop(stream_id, None)
        if window is not None:
            self._granted_bytes -= window.size
            self._in_round.discard(stream_id)

    def arrived(self, stream_id: int, size: int) -> None:
        """Account for bytes that reached the stream's buffer.

        Raises:
            WindowExceeded: More than was granted.
        """
        window = self._windows[stream_id]
        if size > window.credit:
            raise WindowExceeded(
                f"stream {stream_id} sent {size} bytes, {window.credit} were granted"
            )
        window.credit -= size
        window.buffered += size

    def taken(self, stream_id: int, size: int) -> int:
        """Account for bytes that the reader took.

        Returns:
            Credit to grant to the peer now; 0 while more than half of the window is still open, or
            the stream closed.
        """
        window = self._windows.get(stream_id)
        if window is None:
            return 0
        window.buffered -= size
        if self._round_open:
            window.taken_in_round += size
            self._in_round.add(stream_id)
        credit = window.size - window.credit - window.buffered
        if 2 * credit < window.size:
            return 0
        window.credit += credit
        return credit

    def start_round(self, *, now: float) -> bool:
        """Begin to measure a round trip, if none is under way and the last began long enough ago.

        Returns:
            Whether the caller must send a PING now, whose answer is ``end_round``.
        """
        if self._round_open or now < self._next_round_at:
            return False
        self._round_open = True
        self._next_round_at = now + ROUND_EVERY_S
        return True

    def end_round(self) -> list[tuple[int, int]]:
        """End the round trip and grow what it showed to be too small.

        Returns:
            Stream and credit to grant to it, for each window that grew.
        """
        grown: list[tuple[int, int]] = []
        for stream_id in sorted(self._in_round):
            window = self._windows[stream_id]
            increase = compute_growth(
                window_bytes=window.size,
                taken_bytes=window.taken_in_round,
                spare_bytes=self._spare_bytes(),
            )
            window.taken_in_round = 0
            if increase:
                window.size += increase
                window.credit += increase
                self._granted_bytes += increase
                grown.append((stream_id, increase))
        self._in_round.clear()
        self._round_open = False
        return grown

    def _spare_bytes(self) -> int:
        free_slots = self._max_streams - len(self._windows)
        return self._budget_bytes - self._granted_bytes - free_slots * START_WINDOW_BYTES
