"""What goes into the next message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tunnel.events import DataArrived
from tunnel.outbox import Outbox
from tunnel.pipe import MAX_MESSAGE_BYTES, MAX_UNACKNOWLEDGED_BYTES, Data, Pipe, encode_drain
from tunnel.protocol import Protocol, RequestHead, ResponseHead, Role
from tunnel.schedule import MAX_FRAME_BYTES
from tunnel.stream import Stream

if TYPE_CHECKING:
    from tunnel.events import Event

GET = RequestHead(method="GET", path="/")


class Owner:
    """What streams ask of their session; here only turns matter."""

    def __init__(self, outbox: Outbox, protocol: Protocol) -> None:
        self._outbox = outbox
        self._protocol = protocol
        self.ended_ids: list[int] = []

    def output_ready(self, stream: Stream) -> None:
        """Queue it."""
        self._outbox.ready(stream)

    def input_taken(self, stream: Stream, size: int) -> None:
        """Count nothing."""

    def respond(self, stream: Stream, head: ResponseHead, *, end: bool) -> None:
        """Send it."""
        self._protocol.send_response(stream.id, head, end=end)

    def reset(self, stream: Stream, *, error_code: int) -> None:
        """Send it."""
        self._protocol.reset_stream(stream.id, error_code=error_code)

    def ended(self, stream: Stream) -> None:
        """Forget it."""
        self.ended_ids.append(stream.id)
        self._outbox.forget(stream.id)


class Ends:
    """A client with its outbox, and a server that takes the messages."""

    def __init__(self) -> None:
        self.client = Protocol(Role.CLIENT)
        self.server = Protocol(Role.SERVER)
        self.client_pipe = Pipe()
        self.server_pipe = Pipe()
        for pipe in (self.client_pipe, self.server_pipe):
            pipe.attach(peer_received_bytes=0)
        self.outbox = Outbox(self.client, self.client_pipe)
        self.owner = Owner(self.outbox, self.client)
        self.client.start()
        self.server.start()
        self.answer()

    def answer(self) -> None:
        """Carry what the server has for the client, uncounted."""
        output = b"".join(self.server.take_output(1 << 20))
        self.client.receive_data(memoryview(output), now=0.0)

    def open(self) -> Stream:
        """Open a stream at the client."""
        return Stream(self.owner, self.client.send_request(GET), GET, is_server=False)

    def next(self, *, with_data: bool = True) -> tuple[int, list[Event]]:
        """Carry the next message to the server; returns its size and what it meant."""
        message = self.outbox.next_message(now=0.0, with_data=with_data)
        if message is None:
            return 0, []
        received = self.server_pipe.receive_message(message, epoch=1, now=0.0)
        assert isinstance(received, Data)
        return len(message), self.server.receive_data(received.payload, now=0.0)


async def test_message_is_filled_with_whole_frames_of_streams_in_turn() -> None:
    """Four frames fit; two streams share them."""
    ends = Ends()
    ends.next()
    streams = [ends.open(), ends.open()]
    for stream in streams:
        await stream.write(bytes(60_000))
    ends.next(with_data=False)
    size, events = ends.next()
    assert size <= MAX_MESSAGE_BYTES
    # A stream that is new goes first until it has sent a burst; then both take turns.
    sizes = [(e.stream_id, len(e.data)) for e in events if isinstance(e, DataArrived)]
    assert sizes == [
        (1, MAX_FRAME_BYTES),
        (3, MAX_FRAME_BYTES),
        (1, MAX_FRAME_BYTES),
        (3, MAX_FRAME_BYTES),
    ]


async def test_window_is_kept_and_opens_again() -> None:
    """What does not fit into the peer's window waits for it, then goes on where it was."""
    ends = Ends()
    stream = ends.open()
    sent = 0
    for _ in range(3):
        await stream.write(bytes(30_000))
        while True:
            size, events = ends.next()
            sent += sum(len(e.data) for e in events if isinstance(e, DataArrived))
            if not size:
                break
    assert sent == 64 << 10
    assert stream.output_bytes == 90_000 - (64 << 10)
    ends.outbox.ready(stream)
    assert ends.next()[0] == 0
    ends.server.grant(stream.id, 1 << 20)
    ends.answer()
    ends.outbox.window_opened(stream.id)
    _, events = ends.next()
    assert sum(len(e.data) for e in events if isinstance(e, DataArrived)) == 90_000 - (64 << 10)
    assert not stream.output_bytes


async def test_end_needs_no_window_and_ends_the_stream() -> None:
    """An empty frame with END_STREAM."""
    ends = Ends()
    stream = ends.open()
    await stream.write(bytes(64 << 10))
    while ends.next()[0]:
        pass
    stream.receive_end()
    stream._send_closed = True
    ends.outbox.ready(stream)
    size, _ = ends.next()
    assert size == 1 + 9
    assert ends.owner.ended_ids == [stream.id]


async def test_body_of_the_wrong_length_resets_its_stream() -> None:
    """The session goes on."""
    ends = Ends()
    head = RequestHead(method="POST", path="/", headers=(("content-length", "2"),))
    stream = Stream(ends.owner, ends.client.send_request(head), head, is_server=False)
    await stream.write(b"abc")
    ends.next()
    assert stream.is_closed
    assert ends.next()[0] == 0


def test_drain_goes_first_and_ack_before_it() -> None:
    """Both pass when no DATA may."""
    ends = Ends()
    ends.outbox.send_first(encode_drain(1))
    ends.client_pipe.receive_message(b"\x01x", epoch=1, now=0.0)
    ends.client_pipe.sent_bytes = MAX_UNACKNOWLEDGED_BYTES
    kinds = []
    while message := ends.outbox.next_message(now=1.0, with_data=True):
        kinds.append(message[0])
    assert kinds == [2, 3]
    assert ends.client.output_bytes


@pytest.mark.parametrize("forget", [True, False])
async def test_forgotten_streams_send_nothing(forget: bool) -> None:
    """Whether queued or blocked."""
    ends = Ends()
    ends.next()
    stream = ends.open()
    ends.next(with_data=False)
    await stream.write(b"x")
    if forget:
        ends.outbox.forget(stream.id)
    assert bool(ends.next()[0]) is not forget
