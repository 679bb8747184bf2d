"""How fast writes may follow each other that an edge can bring about."""

from __future__ import annotations

import asyncio


class Pace:
    """Lets a burst pass, then so many a second; whoever comes too early waits for its turn.

    Turns are given in the order in which they are asked for, whatever becomes of who asked.

    Args:
        burst: How many at once.
        per_s: How many a second in the long run.
    """

    def __init__(self, *, burst: int, per_s: float) -> None:
        self._interval_s = 1.0 / per_s
        self._slack_s = burst * self._interval_s
        # When the next turn would be, were there no burst.
        self._next_at = float("-inf")

    async def turn(self) -> None:
        """Wait for a turn, mostly not at all. Cancelling is safe; the turn is used up."""
        now = asyncio.get_running_loop().time()
        self._next_at = max(self._next_at, now - self._slack_s) + self._interval_s
        if self._next_at > now:
            await asyncio.sleep(self._next_at - now)
