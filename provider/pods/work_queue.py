"""Keys that wait for a worker; each is worked at by at most one, and never waits twice.

             add                      get                     done
    (idle) ───────> waiting ─────────────────────> running ───────────> (idle)
       │  add_after    ^                             │ add: once more     │
       └──> delayed ───┘<────────────────────────────┴────────────────────┘

Its size is bounded by the number of keys, which is the number of pods of one node.

Source: client-go util/workqueue/queue.go, the idea of one worker per key.
"""

from __future__ import annotations

import asyncio


class WorkQueue:
    """A queue of keys."""

    def __init__(self) -> None:
        self._waiting: dict[str, None] = {}
        self._running: set[str] = set()
        self._again: set[str] = set()
        self._delayed: dict[str, asyncio.TimerHandle] = {}
        self._ready = asyncio.Semaphore(0)

    def add(self, key: str) -> None:
        """Let a worker look at the key, now or when the one that does is done."""
        self._drop_delay(key)
        if key in self._running:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting[key] = None
            self._ready.release()

    def add_after(self, key: str, delay_s: float) -> None:
        """Add the key after a delay; an earlier ``add`` overtakes it."""
        self._drop_delay(key)
        loop = asyncio.get_running_loop()
        self._delayed[key] = loop.call_later(delay_s, self.add, key)

    def discard(self, key: str) -> None:
        """Forget a delay and a wish for another look; what waits or runs still does."""
        self._drop_delay(key)
        self._again.discard(key)

    async def get(self) -> str:
        """Return the key that has waited longest; ``done`` MUST follow. Cancelling loses none."""
        await self._ready.acquire()
        key = next(iter(self._waiting))
        del self._waiting[key]
        self._running.add(key)
        return key

    def done(self, key: str) -> None:
        """Say that the worker is through with the key."""
        self._running.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def close(self) -> None:
        """Cancel all delays."""
        for handle in self._delayed.values():
            handle.cancel()
        self._delayed.clear()

    def _drop_delay(self, key: str) -> None:
        if handle := self._delayed.pop(key, None):
            handle.cancel()
