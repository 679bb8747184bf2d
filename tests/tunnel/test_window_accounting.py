"""Windows for receiving against a peer of plain h2, whose own count is what it may send.

What passes h2 here must be as if h2 had seen it: after each exchange both ends agree on every
window, what was sent is read once and in order, and one byte above a window ends the session.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from typing import TYPE_CHECKING

import h2.config
import h2.connection
import h2.events
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunnel.errors import ProtocolError, StreamReset, WindowExceeded
from tunnel.exchange import Exchange, Limits
from tunnel.flow import CONNECTION_WINDOW_BYTES
from tunnel.handlers import Handlers
from tunnel.heads import ResponseHead
from tunnel.protocol import Role

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tunnel.stream import Stream

pytestmark = pytest.mark.looptime

HEADERS = [(":method", "POST"), (":scheme", "https"), (":authority", "e"), (":path", "/")]
OK = ResponseHead(status=200)
DATA = 0x0
CANCEL = 0x8
MAX_FRAME_BYTES = 16_000


def frame(kind: int, payload: bytes, *, stream_id: int, flags: int = 0) -> bytes:
    """Write one HTTP/2 frame."""
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags])
    return head + stream_id.to_bytes(4, "big") + payload


@dataclasses.dataclass(slots=True)
class Call:
    """One stream, as the peer knows it."""

    stream: Stream
    sent: bytearray = dataclasses.field(default_factory=bytearray)
    read: bytearray = dataclasses.field(default_factory=bytearray)
    is_sized: bool = False  # its content-length has to come true
    has_ended: bool = False  # the peer's half
    is_answered: bool = False
    is_reset: bool = False


class _Owner:
    def peer_failed(self, error: ProtocolError) -> None:
        raise error

    def peer_left(self, reason: str) -> None:
        raise AssertionError(reason)

    def peer_drains(self) -> None:
        raise AssertionError("nobody drains")


class Server:
    """Our server's exchange, and a client of plain h2 that sends what its windows allow."""

    def __init__(self) -> None:
        self.streams: dict[int, Stream] = {}
        self.calls: dict[int, Call] = {}
        self.exchange = Exchange(
            role=Role.SERVER,
            limits=Limits(),
            handlers=Handlers(self._hold, max_running=64, session_name="test"),
            owner=_Owner(),
        )
        self.exchange.protocol.start()
        self._epoch = self.exchange.attach(peer_received_bytes=0)
        self.peer = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.peer.initiate_connection()
        # The peer's window must not be what ends first.
        self.peer.increment_flow_control_window(1 << 24)
        self._wire = bytearray()

    async def _hold(self, stream: Stream) -> None:
        self.streams[stream.id] = stream
        await stream.wait_closed()

    def run_in(self, tasks: asyncio.TaskGroup) -> None:
        """Run handlers in this group."""
        self.exchange.streams._handlers.run_in(tasks, ended=self.exchange.streams.handler_ended)

    # What the peer does.

    def collect(self) -> None:
        """Put what h2 wants to send behind what waits."""
        self._wire += self.peer.data_to_send()

    def put(self, wire: bytes) -> None:
        """Put bytes behind what waits, of which h2 does not know."""
        self._wire += wire

    def deliver(self, cuts: Iterable[int]) -> None:
        """Carry all that the peer has sent, in messages of these sizes."""
        self.collect()
        sizes = iter(cuts)
        while self._wire:
            size = next(sizes, 60_000)
            message = b"\x01" + bytes(self._wire[:size])
            del self._wire[:size]
            self.exchange.take_message(message, epoch=self._epoch)

    def answer(self) -> None:
        """Carry all that our end has to send."""
        while (message := self.exchange.next_message()) is not None:
            if message[0] == 1:
                for event in self.peer.receive_data(message[1:]):
                    if isinstance(event, h2.events.StreamReset):
                        self.calls[event.stream_id].is_reset = True
        self.collect()

    async def settle(self, cuts: Iterable[int] = ()) -> None:
        """Carry everything until neither end has more."""
        self.deliver(cuts)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self.answer()
        self.deliver(())
        self.answer()

    # What must be true when nothing is under way.

    def check(self) -> None:
        """Both ends agree on all windows; none is more than was promised, none dries up."""
        protocol = self.exchange.protocol
        flow = self.exchange.streams._flow
        in_all = protocol._data_path.connection_window
        assert in_all == self.peer.outbound_flow_control_window
        assert CONNECTION_WINDOW_BYTES * 3 // 4 < in_all <= CONNECTION_WINDOW_BYTES
        for stream_id, call in self.calls.items():
            if call.is_reset or call.has_ended:
                continue
            window, credit = flow._windows[stream_id], self.credit(stream_id)
            buffered = call.stream._inbox.size
            assert self.peer.streams[stream_id].outbound_flow_control_window == credit
            assert buffered == len(call.sent) - len(call.read)
            # What was taken and not given back is less than a quarter.
            assert window.size * 3 // 4 < credit + buffered <= window.size
        for stream_id, inbound in protocol._data_path.open_streams.items():
            assert stream_id in self.exchange.streams._streams
            h2_window = protocol._h2.streams[stream_id].inbound_flow_control_window
            assert inbound.window_bytes <= h2_window

    def credit(self, stream_id: int) -> int:
        """Return what our end lets the peer send on a stream."""
        protocol = self.exchange.protocol
        inbound = protocol._data_path.open_streams.get(stream_id)
        if inbound is not None:
            return inbound.window_bytes
        window: int = protocol._h2.streams[stream_id].inbound_flow_control_window
        return window


_STEP = st.tuples(
    st.sampled_from(
        [
            *("data", "padded", "plain", "fill", "read", "settle") * 2,
            *("open", "sized", "pour", "cancelled read", "respond", "widen", "write"),
            *("end", "reset by peer", "reset by us"),
        ]
    ),
    st.integers(0, 3),
    st.integers(1, 70_000),
)


class _Life:
    """Applies steps to a server and its peer."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._peer = server.peer
        self._number = 0

    def call(self, number: int) -> tuple[int, Call] | None:
        """Choose a stream that the peer still knows."""
        known = [item for item in self._server.calls.items() if not item[1].is_reset]
        return known[number % len(known)] if known else None

    async def open(self, *, length: int | None = None) -> None:
        """Open a stream, at most eight at once; with a length its DATA stays with h2."""
        server = self._server
        if sum(not call.is_reset for call in server.calls.values()) >= 8:
            return
        stream_id = self._peer.get_next_available_stream_id()
        more = [] if length is None else [("content-length", str(length))]
        self._peer.send_headers(stream_id, HEADERS + more)
        await server.settle()
        server.calls[stream_id] = Call(server.streams[stream_id], is_sized=length is not None)

    def send(self, stream_id: int, call: Call, size: int, *, padding: int | None = None) -> None:
        """Send what the windows allow, as one frame; nothing where they are used up."""
        own = 0 if padding is None else padding + 1
        size = min(size, MAX_FRAME_BYTES, self._peer.local_flow_control_window(stream_id) - own)
        if call.has_ended or size < 1:
            return
        self._number += 1
        data = bytes([self._number % 251]) * size
        self._peer.send_data(stream_id, data, pad_length=padding)
        call.sent += data

    async def take(self, step: str, number: int, size: int) -> None:  # noqa: C901
        """Do one step."""
        if step in ("open", "sized"):
            await self.open(length=None if step == "open" else 1 << 30)
            return
        if step == "settle":
            await self._server.settle([size % 977 + 1, size % 33 + 1, min(size, 60_000)])
            self._server.check()
            return
        chosen = self.call(number)
        if chosen is None:
            return
        stream_id, call = chosen
        if call.stream._error is not None:
            return
        match step:
            case "data" | "plain":
                self.send(stream_id, call, size)
            case "padded":
                self.send(stream_id, call, size, padding=size % 256)
            case "fill":
                for _ in range(5):
                    self.send(stream_id, call, size)
            case "pour":
                await self._pour(stream_id, call)
            case "read" if call.stream._inbox.size:
                call.read += await call.stream.read(size)
            case "cancelled read":
                await self._cancelled_read(call)
            case "respond" if not call.is_answered:
                await call.stream.respond(OK)
                call.is_answered = True
            case "write" if call.is_answered:
                await call.stream.write(bytes(size % 1_000))
            case "widen":
                self._peer.increment_flow_control_window(size, stream_id)
            case "end" if not call.has_ended and not call.is_sized:
                self.end(stream_id, call, size)
            case "reset by peer":
                self._peer.reset_stream(stream_id, CANCEL)
                call.is_reset = True
            case "reset by us":
                call.stream.reset()
                call.has_ended = True

    def end(self, stream_id: int, call: Call, size: int) -> None:
        """End the peer's half, with a last frame or without."""
        call.has_ended = True
        size = min(size, MAX_FRAME_BYTES, self._peer.local_flow_control_window(stream_id))
        data = bytes([7]) * max(0, size)
        self._peer.send_data(stream_id, data, end_stream=True)
        call.sent += data

    async def _pour(self, stream_id: int, call: Call) -> None:
        for _ in range(50):
            self.send(stream_id, call, MAX_FRAME_BYTES)
            self._server.deliver(())
            while call.stream._inbox.size:
                call.read += await call.stream.read()
            self._server.answer()

    async def _cancelled_read(self, call: Call) -> None:
        if call.stream._inbox.size or call.has_ended:
            return
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(self._read(call))
            await asyncio.sleep(0)
            self._server.deliver(())
            reading.cancel()

    async def _read(self, call: Call) -> None:
        with contextlib.suppress(StreamReset):
            call.read += await call.stream.read()


_STEPS = st.lists(_STEP, max_size=10) | st.lists(_STEP, min_size=40, max_size=120)


async def _live(server: Server, steps: list[tuple[str, int, int]]) -> None:
    life = _Life(server)
    await life.open()
    for step, number, size in steps:
        await life.take(step, number, size)
        for call in server.calls.values():
            assert call.sent.startswith(call.read)
    await server.settle()
    server.check()


@settings(deadline=None, max_examples=150)
@given(_STEPS)
async def test_both_ends_agree_on_every_window(steps: list[tuple[str, int, int]]) -> None:
    """Whatever is sent, padded, cut, read, cancelled, ended or reset."""
    server = Server()
    async with asyncio.TaskGroup() as tasks:
        server.run_in(tasks)
        await _live(server, steps)
        # Everything that came is read, and the windows are whole again.
        for call in server.calls.values():
            while call.stream._inbox.size:
                call.read += await call.stream.read()
            if call.stream._error is None:
                assert call.read == call.sent
        await server.settle()
        server.check()
        assert not any(call.stream._inbox.size for call in server.calls.values())
        server.exchange.end("the test is over")


_FORMS = st.sampled_from(["plain", "cut", "last", "padded", "padding alone"])


def above(stream_id: int, credit: int, last: str) -> list[bytes]:
    """Write DATA that takes one byte more than the credit; the last frame has a form of its own."""
    own = {"padded": 2, "padding alone": 41}.get(last, 1)
    frames, left = [], credit + 1 - own
    while left > 0:
        size = min(left, MAX_FRAME_BYTES)
        frames.append(frame(DATA, bytes(size), stream_id=stream_id))
        left -= size
    # Where the padding does not fit beside it, it alone is above the window.
    match last:
        case "plain" | "cut":
            frames.append(frame(DATA, b"x", stream_id=stream_id))
        case "last":
            frames.append(frame(DATA, b"x", stream_id=stream_id, flags=0x1))
        case "padded":
            frames.append(frame(DATA, b"\x00x", stream_id=stream_id, flags=0x8))
        case _:
            frames.append(frame(DATA, b"\x28" + bytes(40), stream_id=stream_id, flags=0x8))
    return frames


@settings(deadline=None, max_examples=150)
@given(_STEPS, _FORMS)
async def test_one_byte_above_a_window_ends_the_session(
    steps: list[tuple[str, int, int]], last: str
) -> None:
    """Whatever went before, and whether that byte passes h2 or not; as far as it no frame does."""
    server = Server()
    async with asyncio.TaskGroup() as tasks:
        server.run_in(tasks)
        await _live(server, steps)
        for stream_id, call in server.calls.items():
            if call.stream._error is None and not call.has_ended:
                *within, over = above(stream_id, server.credit(stream_id), last)
                for one in within:
                    server.put(one)
                    server.deliver(())
                server.put(over)
                with pytest.raises(WindowExceeded):
                    server.deliver([5, 5] if last == "cut" else [])
                break
        server.exchange.end("the test is over")


@settings(deadline=None, max_examples=100)
@given(_STEPS, _FORMS)
async def test_what_was_under_way_at_a_reset_may_come_and_no_more(
    steps: list[tuple[str, int, int]], last: str
) -> None:
    """The peer learns of a reset late; its window is what it may have sent until then."""
    server = Server()
    async with asyncio.TaskGroup() as tasks:
        server.run_in(tasks)
        await _live(server, steps)
        path = server.exchange.protocol._data_path
        for stream_id, call in server.calls.items():
            if call.stream._error is None and not call.has_ended:
                credit, before = server.credit(stream_id), path._late_bytes
                call.stream.reset()
                assert path._late_bytes == min(before + credit, path.connection_window)
                *within, over = above(stream_id, path._late_bytes, last)
                for one in within:
                    server.put(one)
                    server.deliver(())
                    server.answer()
                server.put(over)
                with pytest.raises(WindowExceeded, match="ended streams"):
                    server.deliver([5, 5] if last == "cut" else [])
                break
        server.exchange.end("the test is over")
