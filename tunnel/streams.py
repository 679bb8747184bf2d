"""Streams: all streams of one session, between the protocol's events and their callers.

Every function here returns at once: the session's reader calls the ``on_…`` ones for what arrived,
streams call the rest for what their callers want.
"""

from __future__ import annotations

import asyncio
import collections
import weakref
from typing import TYPE_CHECKING, Any

from tunnel.errors import HeadError, SessionClosed, StreamReset
from tunnel.events import (
    DataArrived,
    EndArrived,
    RequestArrived,
    ResetArrived,
    ResponseArrived,
    SettingsArrived,
    WindowOpened,
)
from tunnel.protocol import Protocol, RequestHead, ResponseHead, Role, error_name
from tunnel.stream import REFUSED_STREAM, Stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunnel.flow import ReceiveFlow
    from tunnel.handlers import Handlers
    from tunnel.liveness import Liveness
    from tunnel.outbox import Outbox
    from tunnel.slots import StreamSlots


class Streams:
    """The open streams and what they have taken: slots, windows, turns, handlers.

    Args:
        role: Of this end.
        protocol: Sends and receives frames.
        outbox: Gives turns to streams that have something to send.
        flow: Holds the receive windows.
        slots: Counts the streams that the client may open.
        handlers: Answer the streams that the client opened.
        liveness: Knows the round trip, and is asked for PINGs that measure it.
        wake: Is called when there may be something to send.

    Attributes:
        ended_streams: How many have ended, by ``Stream.outcome``.
    """

    def __init__(
        self,
        *,
        role: Role,
        protocol: Protocol,
        outbox: Outbox,
        flow: ReceiveFlow,
        slots: StreamSlots,
        handlers: Handlers,
        liveness: Liveness,
        wake: Callable[[], None],
    ) -> None:
        self._role = role
        self._protocol = protocol
        self._outbox = outbox
        self._flow = flow
        self._slots = slots
        self._handlers = handlers
        self._liveness = liveness
        self._wake = wake
        self._streams: dict[int, Stream] = {}
        self._one_ended = asyncio.Event()
        # Ended, but perhaps not read to their end; as long as a caller holds them.
        self._unread: weakref.WeakSet[Stream] = weakref.WeakSet()
        self.ended_streams: collections.Counter[str] = collections.Counter()
        self._refuses = False
        self._is_paused = True
        self._peer_allows = 0
        self.reactions: dict[type, Callable[[Any], None]] = {
            DataArrived: self.on_data,
            WindowOpened: self.on_window,
            EndArrived: self.on_end,
            RequestArrived: self.on_request,
            ResponseArrived: self.on_response,
            ResetArrived: self.on_reset,
            SettingsArrived: self.on_settings,
        }

    def __len__(self) -> int:
        return len(self._streams)

    # For the session.

    async def open(self, head: RequestHead) -> Stream:
        """Wait for a slot, and open a stream. Cancelling is safe: no stream is opened.

        There is no slot while the session is interrupted.

        Raises:
            HeadError: The head cannot be sent, or the peer does not do extended CONNECT.
            SessionClosed: No streams are opened any more, or too many calls wait already.
        """
        await self._slots.acquire()
        try:
            stream_id = self._send_request(head)
        except BaseException:
            self._slots.release()
            raise
        return self._add(stream_id, head)

    async def wait_idle(self) -> None:
        """Wait until no stream is open and no handler runs."""
        while self._streams or len(self._handlers):
            self._one_ended.clear()
            await self._one_ended.wait()

    def handler_ended(self) -> None:
        """Look again whether all is idle."""
        self._one_ended.set()

    def pause(self) -> None:
        """Let calls wait for a slot until ``resume``; what is open stays open."""
        self._is_paused = True
        self._slots.allow(0)

    def resume(self) -> None:
        """Hand out slots again."""
        self._is_paused = False
        self._slots.allow(self._peer_allows)

    def stop_opening(self, reason: str) -> None:
        """Open no streams any more; the first reason stays."""
        self._slots.close(reason)

    def stop_answering(self) -> None:
        """Refuse the streams that the client opens from now on."""
        self._refuses = True

    def fail_all(self, reason: str) -> None:
        """End all streams with SessionClosed."""
        self.stop_opening(reason)
        for stream in list(self._streams.values()):
            stream.fail(SessionClosed(reason))
        self._one_ended.set()

    # What arrived.

    def on_data(self, event: DataArrived) -> None:
        """Put in bytes that came in the message that opened the stream, and give padding back."""
        stream = self._streams.get(event.stream_id)
        if stream is None:
            return
        if event.data:
            stream.receive_data(event.data)
        padding = event.credit - len(event.data)
        if padding:
            self.input_taken(stream, padding)

    def on_end(self, event: EndArrived) -> None:
        """Tell a stream that its peer's half ended."""
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            stream.receive_end()

    def on_request(self, event: RequestArrived) -> None:
        """Start to answer a stream that the client opened, or refuse it."""
        stream = self._add(event.stream_id, event.head)
        if self._refuses or not self._handlers.start(stream):
            stream.reset(REFUSED_STREAM, "refused")

    def on_response(self, event: ResponseArrived) -> None:
        """Hand a response's head to its stream."""
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            stream.receive_response(event.head)

    def on_reset(self, event: ResetArrived) -> None:
        """End a stream with an error."""
        stream = self._streams.get(event.stream_id)
        if stream is None:
            return
        self._handlers.stream_failed(stream.id)
        by = "reset by peer" if event.by_peer else "reset for a fault of the peer"
        stream.fail(StreamReset(event.error_code, f"{by} ({error_name(event.error_code)})"))

    def on_window(self, event: WindowOpened) -> None:
        """Give turns again to what waited for a window."""
        self._outbox.window_opened(event.stream_id)
        self._wake()

    def on_settings(self, _event: SettingsArrived) -> None:
        """Take what the peer allows: streams, and windows."""
        self._peer_allows = self._protocol.peer_max_streams
        self._slots.allow(self._peer_allows)
        self._outbox.window_opened(0)
        self._wake()

    # What streams ask for (StreamOwner).

    def output_ready(self, stream: Stream) -> None:
        """Queue a stream's bytes or end."""
        if stream.id in self._streams:
            self._outbox.ready(stream)
            self._wake()

    def input_taken(self, stream: Stream, size: int) -> None:
        """Return credit for what a reader took, and measure the round trip meanwhile."""
        if not self._flow.taken(stream.id, size):
            return
        now = asyncio.get_running_loop().time()
        credit = self._flow.credit(
            stream.id,
            now=now,
            round_trip_s=self._liveness.round_trip_s,
            unread_bytes=sum(ended.unread_bytes for ended in self._unread),
        )
        if not credit or stream.receive_ended:
            return
        self._protocol.grant(stream.id, credit)
        opaque = None if self._is_paused else self._liveness.probing_ping(now=now)
        if opaque is not None:
            self._protocol.ping(opaque)
        self._wake()

    def respond(self, stream: Stream, head: ResponseHead, *, end: bool) -> None:
        """Send a response head."""
        self._protocol.send_response(stream.id, head, end=end)
        self._wake()

    def reset(self, stream: Stream, *, error_code: int) -> None:
        """Send RST_STREAM."""
        self._protocol.reset_stream(stream.id, error_code=error_code)
        self._wake()

    def ended(self, stream: Stream) -> None:
        """Let go of a stream that has ended."""
        if self._streams.pop(stream.id, None) is None:
            return
        self.ended_streams[stream.outcome] += 1
        self._outbox.forget(stream.id)
        self._flow.close(stream.id)
        self._protocol.stop_delivering(stream.id)
        if stream.unread_bytes:
            self._unread.add(stream)
        if self._role is Role.CLIENT:
            self._slots.release()
        self._one_ended.set()

    def _send_request(self, head: RequestHead) -> int:
        if head.protocol is not None and not self._protocol.connect_allowed:
            raise HeadError("the peer's settings do not allow extended CONNECT")
        return self._protocol.send_request(head)

    def _add(self, stream_id: int, head: RequestHead) -> Stream:
        stream = Stream(self, stream_id, head, is_server=self._role is Role.SERVER)
        self._streams[stream_id] = stream
        self._flow.open(stream_id, now=asyncio.get_running_loop().time())
        self._protocol.deliver(stream_id, stream.receive_data)
        self._wake()
        return stream
