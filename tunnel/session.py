"""Session: one HTTP/2 session over one WebSocket after another.

    interrupted ──attach()──> attached ──detach(), or the WebSocket ended──> interrupted
         │                        │
         └──not resumed in time───┴──a rule broken, drained, closed, cancelled──> ended

The exchange turns messages into streams' bytes and back, an attachment carries the messages; here
is decided which attachment that is, and when the session ends. State changes are synchronous
functions; waiting is done by the attachment's tasks and by callers.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import typing

from tunnel.attachment import Attachment, WebSocketPipe
from tunnel.errors import PipeError, ProtocolError
from tunnel.exchange import Exchange, Limits
from tunnel.handlers import Handler, Handlers
from tunnel.protocol import RequestHead, Role
from tunnel.stream import REFUSED_STREAM, Stream

if typing.TYPE_CHECKING:
    import collections

__all__ = ["Handler", "Limits", "Role", "Session", "WebSocketPipe"]

logger = logging.getLogger(__name__)

_STOPPING = "this end of the tunnel is stopping"


class Session:
    """One HTTP/2 session that outlives its WebSockets.

    The owner awaits ``run`` and gives it one WebSocket after another with ``attach``.

    The server's ``handler`` runs as one task for each stream. Its exception ends only its stream
    (INTERNAL_ERROR) and is logged here; if it returns without having ended its half, the stream is
    reset. When the stream is reset or lost, the handler's next call on it raises; if it goes on for
    two seconds more, it is cancelled.

    Attributes:
        session_id: The provider's 128 random bits; logs show ``name`` instead.
        name: Short hash of the id, for logs.
        close_reason: One sentence once the session has ended, else None.
        draining: Whether either end has announced its stop; no streams are opened any more.
        interrupted_since: The loop's time at which the last WebSocket ended, or the session began
            to wait for its first; None while one is attached.
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
        self.interrupted_since: float | None = None
        self._role = role
        self._limits = limits
        self._has_left = False
        self._fault: ProtocolError | None = None
        self._attachment: Attachment | None = None
        self._resume_timer: asyncio.TimerHandle | None = None
        self._drain_until: float | None = None
        self._started = asyncio.Event()
        self._drain_announced = asyncio.Event()
        self._over = asyncio.Event()
        self._done = asyncio.Event()
        self._handlers = Handlers(
            handler or _refuse, max_running=2 * limits.max_streams, session_name=self.name
        )
        self._exchange = Exchange(role=role, limits=limits, handlers=self._handlers, owner=self)
        self._streams = self._exchange.streams

    @property
    def is_live(self) -> bool:
        """Whether the peer has spoken and the session has not ended; it may be interrupted."""
        return self._exchange.has_heard and not self._over.is_set()

    @property
    def is_attached(self) -> bool:
        """Whether a WebSocket carries the session now."""
        return self._attachment is not None and self._attachment.reason is None

    @property
    def received_bytes(self) -> int:
        """What the peer is told when it resumes; read it after ``detach``."""
        return self._exchange.counts.received_bytes

    @property
    def sent_bytes(self) -> int:
        """Bytes of the HTTP/2 connection that were sent, each counted once."""
        return self._exchange.counts.sent_bytes

    @property
    def window_stalls(self) -> int:
        """How often a stream had bytes to send and no window."""
        return self._exchange.outbox.window_stalls

    @property
    def ended_streams(self) -> collections.Counter[str]:
        """How many streams have ended, by ``Stream.outcome``."""
        return self._streams.ended_streams

    @property
    def round_trip_s(self) -> float | None:
        """Seconds that the last PING took; None before the first answer."""
        return self._exchange.liveness.round_trip_s

    @property
    def silent_s(self) -> float:
        """For how many seconds the peer has owed an answer; 0 when it owes none."""
        return self._exchange.liveness.silent_s(now=asyncio.get_running_loop().time())

    @property
    def open_streams(self) -> int:
        """How many streams are open now."""
        return len(self._streams)

    # What its owner does.

    async def run(self, pipe: WebSocketPipe | None = None) -> str:
        """Keep the session until it ends; then every stream has ended. Can be called once.

        Streams that were open end with SessionClosed. Cancelling ends the session and all handlers
        at once, without a word to the peer (see ``drain``).

        Args:
            pipe: The only WebSocket that it will ever have: the session ends with it. None when
                the owner attaches them.

        Returns:
            Why the session ended, in one sentence.

        Raises:
            ProtocolError: The peer broke the rules; it was told so.
        """
        if self._started.is_set():
            raise AssertionError("a session runs once")
        self._exchange.protocol.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                self._handlers.run_in(tasks, ended=self._streams.handler_ended)
                self._started.set()
                if pipe is not None:
                    tasks.create_task(self._attach_only(pipe))
                await self._run_to_end()
        finally:
            self._done.set()
        if self._fault is not None:
            raise self._fault
        return self.close_reason or ""

    async def attach(self, pipe: WebSocketPipe, *, peer_received_bytes: int) -> str:
        """Carry the session over this WebSocket until either ends.

        One that is attached is detached first; but the count that the peer was told had to be read
        after a ``detach`` already. Cancelling drops the WebSocket, and the session is interrupted.

        Args:
            pipe: The WebSocket; it is aborted in the end.
            peer_received_bytes: The peer's ``received_bytes``; 0 for the first WebSocket.

        Returns:
            Why it ended, in one sentence.

        Raises:
            PipeError: The peer's count cannot be true; the session has ended.
        """
        self.detach("another WebSocket took its place")
        if self._over.is_set():
            pipe.abort()
            return self.close_reason or ""
        try:
            epoch = self._exchange.attach(peer_received_bytes=peer_received_bytes)
        except PipeError as exc:
            pipe.abort()
            self.peer_failed(exc)
            raise
        attachment = Attachment(pipe, epoch=epoch, owner=self._exchange, wake=self._exchange.wake)
        self._begin(attachment)
        try:
            await self._started.wait()
            return await attachment.run()
        finally:
            attachment.end("the attachment was cancelled")
            if self._attachment is attachment:
                self.detach(attachment.reason or "")

    def detach(self, reason: str) -> None:
        """Abort the WebSocket, if there is one, and take nothing from it any more."""
        attachment, self._attachment = self._attachment, None
        if attachment is None:
            return
        attachment.end(reason)
        self._exchange.detach()
        self._wait_for_attach(f"it was interrupted ({attachment.reason})")

    def close(self, reason: str) -> None:
        """End the session at once, without a word to the peer; the first reason stays."""
        self._end(reason)

    async def drain(self, deadline_s: float = 10, *, reason: str = "it is stopping") -> None:
        """End the session as planned, and return when it has ended.

        No streams are opened any more, those that are open get the deadline, then the rest ends
        with SessionClosed on both ends. Cancelling leaves the session draining.

        Args:
            deadline_s: How long open streams may go on.
            reason: What the peer is told.
        """
        if not self._started.is_set() or self._over.is_set():
            self._end(_STOPPING)
            return
        self._stop_opening(_STOPPING)
        self._streams.stop_answering()
        self._drain_until = _now() + deadline_s
        self._exchange.announce_drain(self._drain_until)
        try:
            async with asyncio.timeout(deadline_s):
                await self._streams.wait_idle()
        except TimeoutError:
            logger.info("session %s: %d streams outlived the drain", self.name, self.open_streams)
        self._leave(reason, own_reason=_STOPPING)
        await self._done.wait()

    async def wait_draining(self) -> bool:
        """Wait until the peer announces its stop; returns False if the session ends before."""
        await self._drain_announced.wait()
        return not self._over.is_set()

    # What callers do.

    async def open(self, head: RequestHead) -> Stream:
        """Send a request's head and return its stream.

        The body follows with ``write`` and ``close_write``; a request without one needs
        ``close_write`` too. Waits for the peer's SETTINGS, for a free stream, and for the end of an
        interruption. Cancelling is safe: no stream is opened.

        Raises:
            HeadError: The head cannot be sent, or the peer does not do extended CONNECT.
            SessionClosed: The session has ended or drains, or 1024 calls wait already.
        """
        if self._role is not Role.CLIENT:
            raise AssertionError("only the client opens streams")
        return await self._streams.open(head)

    async def ping(self, timeout_s: float) -> bool:
        """Ask the peer for a sign of life.

        Returns:
            Whether it came in time; False at once while no WebSocket is attached.
        """
        if not self.is_attached:
            return False
        return await self._exchange.ping(timeout_s)

    # How it lives.

    async def _attach_only(self, pipe: WebSocketPipe) -> None:
        self._end(await self.attach(pipe, peer_received_bytes=0))

    async def _run_to_end(self) -> None:
        try:
            if self._attachment is None and self.interrupted_since is None:
                self._wait_for_attach("it never began")
            await self._over.wait()
            if self._attachment is not None:
                await self._attachment.wait_done()
        finally:
            self._end("the session was cancelled")
        await self._handlers.stop()

    def _begin(self, attachment: Attachment) -> None:
        self._attachment = attachment
        self.interrupted_since = None
        if self._resume_timer is not None:
            self._resume_timer.cancel()
        if self._drain_until is not None:
            self._exchange.announce_drain(self._drain_until)
        logger.info("session %s attached, epoch %d", self.name, self._exchange.counts.epoch)

    def _wait_for_attach(self, why: str) -> None:
        if self._over.is_set():
            return
        self.interrupted_since = _now()
        limit_s = self._limits.resume_timeout_s
        reason = f"{why} and was not resumed within {limit_s:g} s"
        self._resume_timer = asyncio.get_running_loop().call_later(limit_s, self._end, reason)
        logger.info("session %s waits for a WebSocket: %s", self.name, why)

    # For the exchange (ExchangeOwner).

    def peer_failed(self, error: ProtocolError) -> None:
        """End the session for a fault of the peer, and tell it."""
        if not self._over.is_set():
            self._fault = error
            self._leave(f"protocol error: {error}", error_code=error.error_code)

    def peer_left(self, reason: str) -> None:
        """End the session, since the peer has."""
        self._end(reason)

    def peer_drains(self) -> None:
        """Open no streams any more, and tell who waits for it."""
        self._stop_opening("the other end of the tunnel is stopping")
        self._drain_announced.set()

    # How it ends.

    def _stop_opening(self, reason: str) -> None:
        self.draining = True
        self._streams.stop_opening(reason)

    def _leave(self, reason: str, *, error_code: int = 0, own_reason: str | None = None) -> None:
        """End the session from this side, with a last frame that says why."""
        if not self._over.is_set():
            self._has_left = True
            self._exchange.protocol.leave(reason, error_code=error_code)
            self._end(own_reason or reason)

    def _end(self, reason: str) -> None:
        """End everything that hangs on the session; the first reason stays."""
        if self._over.is_set():
            return
        self.close_reason = reason
        self._over.set()
        self._drain_announced.set()
        self._exchange.end(reason)
        if self._resume_timer is not None:
            self._resume_timer.cancel()
        if self._attachment is not None:
            (self._attachment.finish if self._has_left else self._attachment.end)(reason)
        logger.info("session %s ended: %s", self.name, reason)


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _refuse(stream: Stream) -> None:
    stream.reset(REFUSED_STREAM, "nobody answers calls at this end")
