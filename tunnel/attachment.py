"""Attachment: one WebSocket while it carries a session, and the tasks that do it.

    reader      message -> session; never waits for anybody
    writer      session -> message
    keep-alive  a PING every five seconds, and the end of patience

    attached ──finish()──> the last messages go out, the peer hangs up ──> ended
        └──────end(), or the WebSocket ended────────────────────────────────^

What an attachment loses is the WebSocket alone; the session may go on over another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import typing

from tunnel.errors import ProtocolError, SessionClosed

if typing.TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

# How long the last frame may take to go out, and then the peer to hang up.
FAREWELL_S = 1.0
# Then everybody else has a turn, even where nothing waits for room: what the peer acknowledges is
# dropped while it is still in the processor's cache.
MAX_IN_A_ROW = 4


class WebSocketPipe(typing.Protocol):
    """One attached WebSocket that carries binary messages of at most 64 KiB."""

    async def receive(self) -> bytes:
        """Return the next message.

        Raises:
            SessionClosed: The WebSocket ended, or a text or oversized message came.
        """

    async def send(self, message: bytes) -> None:
        """Send one message; then waits while more than the limit waits below.

        Raises:
            SessionClosed: The WebSocket ended.
        """

    def limit_unsent(self, limit_bytes: int) -> None:
        """Set how much may wait below; 64 KiB until it is called."""

    def abort(self) -> None:
        """Drop the connection at once (``transport.abort()``); may be called again."""


class AttachmentOwner(typing.Protocol):
    """What an attachment asks of its session; each call returns at once."""

    def take_message(self, message: bytes, *, epoch: int) -> None:
        """Take what arrived; raises ProtocolError when the peer broke the rules."""

    def next_message(self) -> bytes | None:
        """Return what is to be sent next; None until the wake event is set."""

    def has_full_message(self) -> bool:
        """Whether the next message will be full already."""

    @property
    def unsent_limit_bytes(self) -> int:
        """How much may wait below, at the rate that the link has now."""

    def keep_alive(self) -> float:
        """Queue a PING when one is due, and return after how many seconds to ask again.

        Raises:
            SessionClosed: The peer is dead.
        """

    def peer_failed(self, error: ProtocolError) -> None:
        """End the session for a fault of the peer."""


class Attachment:
    """Drives one WebSocket for a session.

    Args:
        pipe: The WebSocket.
        epoch: Of the session's pipe.
        owner: The session.
        wake: Is set when ``next_message`` is worth asking again.

    Attributes:
        reason: Why it ended, in one sentence; None while it is attached.
    """

    def __init__(
        self, pipe: WebSocketPipe, *, epoch: int, owner: AttachmentOwner, wake: asyncio.Event
    ) -> None:
        self.reason: str | None = None
        self._pipe = pipe
        self._epoch = epoch
        self._owner = owner
        self._wake = wake
        self._is_finishing = False
        self._over = asyncio.Event()
        self._done = asyncio.Event()

    def end(self, reason: str) -> None:
        """Abort the WebSocket: from now on nothing is taken from it or given to it.

        The first reason stays.
        """
        self._pipe.abort()
        if self.reason is None:
            self.reason = reason
        self._over.set()

    def finish(self, reason: str) -> None:
        """Send what is left, take nothing any more, and wait for the peer to hang up."""
        if self.reason is None:
            self.reason = reason
            self._is_finishing = True
            self._wake.set()
            self._over.set()

    async def wait_done(self) -> None:
        """Wait until ``run`` has returned."""
        await self._done.wait()

    async def run(self) -> str:
        """Drive the WebSocket until it ends, and return why. Can be called once.

        Cancelling aborts the WebSocket.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._run_in(tasks)
        finally:
            self._done.set()
        return self.reason or ""

    async def _run_in(self, tasks: asyncio.TaskGroup) -> None:
        reader = tasks.create_task(self._guard(self._read))
        writer = tasks.create_task(self._guard(self._write))
        keeper = tasks.create_task(self._guard(self._keep_alive))
        try:
            await self._over.wait()
            if self._is_finishing:
                # GOAWAY is the last frame. Let it out, and let the peer hang up, so that it is not
                # lost with the socket.
                await asyncio.wait([writer], timeout=FAREWELL_S)
                await asyncio.wait([reader], timeout=FAREWELL_S)
        finally:
            self.end("the attachment was cancelled")
            for task in (reader, writer, keeper):
                task.cancel()

    async def _guard(self, loop: Callable[[], Awaitable[None]]) -> None:
        try:
            await loop()
        except SessionClosed as exc:
            self.end(exc.reason)
        except ProtocolError as exc:
            self._owner.peer_failed(exc)

    async def _read(self) -> None:
        while True:
            message = await self._pipe.receive()
            # After the end only the peer's hanging up is of interest.
            if self.reason is None:
                self._owner.take_message(message, epoch=self._epoch)

    async def _write(self) -> None:
        # MUST be no await between the question and next_message: what a replaced attachment took
        # would be missing in the next one.
        in_a_row = 0
        while self.reason is None or self._is_finishing:
            message = self._owner.next_message()
            if message is not None:
                self._pipe.limit_unsent(self._owner.unsent_limit_bytes)
                await self._send(message)
                in_a_row += 1
                if in_a_row >= MAX_IN_A_ROW or not self._owner.has_full_message():
                    # Let those who wait for room write first.
                    in_a_row = 0
                    await asyncio.sleep(0)
            elif self._is_finishing:
                return
            else:
                self._wake.clear()
                await self._wake.wait()

    async def _send(self, message: bytes) -> None:
        try:
            await self._pipe.send(message)
        except SessionClosed:
            # The reader may still find the peer's last word in what has arrived.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL_S):
                    await self._over.wait()
            raise

    async def _keep_alive(self) -> None:
        while True:
            delay_s = self._owner.keep_alive()
            await asyncio.sleep(delay_s)
