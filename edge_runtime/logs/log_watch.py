"""LogWatch: waits until a log changes."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import Self

from asyncinotify import Inotify, Mask

from edge_runtime.logs.log_change import LogChange, decode_change

# How often to look where the machine has no inotify instance left (128 per user by default).
POLL_PERIOD_S = 0.2
_CHANGES = Mask.MODIFY | Mask.CREATE | Mask.MOVED_TO
_READ_BYTES = 4 << 10

logger = logging.getLogger(__name__)


class LogWatch:
    """Watches one log's folder, since a rotation puts a new file in the old one's place.

    Changes that nobody waits for are kept as one. The library opens the watch; its events are read
    here, since each would cost it more than all else that a followed line costs.

    Where the kernel has no room for a watch, each wait ends soon, and the log may have been
    replaced for all that is known.
    """

    def __init__(self, path: str) -> None:
        """Begin to watch. Needs a running event loop."""
        self._name = os.fsencode(Path(path).name)
        self._loop = asyncio.get_running_loop()
        self._change: LogChange | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._is_listening = False
        self._inotify: Inotify | None = None
        self._fd = -1
        try:
            self._inotify = Inotify()
            self._inotify.add_watch(Path(path).parent, _CHANGES)
            self._fd = self._inotify.fd
            # The library means to, and sets another flag.
            os.set_blocking(self._fd, False)
        except OSError as exc:
            self.close()
            logger.warning("a log is followed without inotify", extra={"error": str(exc)})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Watch no more; may be called again."""
        inotify, self._inotify = self._inotify, None
        if inotify is not None:
            self._stop_listening()
            inotify.close()

    async def wait(self, *, until: float) -> LogChange | None:
        """Return what has changed since the last call, or as soon as something does.

        One task at a time may wait. Cancelling is safe: no change is lost.

        Args:
            until: How long to wait, on the loop's clock; then there was None.
        """
        if self._inotify is None:
            await asyncio.sleep(POLL_PERIOD_S)
            return LogChange.REPLACED
        if self._change is None:
            await self._wait(until)
        change, self._change = self._change, None
        return change

    async def _wait(self, until: float) -> None:
        if not self._is_listening:
            self._is_listening = True
            self._loop.add_reader(self._fd, self._read)
        self._waiter = self._loop.create_future()
        timer = self._loop.call_at(until, self._wake)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _read(self) -> None:
        try:
            events = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return
        change = decode_change(events, self._name)
        if change is None:
            return
        self._change = max(change, self._change or change)
        if self._waiter is None:
            # Whoever follows is behind: what comes now can wait in the kernel.
            self._stop_listening()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _stop_listening(self) -> None:
        if self._is_listening:
            self._is_listening = False
            self._loop.remove_reader(self._fd)
