"""Inbox: what has arrived for one reader, and the reader's wake-up.

Bytes are copied once: when a reader that waits takes them, or at once where nobody waits. A view
keeps a whole message, so it may stay only until a reader that was woken has run.
"""

from __future__ import annotations

import asyncio

from tunnel.byte_queue import GATHER_BELOW_BYTES, ByteQueue


class Inbox(ByteQueue):
    """Bytes that wait for a reader. One task at a time may wait.

    What it holds is bounded by who puts in: for streams, by their receive windows.
    """

    __slots__ = ("_reader",)

    def __init__(self) -> None:
        super().__init__()
        self._reader: asyncio.Future[None] | None = None  # waits until there is something to read

    def put(self, data: bytes | memoryview) -> None:
        """Append bytes and wake the reader; what they are a view of never changes."""
        reader = self._reader
        if reader is None:
            ByteQueue.put(self, bytes(data))
            return
        size = len(data)
        if size < GATHER_BELOW_BYTES:
            ByteQueue.put(self, data)
        else:
            # What put does with it, without the call: this is done for each frame.
            self.size += size
            self._pieces.append(data)
            if type(data) is memoryview:
                self._has_views = True
        if not reader.done():
            reader.set_result(None)

    def take(self, max_bytes: int) -> bytes:
        """Take up to ``max_bytes``, at least one when there is one."""
        data = ByteQueue.take(self, max_bytes)
        if self.size:
            self.own()
        return data

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
            self.own()
            raise
        finally:
            self._reader = None
