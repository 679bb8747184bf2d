"""Inbox: what has arrived for one reader, and the reader's wake-up.

Bytes are copied once: when a reader that waits takes them, or at once where nobody waits. A view
keeps a whole message, so it may stay only until a reader that was woken has run.
"""

from __future__ import annotations

import asyncio

from tunnel.byte_queue import ByteQueue


class Inbox:
    """Bytes that wait for a reader. One task at a time may wait.

    What it holds is bounded by who puts in: for streams, by their receive windows.
    """

    __slots__ = ("_queue", "_reader")

    def __init__(self) -> None:
        self._queue = ByteQueue()
        self._reader: asyncio.Future[None] | None = None  # waits until there is something to read

    @property
    def size(self) -> int:
        """How many bytes it holds."""
        return self._queue.size

    def put(self, data: bytes | memoryview) -> None:
        """Append bytes and wake the reader; what they are a view of never changes."""
        reader = self._reader
        if reader is None:
            self._queue.put(bytes(data))
            return
        self._queue.put(data)
        if not reader.done():
            reader.set_result(None)

    def take(self, max_bytes: int) -> bytes:
        """Take up to ``max_bytes``, at least one when there is one."""
        queue = self._queue
        data = queue.take(max_bytes)
        if queue.size:
            queue.own()
        return data

    def clear(self) -> None:
        """Drop all."""
        self._queue.clear()

    def wake(self) -> None:
        """Let a reader look again, whatever there is."""
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def wait(self) -> None:
        """Wait until bytes came or ``wake`` was called; there may be none all the same.

        Cancelling is safe: no byte is lost.
        """
        if self._reader is not None:
            # Somebody who was cancelled a moment ago has not left yet.
            await asyncio.wait((self._reader,))
            return
        self._reader = asyncio.get_running_loop().create_future()
        try:
            await self._reader
        except BaseException:
            self._queue.own()
            raise
        finally:
            self._reader = None
