"""A pair of WebSocketPipes in memory: bounded, in order, with an optional delay, and a cut.

What one end sends waits in a queue of at most 64 KiB (a WebSocket's write limit); then ``send``
waits for the other end to receive, as it does on a socket whose peer does not read.
"""

from __future__ import annotations

import asyncio
import collections

from tunnel.errors import SessionClosed

MAX_WAITING_BYTES = 64 << 10
CLOCK_SLACK_S = 1e-4
LOST = "the connection was lost"
HUNG_UP = "the other end hung up"


class _Line:
    """One direction: messages with the time at which they arrive."""

    def __init__(self, *, delay_s: float, room_bytes: int) -> None:
        self.delay_s = delay_s
        self.room_bytes = room_bytes
        self.messages: collections.deque[tuple[float, bytes]] = collections.deque()
        self.waiting_bytes = 0
        self.changed = asyncio.Event()
        self.ended_by: str | None = None  # what receive raises after the last message
        self.is_stalled = False

    def end(self, reason: str) -> None:
        if self.ended_by is None:
            self.ended_by = reason
        self.changed.set()


class MemoryPipe:
    """One end; speaks ``tunnel.session.WebSocketPipe``.

    Attributes:
        max_waiting_bytes: The most that ever waited in this end's sending direction.
        sent_messages: How many messages this end sent.
    """

    def __init__(self, *, out: _Line, into: _Line) -> None:
        self._out = out
        self._into = into
        self.max_waiting_bytes = 0
        self.sent_messages = 0

    async def receive(self) -> bytes:
        """Return the next message; raises SessionClosed after the last."""
        line = self._into
        loop = asyncio.get_running_loop()
        while True:
            while not line.messages or line.is_stalled:
                if line.ended_by is not None:
                    raise SessionClosed(line.ended_by)
                line.changed.clear()
                await line.changed.wait()
            flies_s = line.messages[0][0] - loop.time()
            # A timer may be early by a clock's resolution, and would be so again and again.
            if flies_s <= CLOCK_SLACK_S:
                break
            await asyncio.sleep(flies_s)
        _, message = line.messages.popleft()
        line.waiting_bytes -= len(message)
        line.changed.set()
        return message

    async def send(self, message: bytes) -> None:
        """Send one message; waits while 64 KiB wait, raises SessionClosed once the line is gone."""
        line = self._out
        if not isinstance(message, bytes) or len(message) > 64 << 10:
            raise AssertionError("a message is at most 64 KiB of bytes")
        while line.waiting_bytes >= line.room_bytes:
            if line.ended_by is not None:
                raise SessionClosed(line.ended_by)
            line.changed.clear()
            await line.changed.wait()
        if line.ended_by is not None:
            raise SessionClosed(line.ended_by)
        line.messages.append((asyncio.get_running_loop().time() + line.delay_s, message))
        line.waiting_bytes += len(message)
        self.sent_messages += 1
        self.max_waiting_bytes = max(self.max_waiting_bytes, line.waiting_bytes)
        line.changed.set()

    def limit_unsent(self, limit_bytes: int) -> None:
        """Do nothing: what was sent is under way here, not unsent."""

    def abort(self) -> None:
        """Drop the connection; the other end still receives what was sent before."""
        self._out.end(HUNG_UP)
        self._into.end(LOST)
        self._into.messages.clear()
        self._into.waiting_bytes = 0

    def cut(self) -> None:
        """Lose the connection: what was under way is gone, and both ends notice."""
        for line in (self._out, self._into):
            line.messages.clear()
            line.waiting_bytes = 0
            line.end(LOST)

    def stall(self) -> None:
        """Freeze both directions without a word: nothing arrives any more, and senders wait."""
        self._out.is_stalled = self._into.is_stalled = True

    def resume(self) -> None:
        """End a stall: what waited arrives."""
        for line in (self._out, self._into):
            line.is_stalled = False
            line.changed.set()

    def stall_sending(self) -> None:
        """Freeze the direction that this end sends in; the other one still works."""
        self._out.is_stalled = True


def memory_pipes(
    *, delay_s: float = 0.0, room_bytes: int = MAX_WAITING_BYTES
) -> tuple[MemoryPipe, MemoryPipe]:
    """Make two ends of one connection.

    Args:
        delay_s: How long each message takes one way.
        room_bytes: What may be under way in one direction before ``send`` waits.
    """
    there = _Line(delay_s=delay_s, room_bytes=room_bytes)
    back = _Line(delay_s=delay_s, room_bytes=room_bytes)
    return MemoryPipe(out=there, into=back), MemoryPipe(out=back, into=there)
