"""Session: drives the protocol over a pipe of messages, and owns the tasks that do it.

    reader      message -> Pipe -> Protocol -> streams' buffers; never waits for anybody
    writer      streams' buffers -> Outbox (Schedule, Protocol, Pipe) -> message
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
from tunnel.errors import ExcessiveLoad, HeadError, ProtocolError, SessionClosed, StreamReset
from tunnel.flow import BUDGET_BYTES, MAX_STREAMS, ReceiveFlow
from tunnel.handlers import Handler, Handlers
from tunnel.liveness import DEAD_AFTER_S, PING_EVERY_S, Liveness
from tunnel.outbox import Outbox
from tunnel.protocol import (
    DataArrived,
    EndArrived,
    PeerLeft,
    PingAnswered,
    Protocol,
    RequestArrived,
    RequestHead,
    ResetArrived,
    ResponseArrived,
    ResponseHead,
    Role,
    SettingsArrived,
    WindowOpened,
    error_name,
)
from tunnel.slots import StreamSlots
from tunnel.stream import REFUSED_STREAM, Stream

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

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
        self._limits = limits
        self._role = role
        self._protocol = Protocol(role, max_streams=limits.max_streams)
        self._counts = wire.Pipe()
        self._outbox = Outbox(self._protocol, self._counts)
        self._flow = ReceiveFlow(
            budget_bytes=limits.receive_budget_bytes, max_streams=limits.max_streams
        )
        self._slots = StreamSlots(max_streams=limits.max_streams)
        self._handlers = Handlers(
            handler or _refuse, max_running=2 * limits.max_streams, session_name=self.name
        )
        self._streams: dict[int, Stream] = {}
        self._liveness: Liveness | None = None
        self._fault: ProtocolError | None = None
        self._has_left = False
        self._heard = False
        self._round_ping: bytes | None = None
        self._ack_timer: asyncio.TimerHandle | None = None
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._over = asyncio.Event()
        self._done = asyncio.Event()
        self._reactions: dict[type, Callable[[typing.Any], None]] = {
            DataArrived: self._on_data,
            WindowOpened: self._on_window,
            EndArrived: self._on_end,
            RequestArrived: self._on_request,
            ResponseArrived: self._on_response,
            ResetArrived: self._on_reset,
            SettingsArrived: self._on_settings,
            PingAnswered: self._on_ping,
            PeerLeft: self._on_peer_left,
        }

    @property
    def is_live(self) -> bool:
        """Whether the peer has spoken and the session has not ended."""
        return self._heard and not self._over.is_set()

    @property
    def round_trip_s(self) -> float | None:
        """Seconds that the last PING took; None before the first answer."""
        return None if self._liveness is None else self._liveness.round_trip_s

    # What callers do.

    async def run(self, pipe: WebSocketPipe) -> str:
        """Drive the session until it ends; then every stream has ended with SessionClosed. Can be called once.

        Cancelling ends the session and all handlers at once, without a word to the peer (see
        ``drain``).

        Returns:
            Why the session ended, in one sentence.

        Raises:
            ProtocolError: The peer broke the rules; it was told so.
        """
        if self._liveness is not None:
            raise AssertionError("a session runs once")
        self._liveness = Liveness(
            now=self._now(),
            ping_every_s=self._limits.ping_every_s,
            dead_after_s=self._limits.dead_after_s,
        )
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
        """Send a request's head and return its stream; the body follows with ``write`` and ``close_write``.

        Waits for the peer's SETTINGS and for a free stream. Cancelling is safe: no stream is
        opened.

        Raises:
            HeadError: The head cannot be sent, or the peer does not do extended CONNECT.
            SessionClosed: The session has ended or drains, or 1024 calls wait already.
        """
        if self._role is not Role.CLIENT:
            raise AssertionError("only the client opens streams")
        await self._slots.acquire()
        try:
            if head.protocol is not None and not self._protocol.connect_allowed:
                raise HeadError("the peer's settings do not allow extended CONNECT")
            stream_id = self._protocol.send_request(head)
        except BaseException:
            self._slots.release()
            raise
        return self._add_stream(stream_id, head)

    async def drain(
        self, deadline_s: float = 10, *, reason: str = "this end of the tunnel is stopping"
    ) -> None:
        """End the session as planned: no new streams, running ones get the deadline, then all is closed.

        Cancelling leaves the session draining.

        Args:
            deadline_s: How long running streams may go on.
            reason: What the streams that are left, and the peer, are told.
        """
        if self._liveness is None or self._over.is_set():
            self._end(reason)
            return
        self._stop_opening(reason)
        self._outbox.send_first(wire.encode_drain(deadline_s))
        self._wake.set()
        try:
            async with asyncio.timeout(deadline_s):
                while self._streams or len(self._handlers):
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            logger.info("session %s: %d streams outlived the drain", self.name, len(self._streams))
        self._leave(reason)
        await self._done.wait()

    # The tasks.

    async def _run_in(self, tasks: asyncio.TaskGroup, pipe: WebSocketPipe) -> None:
        self._tasks = tasks
        reader = tasks.create_task(self._guard(self._read(pipe)))
        writer = tasks.create_task(self._guard(self._write(pipe)))
        keeper = tasks.create_task(self._guard(self._keep_alive()))
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

    async def _guard(self, loop: Coroutine[None, None, None]) -> None:
        try:
            await loop
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
            message = self._outbox.next_message(now=self._now(), with_data=not self._over.is_set())
            if message is not None:
                await pipe.send(message)
            elif self._over.is_set():
                return
            else:
                self._wake.clear()
                await self._wake.wait()

    async def _keep_alive(self) -> None:
        while True:
            now = self._now()
            if self._alive.is_dead(now=now):
                raise SessionClosed(
                    f"the peer has not answered a PING for {self._limits.dead_after_s:g} s"
                )
            opaque = self._alive.regular_ping(now=now)
            if opaque is not None:
                self._protocol.ping(opaque)
                self._wake.set()
            await asyncio.sleep(self._alive.next_at() - now)

    # What arrives.

    def _take_message(self, message: bytes) -> None:
        now = self._now()
        received = self._counts.receive_message(message, now=now)
        match received:
            case wire.Data(payload):
                for event in self._protocol.receive_data(payload, now=now):
                    self._reactions[type(event)](event)
                self._watch_ack()
            case wire.Ack():
                self._alive.acknowledged(now=now)
            case wire.Drain():
                self._stop_opening("the other end of the tunnel is stopping")
            case _:
                typing.assert_never(received)
        if self._protocol.output_bytes > MAX_WAITING_OUTPUT_BYTES:
            raise ExcessiveLoad("the peer asks for answers and does not take them")
        self._wake.set()

    def _watch_ack(self) -> None:
        """Wake the writer when an ACK falls due."""
        ack_at = self._counts.ack_at
        if ack_at is None or self._ack_timer is not None:
            return
        self._ack_timer = asyncio.get_running_loop().call_at(ack_at, self._on_ack_timer)

    def _on_ack_timer(self) -> None:
        self._ack_timer = None
        self._wake.set()
        # Bytes that came after an earlier ACK have their own time, and a timer may be early by the
        # clock's resolution.
        ack_at = self._counts.ack_at
        if ack_at is not None and ack_at > self._now():
            self._watch_ack()

    def _on_data(self, event: DataArrived) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is None:
            return
        self._flow.arrived(event.stream_id, event.credit)
        stream.receive_data(event.data)
        padding = event.credit - len(event.data)
        if padding:
            self.input_taken(stream, padding)

    def _on_end(self, event: EndArrived) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            stream.receive_end()

    def _on_request(self, event: RequestArrived) -> None:
        stream = self._add_stream(event.stream_id, event.head)
        if self.draining or not self._handlers.start(stream, self._tasks):
            stream.reset(REFUSED_STREAM, "refused")

    def _on_response(self, event: ResponseArrived) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            stream.receive_response(event.head)

    def _on_reset(self, event: ResetArrived) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is None:
            return
        by = "reset by peer" if event.by_peer else "reset for a fault of the peer"
        self._handlers.stream_failed(stream.id)
        stream.fail(StreamReset(event.error_code, f"{by} ({error_name(event.error_code)})"))

    def _on_window(self, event: WindowOpened) -> None:
        self._outbox.window_opened(event.stream_id)

    def _on_settings(self, _event: SettingsArrived) -> None:
        self._heard = True
        self._slots.allow(self._protocol.peer_max_streams)
        self._outbox.window_opened(0)

    def _on_ping(self, event: PingAnswered) -> None:
        self._alive.answered(event.opaque, now=self._now())
        if event.opaque != self._round_ping:
            return
        self._round_ping = None
        for stream_id, credit in self._flow.end_round():
            self._grant(self._streams[stream_id], credit)

    def _on_peer_left(self, event: PeerLeft) -> None:
        reason = event.reason or "it gave no reason"
        code = f" ({error_name(event.error_code)})" if event.error_code else ""
        self._end(f"the other end closed the session{code}: {reason}")

    # What streams ask for (StreamOwner).

    def output_ready(self, stream: Stream) -> None:
        """Queue a stream's bytes or end."""
        if stream.id in self._streams:
            self._outbox.ready(stream)
            self._wake.set()

    def input_taken(self, stream: Stream, size: int) -> None:
        """Return credit for what a reader took."""
        credit = self._flow.taken(stream.id, size)
        if not credit or stream.receive_ended or self._over.is_set():
            return
        self._grant(stream, credit)
        now = self._now()
        if self._flow.start_round(now=now):
            self._round_ping = self._alive.ping(now=now)
            self._protocol.ping(self._round_ping)

    def respond(self, stream: Stream, head: ResponseHead, *, end: bool) -> None:
        """Send a response head."""
        self._protocol.send_response(stream.id, head, end=end)
        self._wake.set()

    def reset(self, stream: Stream, *, error_code: int) -> None:
        """Send RST_STREAM."""
        self._protocol.reset_stream(stream.id, error_code=error_code)
        self._wake.set()

    def ended(self, stream: Stream) -> None:
        """Let go of a stream that has ended."""
        if self._streams.pop(stream.id, None) is None:
            return
        self._outbox.forget(stream.id)
        self._flow.close(stream.id)
        if self._role is Role.CLIENT:
            self._slots.release()
        self._idle.set()

    # Ends and accounts.

    @property
    def _alive(self) -> Liveness:
        if self._liveness is None:
            raise AssertionError("the session does not run")
        return self._liveness

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _grant(self, stream: Stream, credit: int) -> None:
        if not stream.receive_ended:
            self._protocol.grant(stream.id, credit)
            self._wake.set()

    def _add_stream(self, stream_id: int, head: RequestHead) -> Stream:
        stream = Stream(self, stream_id, head, is_server=self._role is Role.SERVER)
        self._streams[stream_id] = stream
        self._flow.open(stream_id)
        self._wake.set()
        return stream

    def _stop_opening(self, reason: str) -> None:
        self.draining = True
        self._slots.close(reason)

    def _leave(self, reason: str, *, error_code: int = 0) -> None:
        """End the session from this side, with a last frame that says why."""
        if not self._over.is_set():
            self._has_left = True
            self._protocol.leave(reason, error_code=error_code)
            self._end(reason)

    def _end(self, reason: str) -> None:
        """End everything that hangs on the session; the first reason stays."""
        if self._over.is_set():
            return
        self.close_reason = reason
        self._over.set()
        self._slots.close(reason)
        for stream in list(self._streams.values()):
            stream.fail(SessionClosed(reason))
        for event in (self._idle, self._wake):
            event.set()
        logger.info("session %s ended: %s", self.name, reason)


async def _refuse(stream: Stream) -> None:
    stream.reset(REFUSED_STREAM, "nobody answers calls at this end")
