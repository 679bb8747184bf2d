"""The frames of one message: delivered where somebody asked for them, reported where nobody did."""

from __future__ import annotations

import h2.config
import h2.connection
import pytest

from tunnel.data_path import DataPath
from tunnel.errors import WindowExceeded
from tunnel.events import DataArrived, EndArrived, Event, PeerLeft, RequestArrived, WindowOpened
from tunnel.frame_receiver import FrameReceiver
from tunnel.frames import FrameGuard
from tunnel.translation import Translation

HEADERS = [(":method", "POST"), (":scheme", "https"), (":authority", "e"), (":path", "/")]
DATA, RST_STREAM, GOAWAY, WINDOW_UPDATE = 0, 3, 7, 8
END_STREAM, PADDED = 0x1, 0x8
WINDOW_BYTES = 65_535


def frame(kind: int, payload: bytes, *, stream_id: int = 1, flags: int = 0) -> bytes:
    """Write one HTTP/2 frame."""
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags])
    return head + stream_id.to_bytes(4, "big") + payload


class Server:
    """A server's side of one connection, with what it was told."""

    def __init__(self) -> None:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        self.reset: list[int] = []
        self.peer_left = 0
        self.path = DataPath(connection)
        translation = Translation(
            connection, is_client=False, data_path=self.path, head_requests=set()
        )
        self._guard = FrameGuard(from_client=True)
        self._receiver = FrameReceiver(
            connection, self.path, translation, reset=self.reset.append, peer_left=self._left
        )
        self.client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.client.initiate_connection()

    def _left(self) -> None:
        self.peer_left += 1

    def take(self, wire: bytes) -> list[Event]:
        """Take one message."""
        data = memoryview(wire)
        return self._receiver.take(data, self._guard.receive_data(data, now=0.0))

    def open(self, *, streams: int = 1) -> None:
        """Let the client open streams, the first with the id 1."""
        for number in range(streams):
            self.client.send_headers(2 * number + 1, HEADERS)
        events = self.take(self.client.data_to_send())
        assert sum(type(event) is RequestArrived for event in events) == streams


@pytest.fixture
def server() -> Server:
    """A server with two streams open."""
    server = Server()
    server.open(streams=2)
    return server


def test_what_nobody_asked_for_is_reported(server: Server) -> None:
    """Frames of a stream that follow each other as one."""
    wire = frame(DATA, b"ab") + frame(DATA, b"c") + frame(DATA, b"x", stream_id=3)
    wire += frame(DATA, b"d")
    events = server.take(wire)
    assert [(e.stream_id, bytes(e.data), e.credit) for e in events if type(e) is DataArrived] == [
        (1, b"abc", 3),
        (3, b"x", 1),
        (1, b"d", 1),
    ]


def test_what_was_asked_for_is_delivered_in_order(server: Server) -> None:
    """Whether h2 saw the frame or not; only padding and the end are left to report."""
    delivered: list[bytes] = []
    server.path.deliver(1, lambda data: delivered.append(bytes(data)))
    wire = frame(DATA, b"a") + frame(DATA, b"\x03b" + bytes(3), flags=PADDED)
    wire += frame(DATA, b"c") + frame(DATA, b"x", stream_id=3)
    events = server.take(wire + frame(DATA, b"d", flags=END_STREAM))
    assert delivered == [b"a", b"b", b"c", b"d"]
    assert EndArrived(1) in events
    reported = [e for e in events if type(e) is DataArrived]
    assert b"".join(bytes(e.data) for e in reported) == b"x"
    assert sum(e.credit for e in reported if e.stream_id == 1) == len(b"\x03" + bytes(3))


def test_data_beside_its_streams_head_is_reported() -> None:
    """Nobody can have asked for it yet; from the next message on it is delivered."""
    server = Server()
    server.client.send_headers(1, HEADERS)
    events = server.take(server.client.data_to_send() + frame(DATA, b"early"))
    assert [type(event) for event in events][-2:] == [RequestArrived, DataArrived]
    delivered: list[bytes] = []
    server.path.deliver(1, lambda data: delivered.append(bytes(data)))
    assert server.take(frame(DATA, b"late")) == []
    assert delivered == [b"late"]
    server.path.stop_delivering(1)


@pytest.mark.parametrize("flags", [0, END_STREAM])
def test_a_window_is_one_for_frames_that_h2_sees_and_others(server: Server, flags: int) -> None:
    """h2 alone would take it for larger than it is."""
    size = 16_000
    for _ in range(4):
        server.take(frame(DATA, bytes(size)))
    server.take(frame(DATA, bytes(WINDOW_BYTES - 4 * size)))
    server.path.grant(0, WINDOW_BYTES)
    with pytest.raises(WindowExceeded, match="stream 1"):
        server.take(frame(DATA, b"x", flags=flags))


def test_window_updates_are_taken_without_h2(server: Server) -> None:
    """And reported, so that who waits for the window goes on."""
    before = server.path.send_window(1)
    assert server.take(frame(WINDOW_UPDATE, (5).to_bytes(4, "big"))) == [WindowOpened(1)]
    # The connection's window is the smaller one now.
    assert server.path.send_window(1) == before


def test_a_reset_stream_is_told_before_its_event(server: Server) -> None:
    """What is kept for it can go."""
    server.take(frame(RST_STREAM, (8).to_bytes(4, "big")))
    assert server.reset == [1]


def test_nothing_behind_goaway_is_looked_at(server: Server) -> None:
    """The peer's reason is the last word."""
    goaway = frame(GOAWAY, bytes(8) + b"bye", stream_id=0)
    events = server.take(frame(DATA, b"a") + goaway + frame(DATA, bytes(100)))
    assert [type(event) for event in events] == [DataArrived, PeerLeft]
    assert server.peer_left == 1
