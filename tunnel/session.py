"""Session: drives the protocol over a pipe of messages, and owns the tasks that do it.

    reader      message -> Pipe -> Protocol -> Streams; never waits for anybody
    writer      Streams -> Outbox (Schedule, Protocol, Pipe) -> message
    keep-alive  a PING every five seconds, and the end of patience
    handlers    on the server, one task for each stream that the client opened

State changes are synchronous functions; only ``_read``, ``_write`` and ``_keep_alive`` wait.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import logging
import typing

from tunnel import pipe as wire
from tunnel.errors import ExcessiveLoad, ProtocolError, SessionClosed
from tunnel.events import Event, PeerLeft, PingAnswered, SettingsArrived
from tunnel.flow import BUDGET_BYTES, MAX_STREAMS, ReceiveFlow
from tunnel.handlers import Handler, Handlers
from tunnel.liveness import DEAD_AFTER_S, PING_EVERY_S, Liveness
from tunnel.outbox import Outbox
from tunnel.protocol import Protocol, RequestHead, Role, error_name
from tunnel.slots import StreamSlots
from tunnel.stream import REFUSED_STREAM, Stream
from tunnel.streams import Streams

if typing.TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Handler", "Limits", "Role", "Session", "WebSocketPipe"]

logger = logging.getLogger(__name__)

# Answers of HTTP/2 itself (PING, SETTINGS, window updates) that wait because the socket takes
# nothing.
MAX_WAITING_OUTPUT_BYTES = 1 << 20
# How long the last frame may take to go out, and then the peer to hang up.
FAREWELL_S = 1.0


class WebSocketPipe(typing.Protocol):
    """One attached WebSocket that carries binary messages of at most 64 KiB."""

    async def receive(self) -> bytes:
        """Return the next message.

        Raises:
            SessionClosed: The WebSocket ended, or a text or oversized message came.
        """

    async def send(self, message: bytes) -> None:
        """Send one message; waits while more than 64 KiB wait below.

        Raises:
            SessionClosed: The WebSocket ended.
        """

    def abort(self) -> None:
        """Drop the connection at once (``transport.abort()``); may be called again."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one session may take.

    Attributes:
        max_streams: Streams open at once.
        receive_budget_bytes: Sum of all receive windows; at least 64 KiB for each stream.
        ping_every_s: Between two PINGs.
        dead_after_s: A PING unanswered for so long, and nothing acknowledged since, ends the
            session.
    """

    max_streams: int = MAX_STREAMS
    receive_budget_bytes: int = BUDGET_BYTES
    ping_every_s: float = PING_EVERY_S
    dead_after_s: float = DEAD_AFTER_S


class Session:
    """One HTTP/2 session over one WebSocket.

    The server's ``handler`` runs as one task for each stream. Its exception ends only its stream
    (INTERNAL_ERROR) and is logged here; if it returns without having ended its half, the stream is
    reset. When the stream is reset or lost, the handler's next call on it raises; if it goes on for
    two seconds more, it is cancelled.

    Attributes:
        session_id: The provider's 128 random bits; logs show ``name`` instead.
        name: Short hash of the id, for logs.
        close_reason: One sentence once the session has ended, else None.
        draining: Whether either end has announced its stop; no streams are opened any more.
    """

    def __init__(
        self,
        *,
        role: Role,
        session_id: str,
        handler: Handler | None = None,
        limits: Limits | None = None,
    ) -> None:
        limits = limits or Limits()
        self.session_id = session_id
        self.name = hashlib.blake2b(session_id.encode(), digest_size=6).hexdigest()
        self.close_reason: str | None = None
        self.draining = False
        self._role = role
        self._dead_after_s = limits.dead_after_s
        self._has_run = False
        self._has_left = False
        self._heard = False
        self._fault: ProtocolError | None = None
        self._ack_timer: asyncio.TimerHandle | None = None
        self._wake = asyncio.Event()
        self._over = asyncio.Event()
        self._done = asyncio.Event()
        self._protocol = Protocol(role, max_streams=limits.max_streams)
        self._counts = wire.Pipe()
        self._outbox = Outbox(self._protocol, self._counts)
        self._liveness = Liveness(
            ping_every_s=limits.ping_every_s, dead_after_s=limits.dead_after_s
        )
        self._handlers = Handlers(
            handler or _refuse, max_running=2 * limits.max_streams, session_name=self.name
        )
        self._streams = Streams(
            role=role,
            protocol=self._protocol,
            outbox=self._outbox,
            flow=ReceiveFlow(
                budget_bytes=limits.receive_budget_bytes, max_streams=limits.max_streams
            ),
            slots=StreamSlots(max_streams=limits.max_streams),
            handlers=self._handlers,
            liveness=self._liveness,
            wake=self._wake,
        )

    @property
    def is_live(self) -> bool:
        """Whether the peer has spoken and the session has not ended."""
        return self._heard and not self._over.is_set()

    @property
    def round_trip_s(self) -> float | None:
        """Seconds that the last PING took; None before the first answer."""
        return self._liveness.round_trip_s

    @property
    def open_streams(self) -> int:
        """How many streams are open now."""
        return len(self._streams)

    # What callers do.

    async def run(self, pipe: WebSocketPipe) -> str:
        """Drive the session until it ends; then every stream has ended. Can be called once.

        Streams that were open end with SessionClosed. Cancelling ends the session and all handlers
        at once, without a word to the peer (see ``drain``).

        Returns:
            Why the session ended, in one sentence.

        Raises:
            ProtocolError: The peer broke the rules; it was told so.
        """
        if self._has_run:
            raise AssertionError("a session runs once")
        self._has_run = True
        self._protocol.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._run_in(tasks, pipe)
        finally:
            self._done.set()
        if self._fault is not None:
            raise self._fault
        return self.close_reason or ""

    async def open(self, head: RequestHead) -> Stream:
        """Send a request's head and return its stream.

        The body follows with ``write`` and ``close_write``; a request without one needs
        ``close_write`` too. Waits for the peer's SETTINGS and for a free stream. Cancelling is
        safe: no stream is opened.

        Raises:
            HeadError: The head cannot be sent, or the peer does not do extended CONNECT.
            SessionClosed: The session has ended or drains, or 1024 calls wait already.
        """
        if self._role is not Role.CLIENT:
            raise AssertionError("only the client opens streams")
        return await self._streams.open(head)

    async def drain(self, deadline_s: float = 10, *, reason: str = "it is stopping") -> None:
        """End the session as planned, and return when it has ended.

        No streams are opened any more, those that are open get the deadline, then the rest ends
        with SessionClosed on both ends. Cancelling leaves the session draining.

        Args:
            deadline_s: How long open streams may go on.
            reason: What the peer is told.
        """
        if not self._has_run or self._over.is_set():
            self._end("this end of the tunnel is stopping")
            return
        self._stop_opening("this end of the tunnel is stopping")
        self._streams.stop_answering()
        self._outbox.send_first(wire.encode_drain(deadline_s))
        self._wake.set()
        try:
            async with asyncio.timeout(deadline_s):
                await self._streams.wait_idle()
        except TimeoutError:
            logger.info("session %s: %d streams outlived the drain", self.name, self.open_streams)
        self._leave(reason, own_reason="this end of the tunnel is stopping")
        await self._done.wait()

    # The tasks.

    async def _run_in(self, tasks: asyncio.TaskGroup, pipe: WebSocketPipe) -> None:
        self._handlers.run_in(tasks, ended=self._streams.handler_ended)
        reader = tasks.create_task(self._guard(lambda: self._read(pipe)))
        writer = tasks.create_task(self._guard(lambda: self._write(pipe)))
        keeper = tasks.create_task(self._guard(self._keep_alive))
        try:
            await self._over.wait()
            if self._has_left:
                # GOAWAY is the last frame. Let it out, and let the peer hang up, so that it is not
                # lost with the socket.
                await asyncio.wait([writer], timeout=FAREWELL_S)
                await asyncio.wait([reader], timeout=FAREWELL_S)
        finally:
            self._end("the session was cancelled")
            pipe.abort()
            for task in (reader, writer, keeper):
                task.cancel()
            if self._ack_timer is not None:
                self._ack_timer.cancel()
        await self._handlers.stop()

    async def _guard(self, loop: Callable[[], Awaitable[None]]) -> None:
        try:
            await loop()
        except SessionClosed as exc:
            self._end(exc.reason)
        except ProtocolError as exc:
            if not self._over.is_set():
                self._fault = exc
                self._leave(f"protocol error: {exc}", error_code=exc.error_code)

    async def _read(self, pipe: WebSocketPipe) -> None:
        while True:
            message = await pipe.receive()
            # After the end only the peer's hanging up is of interest.
            if not self._over.is_set():
                self._take_message(message)

    async def _write(self, pipe: WebSocketPipe) -> None:
        while True:
            is_over = self._over.is_set()
            message = self._outbox.next_message(now=_now(), with_data=not is_over)
            if message is not None:
                await pipe.send(message)
            elif is_over:
                return
            else:
                self._wake.clear()
                await self._wake.wait()

    async def _keep_alive(self) -> None:
        while True:
            now = _now()
            if self._liveness.is_dead(now=now):
                raise SessionClosed(f"no answer to a PING for {self._dead_after_s:g} s")
            opaque = self._liveness.regular_ping(now=now)
            if opaque is not None:
                self._protocol.ping(opaque)
                self._wake.set()
            await asyncio.sleep(max(self._liveness.next_at() - now, wire.TIMER_SLACK_S))

    # What arrives.

    def _take_message(self, message: bytes) -> None:
        now = _now()
        received = self._counts.receive_message(message, now=now)
        match received:
            case wire.Data(payload):
                for event in self._protocol.receive_data(payload, now=now):
                    self._react(event, now=now)
                self._watch_ack()
            case wire.Ack():
                self._liveness.acknowledged(now=now)
            case wire.Drain():
                # It overtakes frames: a server still answers what the client opened before it.
                self._stop_opening("the other end of the tunnel is stopping")
            case _:
                typing.assert_never(received)
        if self._protocol.output_bytes > MAX_WAITING_OUTPUT_BYTES:
            raise ExcessiveLoad("the peer asks for answers and does not take them")
        self._wake.set()

    def _react(self, event: Event, *, now: float) -> None:
        match event:
            case PingAnswered(opaque):
                self._liveness.answered(opaque, now=now)
            case PeerLeft(error_code, reason):
                code = f" ({error_name(error_code)})" if error_code else ""
                self._end(f"the other end closed the session{code}: {reason or 'no reason given'}")
            case SettingsArrived():
                self._heard = True
                self._streams.reactions[SettingsArrived](event)
            case _:
                self._streams.reactions[type(event)](event)

    def _watch_ack(self) -> None:
        """Wake the writer when an ACK falls due."""
        ack_at = self._counts.ack_at
        if ack_at is not None and self._ack_timer is None:
            self._ack_timer = asyncio.get_running_loop().call_at(ack_at, self._on_ack_timer)

    def _on_ack_timer(self) -> None:
        self._ack_timer = None
        self._wake.set()
        # Bytes that came after an earlier ACK have a time of their own.
        if (self._counts.ack_at or 0) > _now() + wire.TIMER_SLACK_S:
            self._watch_ack()

    # How it ends.

    def _stop_opening(self, reason: str) -> None:
        self.draining = True
        self._streams.stop_opening(reason)

    def _leave(self, reason: str, *, error_code: int = 0, own_reason: str | None = None) -> None:
        """End the session from this side, with a last frame that says why."""
        if not self._over.is_set():
            self._has_left = True
            self._protocol.leave(reason, error_code=error_code)
            self._end(own_reason or reason)

    def _end(self, reason: str) -> None:
        """End everything that hangs on the session; the first reason stays."""
        if self._over.is_set():
            return
        self.close_reason = reason
        self._over.set()
        self._streams.fail_all(reason)
        self._wake.set()
        logger.info("session %s ended: %s", self.name, reason)


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _refuse(stream: Stream) -> None:
    stream.reset(REFUSED_STREAM, "nobody answers calls at this end")
