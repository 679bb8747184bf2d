"""Stream slots: how many streams a client may have open, and who waits for a free one."""

from __future__ import annotations

import asyncio
import collections

from tunnel.errors import SessionClosed

# Calls that wait for a free stream; the next one is refused.
MAX_WAITING = 1024


class StreamSlots:
    """Free slots, handed out in the order of asking.

    There are none until the peer's SETTINGS have said how many, and none once ``close`` was called.

    Args:
        max_streams: Never more than so many, whatever the peer allows.
    """

    def __init__(self, *, max_streams: int) -> None:
        self._max_streams = max_streams
        self._allowed = 0
        self._taken = 0
        self._waiting: collections.deque[asyncio.Future[None]] = collections.deque()
        self._closed_reason: str | None = None

    async def acquire(self) -> None:
        """Wait for a free slot and take it. Cancelling is safe: no slot is lost.

        Raises:
            SessionClosed: No streams are opened any more, or too many calls wait already.
        """
        self._check_open()
        if self._taken < self._allowed and not self._waiting:
            self._taken += 1
            return
        if len(self._waiting) >= MAX_WAITING:
            raise SessionClosed(f"{MAX_WAITING} calls wait for a free stream already")
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            self._give_up(turn)
            raise
        if self._closed_reason is not None:
            self.release()
        self._check_open()

    def release(self) -> None:
        """Give a slot back."""
        self._taken -= 1
        self._admit()

    def allow(self, count: int) -> None:
        """Set how many streams the peer allows; those that are open stay."""
        self._allowed = min(count, self._max_streams)
        self._admit()

    def close(self, reason: str) -> None:
        """Refuse all that wait and all that will ask; the first reason stays."""
        if self._closed_reason is None:
            self._closed_reason = reason
        while self._waiting:
            self._admit_next()

    def _admit(self) -> None:
        while self._waiting and self._taken < self._allowed:
            self._admit_next()

    def _admit_next(self) -> None:
        turn = self._waiting.popleft()
        # A waiter that is being cancelled gives its turn up by itself.
        if not turn.done():
            self._taken += 1
            turn.set_result(None)

    def _give_up(self, turn: asyncio.Future[None]) -> None:
        if turn.done() and not turn.cancelled():
            self.release()
        elif turn in self._waiting:
            self._waiting.remove(turn)

    def _check_open(self) -> None:
        if self._closed_reason is not None:
            raise SessionClosed(self._closed_reason)
