"""Stream: one request and its response over the session, with half-close, reset and back-pressure.

The session's read loop puts in what arrived and never waits; its write loop takes out what is to be
sent. Between them and the callers stand two bounded buffers: what arrived is bounded by the receive
window that was granted, what is to be sent by MAX_SEND_BUFFER_BYTES and a piece.
"""

from __future__ import annotations

import asyncio
import typing
from typing import Self

from tunnel.byte_queue import ByteQueue, Piece
from tunnel.errors import SessionClosed, StreamReset
from tunnel.inbox import Inbox

if typing.TYPE_CHECKING:
    from collections.abc import Iterable

    from tunnel.protocol import RequestHead, ResponseHead

# Once so little waits for the scheduler and the peer's window, write goes on.
SEND_LOW_BYTES = 64 << 10
# While so much waits, write waits: as much as the peer's window, between these bounds. Then it adds
# one piece of at most 64 KiB.
MIN_SEND_BUFFER_BYTES = 64 << 10
MAX_SEND_BUFFER_BYTES = 256 << 10
_PIECE_BYTES = 64 << 10
# What one read takes if nobody says otherwise: several frames of a stream that shares the link with
# others. From 128 KiB on malloc would ask the kernel for each.
READ_BYTES = 96 << 10
NO_ERROR = 0x0
INTERNAL_ERROR = 0x2
REFUSED_STREAM = 0x7
CANCEL = 0x8


class StreamOwner(typing.Protocol):
    """What a stream asks of its session; each call returns at once."""

    def output_ready(self, stream: Stream) -> None:
        """Say that the stream has bytes or its end to send."""

    def input_taken(self, stream: Stream, size: int) -> None:
        """Say that the reader took bytes."""

    def respond(self, stream: Stream, head: ResponseHead, *, end: bool) -> None:
        """Send a response head."""

    def reset(self, stream: Stream, *, error_code: int) -> None:
        """Send RST_STREAM."""

    def ended(self, stream: Stream) -> None:
        """Let go of a stream whose both halves ended, or that was reset or lost."""


class Stream:
    """One HTTP/2 stream, as its caller sees it.

    One task may read while another writes; two tasks may write, each call's bytes (up to 64 KiB of
    them) then stay together. A stream that is no longer wanted before its end must be ``reset``, or
    it keeps its slot and window.

    Attributes:
        id: The HTTP/2 stream id.
        request: The head that opened it.
        read_bytes: How many were read so far.
        written_bytes: How many were queued to be sent so far.
        receive_data: For the session: puts in bytes that arrived within the window; what they are a
            view of never changes.
    """

    def __init__(
        self, owner: StreamOwner, stream_id: int, request: RequestHead, *, is_server: bool
    ) -> None:
        self.id = stream_id
        self.request = request
        self.read_bytes = 0
        self.written_bytes = 0
        self._owner = owner
        self._is_server = is_server
        self._inbox = Inbox()
        self.receive_data = self._inbox.put
        self._outgoing = ByteQueue()
        self._send_buffer_bytes = MIN_SEND_BUFFER_BYTES
        self._response: ResponseHead | None = None
        self._error: StreamReset | SessionClosed | None = None
        self._receive_ended = False  # the peer's END_STREAM arrived
        self._send_closed = False  # close_write was called
        self._send_ended = False  # our END_STREAM is on its way
        self._writable = asyncio.Event()
        self._answered = asyncio.Event()
        self._closed = asyncio.Event()

    @property
    def is_closed(self) -> bool:
        """Whether both halves ended, or it was reset or lost; what arrived may be read yet."""
        return self._closed.is_set()

    @property
    def outcome(self) -> str:
        """How it ended: ``completed``, ``reset`` by either end, or ``lost`` with its session."""
        if isinstance(self._error, SessionClosed):
            return "lost"
        # NO_ERROR comes after a complete response to a request that still goes on.
        return "reset" if self._error is not None and self._error.error_code else "completed"

    @property
    def answer(self) -> ResponseHead | None:
        """The response's head, None before there is one."""
        return self._response

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.reset(reason="left before its end")

    # For both ends.

    async def read(self, max_bytes: int = READ_BYTES) -> bytes:
        """Read what has arrived, at least one byte, at most ``max_bytes``.

        Cancelling is safe: no byte is lost.

        Returns:
            The bytes; ``b""`` at the peer's end of stream, and only there.

        Raises:
            StreamReset: The stream was reset; bytes that had arrived before the peer's reset are
                read first.
            SessionClosed: The session ended before the peer's end of stream; what had arrived is
                read first.
        """
        if max_bytes < 1:
            raise ValueError(f"cannot read {max_bytes} bytes")
        inbox = self._inbox
        while not inbox.size:
            if self._receive_ended:
                return b""
            self._raise_error()
            await inbox.wait()
        # MUST be no await between here and the return, or a cancelled read would lose bytes.
        data = inbox.take(max_bytes)
        size = len(data)
        self.read_bytes += size
        self._owner.input_taken(self, size)
        return data

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Wait while too much waits for the peer's window, and queue bytes to be sent.

        Cancelling is safe: a piece of at most 64 KiB is queued whole or not at all, and what was
        queued is sent. Data of up to 64 KiB is one piece.

        Raises:
            StreamReset: The stream was reset by either end.
            SessionClosed: The session ended.
        """
        self._check_may_send()
        for piece in _pieces(data):
            if self._outgoing.size >= self._send_buffer_bytes:
                await self._wait_writable()
            self._outgoing.put(piece)
            self.written_bytes += len(piece)
            self._owner.output_ready(self)

    async def close_write(self) -> None:
        """End our half (END_STREAM), and wait until all that was written has been handed on.

        A second call does nothing but wait. Cancelling is safe: the end stays queued behind the
        bytes.

        Raises:
            StreamReset: The stream was reset before that.
            SessionClosed: The session ended before that.
        """
        if not self._send_closed:
            self._check_may_send()
            self._send_closed = True
            self._owner.output_ready(self)
        while not self._send_ended:
            self._raise_error()
            self._writable.clear()
            await self._writable.wait()

    async def flush(self) -> None:
        """Wait until all that was written has been handed on; then a reset drops none of it.

        Cancelling is safe.

        Raises:
            StreamReset: The stream was reset.
            SessionClosed: The session ended.
        """
        self._raise_error()
        while self._outgoing.size:
            self._writable.clear()
            await self._writable.wait()
            self._raise_error()

    def reset(self, error_code: int = CANCEL, reason: str = "reset by this end") -> None:
        """End both halves at once (RST_STREAM), and drop what is buffered.

        A stream that is closed stays as it is.

        Args:
            error_code: HTTP/2 error code (RFC 9113 §7), the only thing that the peer learns.
            reason: What callers of this end get as StreamReset.
        """
        if self.is_closed:
            return
        self._inbox.clear()
        self._receive_ended = False
        self._owner.reset(self, error_code=error_code)
        self.fail(StreamReset(error_code, reason))

    async def wait_closed(self) -> None:
        """Wait until both halves ended, or the stream was reset or lost; raises nothing."""
        await self._closed.wait()

    # For the server.

    async def respond(self, head: ResponseHead, *, end: bool = False) -> None:
        """Send the response's head, and with ``end`` our end of stream at once.

        Raises:
            HeadError: The head cannot be sent; nothing was sent, another may be tried.
            StreamReset: The stream was reset.
            SessionClosed: The session ended.
        """
        self._raise_error()
        if self._response is not None:
            raise AssertionError(f"stream {self.id} was answered twice")
        self._owner.respond(self, head, end=end)
        self._response = head
        if end:
            self._send_closed = True
            self.sent_end()

    # For the client.

    async def response(self) -> ResponseHead:
        """Wait for the response's head. Cancelling is safe.

        Raises:
            StreamReset: The stream was reset before the head arrived.
            SessionClosed: The session ended before.
        """
        while self._response is None:
            self._raise_error()
            self._answered.clear()
            await self._answered.wait()
        return self._response

    # For the session.

    @property
    def output_bytes(self) -> int:
        """Bytes that wait to be sent."""
        return self._outgoing.size

    @property
    def unread_bytes(self) -> int:
        """Bytes that arrived and that nobody has read yet."""
        return self._inbox.size

    @property
    def receive_ended(self) -> bool:
        """Whether the peer's end of stream arrived."""
        return self._receive_ended

    @property
    def send_closed(self) -> bool:
        """Whether our end of stream was said; it may still wait behind bytes."""
        return self._send_closed

    def take_output(self, window_bytes: int, max_bytes: int) -> tuple[list[Piece], int, bool]:
        """Take payload of DATA frames.

        Args:
            window_bytes: What the peer lets us send.
            max_bytes: At most so much is taken.

        Returns:
            The bytes, how many they are, and whether they are the last.
        """
        outgoing = self._outgoing
        size = outgoing.size
        # A turn is taken for each frame: calls of min and max would take a tenth of its time.
        if size > max_bytes:
            size = max_bytes
        if size > window_bytes:
            size = max(0, window_bytes)
        pieces = outgoing.take_pieces(size) if size else []
        # What the peer can take at once is worth being held ready for it.
        if window_bytes > self._send_buffer_bytes:
            self._send_buffer_bytes = min(window_bytes, MAX_SEND_BUFFER_BYTES)
        if outgoing.size < SEND_LOW_BYTES:
            self._writable.set()
        return pieces, size, self._send_closed and not outgoing.size

    def sent_end(self) -> None:
        """Note that our END_STREAM is on its way."""
        self._send_ended = True
        self._writable.set()
        self._close_if_both_ended()

    def receive_response(self, head: ResponseHead) -> None:
        """Put in the response's head."""
        self._response = head
        self._answered.set()

    def receive_end(self) -> None:
        """Put in the peer's end of stream."""
        self._receive_ended = True
        self._inbox.wake()
        self._close_if_both_ended()

    def fail(self, error: StreamReset | SessionClosed) -> None:
        """End the stream with an error; what arrived may be read yet. The first error stays."""
        if self.is_closed:
            return
        self._error = error
        self._outgoing.clear()
        self._inbox.wake()
        self._writable.set()
        self._answered.set()
        self._close()

    async def _wait_writable(self) -> None:
        while self._outgoing.size >= self._send_buffer_bytes:
            self._writable.clear()
            await self._writable.wait()
            self._check_may_send()

    def _check_may_send(self) -> None:
        self._raise_error()
        if self._send_closed:
            raise AssertionError(f"stream {self.id} was written to after its end")
        if self._is_server and self._response is None:
            raise AssertionError(f"stream {self.id} was written to before its response")

    def _close_if_both_ended(self) -> None:
        if self._send_ended and self._receive_ended:
            self._close()

    def _close(self) -> None:
        self._closed.set()
        self._owner.ended(self)

    def _raise_error(self) -> None:
        if self._error is None:
            return
        # A new exception each time: one that is raised twice would collect the tracebacks of both.
        if isinstance(self._error, SessionClosed):
            raise SessionClosed(self._error.reason)
        raise StreamReset(self._error.error_code, self._error.reason)


def _pieces(data: bytes | bytearray | memoryview) -> Iterable[bytes]:
    if isinstance(data, bytes) and len(data) <= _PIECE_BYTES:
        return (data,) if data else ()
    with memoryview(data).cast("B") as view:
        return [
            bytes(view[start : start + _PIECE_BYTES]) for start in range(0, len(view), _PIECE_BYTES)
        ]
