"""Our HTTP/2 profile: two ends that talk to each other, and peers that break the rules."""

from __future__ import annotations

import contextlib
import struct

import h2.config
import h2.connection
import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunnel.errors import ExcessiveLoad, FrameTooLarge, HeadError, ProtocolError, WindowExceeded
from tunnel.events import (
    DataArrived,
    EndArrived,
    Event,
    PeerLeft,
    PingAnswered,
    RequestArrived,
    ResetArrived,
    ResponseArrived,
    SettingsArrived,
    WindowOpened,
)
from tunnel.flow import CONNECTION_WINDOW_BYTES, START_WINDOW_BYTES
from tunnel.frames import IDLE_FRAMES_BURST, PREFACE
from tunnel.heads import RequestHead, ResponseHead
from tunnel.protocol import Protocol, Role, error_name

GET = RequestHead(method="GET", path="/pods")
OK = ResponseHead(status=200)
DATA, HEADERS, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 4, 5, 6, 7, 8
END_STREAM, END_HEADERS, ACK, PADDED = 0x1, 0x4, 0x1, 0x8


def frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream_id: int = 0) -> bytes:
    """Write one HTTP/2 frame."""
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags])
    return head + stream_id.to_bytes(4, "big") + payload


def output(source: Protocol, *, max_bytes: int = 1 << 16) -> bytes:
    """Take what is to go out."""
    return b"".join(source.take_output(max_bytes))


def move(source: Protocol, target: Protocol) -> list[Event]:
    """Carry all output of one end to the other."""
    events: list[Event] = []
    while source.output_bytes:
        events += target.receive_data(memoryview(output(source)), now=0.0)
    return events


def ends(*, max_streams: int = 256) -> tuple[Protocol, Protocol]:
    """Make a client and a server that have exchanged their settings."""
    client = Protocol(Role.CLIENT, max_streams=max_streams)
    server = Protocol(Role.SERVER, max_streams=max_streams)
    client.start()
    server.start()
    move(client, server)
    assert SettingsArrived() in move(server, client)
    move(client, server)
    return client, server


def opened(client: Protocol, server: Protocol, head: RequestHead = GET) -> int:
    """Open a stream on both ends."""
    stream_id = client.send_request(head)
    (event,) = move(client, server)
    assert isinstance(event, RequestArrived)
    assert event.stream_id == stream_id
    return stream_id


def server_and_raw_client() -> Protocol:
    """Make a server whose client is bytes of the test."""
    server = Protocol(Role.SERVER)
    server.start()
    server.receive_data(memoryview(PREFACE + frame(SETTINGS)), now=0.0)
    server.take_output(1 << 20)
    return server


def head_block(*headers: tuple[str, str]) -> bytes:
    """Encode a header block as a client would."""
    request = [(":method", "GET"), (":scheme", "https"), (":authority", "e"), (":path", "/")]
    return hpack.Encoder().encode([*request, *headers])


def goaway_code(protocol: Protocol) -> int:
    """Return the error code of the GOAWAY at the end of the output."""
    sent = output(protocol, max_bytes=1 << 20)
    frames = []
    while sent:
        length = int.from_bytes(sent[:3], "big")
        frames.append((sent[3], sent[9 : 9 + length]))
        sent = sent[9 + length :]
    kind, payload = frames[-1]
    assert kind == GOAWAY
    assert [kind for kind, _ in frames].count(GOAWAY) == 1
    return int(struct.unpack_from(">I", payload, 4)[0])


def test_settings_are_the_profile() -> None:
    """256 streams, 64 KiB windows, extended CONNECT towards the server only."""
    client, server = ends()
    assert client.connect_allowed
    assert not server.connect_allowed
    assert client.peer_max_streams == 256
    assert client.connection_send_window == CONNECTION_WINDOW_BYTES
    stream_id = opened(client, server)
    assert client.send_window(stream_id) == START_WINDOW_BYTES


def test_request_and_response_travel() -> None:
    """Heads, bytes and both ends of stream, in order."""
    client, server = ends()
    stream_id = opened(client, server)
    client.send_data(stream_id, [b"question"], len(b"question"), end=True)
    assert move(client, server) == [
        DataArrived(stream_id, b"question", 8),
        EndArrived(stream_id),
    ]
    server.send_response(stream_id, OK, end=False)
    server.send_data(stream_id, [b"answer"], len(b"answer"), end=False)
    server.send_data(stream_id, [b""], len(b""), end=True)
    assert move(server, client) == [
        ResponseArrived(stream_id, OK),
        DataArrived(stream_id, b"answer", 6),
        DataArrived(stream_id, b"", 0),
        EndArrived(stream_id),
    ]


def test_upgrade_travels_as_extended_connect() -> None:
    """With its token, its method header, and repeats."""
    client, server = ends()
    head = RequestHead(
        method="CONNECT",
        path="/exec/ns/p/c?command=sh",
        headers=(("edgelet-method", "POST"), ("x-v", "v4"), ("x-v", "v3")),
        protocol="SPDY/3.1",
    )
    client.send_request(head)
    assert move(client, server) == [RequestArrived(1, head)]


def test_resets_carry_their_code_both_ways() -> None:
    """By the peer, and once only."""
    client, server = ends()
    first, second = opened(client, server), opened(client, server)
    client.reset_stream(first, error_code=8)
    client.reset_stream(first, error_code=2)
    assert move(client, server) == [ResetArrived(first, 8, by_peer=True)]
    server.reset_stream(second, error_code=2)
    assert move(server, client) == [ResetArrived(second, 2, by_peer=True)]
    assert (error_name(8), error_name(0x77)) == ("CANCEL", "0x77")


def test_window_updates_open_windows() -> None:
    """Of one stream; a grant on a stream that ended is nothing."""
    client, server = ends()
    stream_id = opened(client, server)
    server.grant(stream_id, 1000)
    assert move(server, client) == [WindowOpened(stream_id)]
    assert client.send_window(stream_id) == START_WINDOW_BYTES + 1000
    client.reset_stream(stream_id, error_code=8)
    move(client, server)
    server.grant(stream_id, 1000)
    server.grant(99, 1000)
    assert server.output_bytes == 0


def test_pings_are_answered() -> None:
    """By h2 itself."""
    client, server = ends()
    client.ping(b"12345678")
    assert move(client, server) == []
    assert move(server, client) == [PingAnswered(b"12345678")]


def test_credit_of_bytes_for_a_reset_stream_goes_back_to_the_connection() -> None:
    """Else each cancelled download would make the session slower for ever."""
    client, server = ends()
    received = 0
    while received < 2 * CONNECTION_WINDOW_BYTES:
        stream_id = opened(client, server)
        for _ in range(4):
            client.send_data(stream_id, [bytes(16_000)], len(bytes(16_000)), end=False)
        server.reset_stream(stream_id, error_code=8)
        move(client, server)
        move(server, client)
        received += 64_000
    assert client.connection_send_window >= CONNECTION_WINDOW_BYTES // 2


def reset_server(*, window: int) -> Protocol:
    """Make a server that has reset its only stream, whose window was so large."""
    server = server_and_raw_client()
    server.receive_data(
        memoryview(frame(HEADERS, head_block(), flags=END_HEADERS, stream_id=1)), now=0.0
    )
    server.grant(1, window - START_WINDOW_BYTES)
    server.reset_stream(1, error_code=8)
    server.reset_stream(1, error_code=8)
    server.take_output(1 << 10)
    return server


def test_a_whole_window_that_was_under_way_at_a_reset_is_no_fault() -> None:
    """Eight megabytes of a cancelled download; the connection's credit comes back."""
    server = reset_server(window=8 << 20)
    data = frame(DATA, bytes(1 << 14), stream_id=1) * 4
    for _ in range((8 << 20) // (1 << 16)):
        assert server.receive_data(memoryview(data), now=0.0) == []
    assert output(server, max_bytes=1 << 20).count(b"\x00\x00\x04\x08\x00\x00\x00\x00\x00") == 2


@pytest.mark.parametrize(
    ("late", "cut"),
    [
        pytest.param(frame(DATA, bytes(100), stream_id=1), 999, id="plain"),
        pytest.param(frame(DATA, bytes(100), stream_id=1), 5, id="cut in its header"),
        pytest.param(frame(DATA, bytes(100), stream_id=1), 20, id="cut in its payload"),
        pytest.param(frame(DATA, bytes(100), flags=END_STREAM, stream_id=1), 999, id="last"),
        pytest.param(frame(DATA, b"c" + bytes(99), flags=PADDED, stream_id=1), 999, id="padding"),
    ],
)
def test_data_without_end_on_a_stream_that_was_reset(late: bytes, cut: int) -> None:
    """It is answered while it may have been under way, and then no more."""
    server = reset_server(window=70_000)
    allowed = 70_000 + START_WINDOW_BYTES
    assert receive_until_a_fault(server, late, cut=cut) == allowed // 100
    assert goaway_code(server) == 3


def receive_until_a_fault(server: Protocol, late: bytes, *, cut: int) -> int:
    """Let a frame come in two pieces, again and again; returns how many were taken."""
    number = 0
    with contextlib.suppress(WindowExceeded):
        while number < 10_000:
            server.receive_data(memoryview(late)[:cut], now=0.0)
            server.receive_data(memoryview(late)[cut:], now=0.0)
            number += 1
            assert server.output_bytes <= 13  # each is answered with one RST_STREAM at most
            server.take_output(1 << 10)
    return number


def test_a_server_ends_each_stream_once() -> None:
    """Also one that was reset meanwhile; nothing more of it comes without end."""
    client, server = ends()
    for _ in range(3):
        stream_id = opened(client, server)
        server.send_response(stream_id, OK, end=False)
        server.send_data(stream_id, [], 0, end=True)
        client.reset_stream(stream_id, error_code=8)
        move(server, client)
        move(client, server)
    end = frame(DATA, flags=END_STREAM, stream_id=stream_id)
    with pytest.raises(ExcessiveLoad):
        client.receive_data(memoryview(end * (IDLE_FRAMES_BURST + 1)), now=0.0)
    assert goaway_code(client) == 11


@pytest.mark.parametrize("end", [True, False])
@pytest.mark.parametrize("is_reset", [True, False])
def test_data_without_end_on_a_stream_that_its_peer_has_ended(end: bool, is_reset: bool) -> None:
    """It never was allowed; a little is forgiven for the stream's sake (RFC 9113 §5.1)."""
    server = server_and_raw_client()
    flags = END_HEADERS if is_reset else END_HEADERS | END_STREAM
    server.receive_data(memoryview(frame(HEADERS, head_block(), flags=flags, stream_id=1)), now=0.0)
    if is_reset:
        server.receive_data(memoryview(frame(3, bytes(4), stream_id=1)), now=0.0)
    data = frame(DATA, bytes(1 << 14), stream_id=1, flags=END_STREAM if end else 0)
    for _ in range(START_WINDOW_BYTES // (1 << 14)):
        server.receive_data(memoryview(data), now=0.0)
    with pytest.raises(WindowExceeded, match="ended streams"):
        server.receive_data(memoryview(frame(DATA, b"x", stream_id=1)), now=0.0)
    assert goaway_code(server) == 3


@pytest.mark.parametrize("end", [True, False])
def test_body_must_be_as_long_as_its_content_length(end: bool) -> None:
    """The peer's h2 would end the session; here only the stream fails."""
    client, server = ends()
    stream_id = opened(client, server)
    head = ResponseHead(status=200, headers=(("content-length", "4"),))
    server.send_response(stream_id, head, end=False)
    with pytest.raises(HeadError, match="content-length"):
        server.send_data(
            stream_id, [b"abc" if end else b"abcde"], len(b"abc" if end else b"abcde"), end=end
        )
    server.reset_stream(stream_id, error_code=2)
    assert move(server, client)[-1] == ResetArrived(stream_id, 2, by_peer=True)


def test_answer_to_head_has_a_length_and_no_body() -> None:
    """And a body of the right length passes."""
    client, server = ends()
    head = ResponseHead(status=200, headers=(("content-length", "4"),))
    stream_id = opened(client, server, RequestHead(method="HEAD", path="/"))
    server.send_response(stream_id, head, end=False)
    server.send_data(stream_id, [b""], len(b""), end=True)
    assert EndArrived(stream_id) in move(server, client)
    assert not client._head_requests | server._head_requests
    stream_id = opened(client, server)
    server.send_response(stream_id, head, end=False)
    server.send_data(stream_id, [b"ab"], len(b"ab"), end=False)
    server.send_data(stream_id, [b"cd"], len(b"cd"), end=True)
    assert EndArrived(stream_id) in move(server, client)


def test_refused_head_costs_nothing() -> None:
    """The next stream works, the answer can be tried again."""
    client, server = ends()
    with pytest.raises(HeadError):
        client.send_request(RequestHead(method="GET", path="/", headers=(("a", "\n"),)))
    stream_id = opened(client, server)
    with pytest.raises(HeadError):
        server.send_response(stream_id, ResponseHead(status=42), end=True)
    server.send_response(stream_id, OK, end=True)
    assert EndArrived(stream_id) in move(server, client)


def test_goaway_is_the_last_word() -> None:
    """With its reason, made fit for a terminal; nothing is sent after it."""
    client, server = ends()
    stream_id = opened(client, server)
    server.send_response(stream_id, OK, end=False)
    server.leave("stops\n\x1b[31m now")
    server.leave("again")
    server.ping(b"12345678")
    server.grant(stream_id, 5)
    server.reset_stream(stream_id, error_code=8)
    assert move(server, client) == [
        ResponseArrived(stream_id, OK),
        PeerLeft(0, "stops??[31m now"),
    ]
    client.reset_stream(stream_id, error_code=8)
    client.ping(b"12345678")
    assert client.output_bytes == 0


@given(
    st.sampled_from(
        [
            frame(PING, bytes(8)),
            frame(DATA, b"x", stream_id=1),
            frame(DATA, b"x", stream_id=1, flags=END_STREAM),
            frame(WINDOW_UPDATE, bytes(4), stream_id=1),
            frame(DATA, bytes(1 << 15), stream_id=1),
            frame(GOAWAY, bytes(8) + b"another"),
            b"nonsense that is no frame",
        ]
    ),
    st.integers(1, 200),
)
def test_whatever_follows_a_goaway_its_reason_survives(behind: bytes, size: int) -> None:
    """In the same message, or in part of it; nobody asks what comes after that."""
    client, server = ends()
    stream_id = opened(client, server)
    server.send_response(stream_id, OK, end=False)
    server.send_data(stream_id, [b"last"], 4, end=False)
    server.leave("stops now", error_code=2)
    wire = output(server) + behind
    events: list[Event] = []
    while PeerLeft(2, "stops now") not in events:
        assert wire
        events += client.receive_data(memoryview(wire[:size]), now=0.0)
        wire = wire[size:]
    assert [type(event) for event in events] == [ResponseArrived, DataArrived, PeerLeft]
    assert client.output_bytes == 0


def test_server_that_opens_a_stream_is_refused() -> None:
    """The edge never calls the cloud through the tunnel."""
    client = Protocol(Role.CLIENT)
    client.start()
    client.take_output(1 << 20)
    wire = frame(SETTINGS) + frame(
        HEADERS, head_block(), flags=END_HEADERS | END_STREAM, stream_id=2
    )
    with pytest.raises(ProtocolError, match="opened a stream"):
        client.receive_data(memoryview(wire), now=0.0)
    assert goaway_code(client) == 1


def test_push_is_refused() -> None:
    """It is switched off in the settings."""
    client, server = ends()
    stream_id = opened(client, server)
    push = frame(PUSH_PROMISE, b"\0\0\0\2" + head_block(), flags=END_HEADERS, stream_id=stream_id)
    with pytest.raises(ProtocolError):
        client.receive_data(memoryview(push), now=0.0)
    assert goaway_code(client) == 1


def test_window_overrun_ends_the_session_with_flow_control_error() -> None:
    """One byte more than was granted."""
    server = server_and_raw_client()
    wire = frame(HEADERS, head_block(), flags=END_HEADERS, stream_id=1)
    wire += frame(DATA, bytes(1 << 14), stream_id=1) * 4
    server.receive_data(memoryview(wire), now=0.0)
    with pytest.raises(WindowExceeded):
        server.receive_data(memoryview(frame(DATA, b"x", stream_id=1)), now=0.0)
    assert goaway_code(server) == 3


def test_window_overflow_of_the_connection_ends_the_session() -> None:
    """Past 2^31-1."""
    server = server_and_raw_client()
    wire = frame(WINDOW_UPDATE, b"\x7f\xff\xff\xff")
    with pytest.raises(WindowExceeded):
        server.receive_data(memoryview(wire * 2), now=0.0)
    assert goaway_code(server) == 3


@pytest.mark.parametrize("increments", [[0x7FFFFFFF], [0x7FFFFFFF - 65535, 1]])
def test_window_overflow_of_a_stream_ends_the_session(increments: list[int]) -> None:
    """By much, or by one byte above what was allowed just before."""
    server = server_and_raw_client()
    wire = frame(HEADERS, head_block(), flags=END_HEADERS, stream_id=1)
    for increment in increments:
        wire += frame(WINDOW_UPDATE, increment.to_bytes(4, "big"), stream_id=1)
    with pytest.raises(WindowExceeded, match="stream 1"):
        server.receive_data(memoryview(wire), now=0.0)
    assert goaway_code(server) == 3


def test_window_of_a_stream_may_be_as_large_as_there_are() -> None:
    """2^31-1 bytes."""
    server = server_and_raw_client()
    wire = frame(HEADERS, head_block(), flags=END_HEADERS, stream_id=1)
    wire += frame(WINDOW_UPDATE, (0x7FFFFFFF - 65535).to_bytes(4, "big"), stream_id=1)
    assert WindowOpened(1) in server.receive_data(memoryview(wire), now=0.0)


@pytest.mark.parametrize(
    ("wire", "error", "code"),
    [
        (frame(DATA, b"x", stream_id=7), ProtocolError, 1),
        (
            frame(HEADERS, b"\xff\xff\xff\xff\xff\xff", flags=END_HEADERS, stream_id=1),
            ProtocolError,
            1,
        ),
        (frame(WINDOW_UPDATE, bytes(4), stream_id=0), ProtocolError, 1),
        (frame(SETTINGS, b"\0\5\0\0\0\1"), ProtocolError, 1),
        (frame(SETTINGS, b"\0"), ProtocolError, 6),
        (frame(0x9, b"x", stream_id=1), ProtocolError, 1),
        (frame(DATA, bytes((1 << 14) + 1), stream_id=1), FrameTooLarge, 6),
        (
            frame(HEADERS, head_block(("x", "y" * 65536))[:16384], stream_id=1)
            + frame(0x9, bytes(16384), stream_id=1) * 4,
            ExcessiveLoad,
            11,
        ),
    ],
)
def test_broken_rules_have_names_and_codes(
    wire: bytes, error: type[ProtocolError], code: int
) -> None:
    """Data on streams that never were, nonsense, and too much."""
    server = server_and_raw_client()
    with pytest.raises(error):
        server.receive_data(memoryview(wire), now=0.0)
    assert goaway_code(server) == code


def test_wrong_preface_is_refused() -> None:
    """Something that speaks no HTTP/2."""
    server = Protocol(Role.SERVER)
    server.start()
    with pytest.raises(ProtocolError, match="preamble"):
        server.receive_data(memoryview(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"), now=0.0)


def test_header_bomb_is_refused() -> None:
    """A small block that decodes to megabytes: one big entry, named again and again."""
    server = server_and_raw_client()
    encoder = hpack.Encoder()
    first = encoder.encode([(":method", "GET"), (":scheme", "https"), (":authority", "e")])
    first += encoder.encode([(":path", "/"), ("x", "y" * 3000)])
    bomb = first + bytes([0x80 | 62]) * 1000
    wire = frame(HEADERS, bomb, flags=END_HEADERS, stream_id=1)
    with pytest.raises(ExcessiveLoad):
        server.receive_data(memoryview(wire), now=0.0)
    assert goaway_code(server) == 11


def test_streams_beyond_the_limit_are_refused() -> None:
    """The 257th ends the session: our own client counts."""
    server = server_and_raw_client()
    for number in range(256):
        wire = frame(HEADERS, head_block(), flags=END_HEADERS, stream_id=2 * number + 1)
        server.receive_data(memoryview(wire), now=0.0)
    wire = frame(HEADERS, head_block(), flags=END_HEADERS, stream_id=513)
    with pytest.raises(ExcessiveLoad):
        server.receive_data(memoryview(wire), now=0.0)


def test_settings_of_the_peer_cost_no_memory() -> None:
    """Unknown ones are forgotten, a huge header table is not filled."""
    server = server_and_raw_client()
    unknown = b"".join(struct.pack(">HI", code, 1) for code in range(0x100, 0x100 + 2000))
    table = struct.pack(">HI", 1, 1 << 30)
    server.receive_data(memoryview(frame(SETTINGS, unknown) + frame(SETTINGS, table)), now=0.0)
    assert len(server._h2.remote_settings) < 20
    assert server._h2.encoder.header_table_size == 4096


def test_peer_that_takes_fewer_headers_gets_fewer() -> None:
    """SETTINGS_MAX_HEADER_LIST_SIZE counts for us."""
    client = Protocol(Role.CLIENT)
    client.start()
    client.receive_data(memoryview(frame(SETTINGS, struct.pack(">HI", 6, 300))), now=0.0)
    with pytest.raises(HeadError, match="300"):
        client.send_request(RequestHead(method="GET", path="/" + "x" * 300))


def test_late_answers_to_cancelled_calls_are_harmless() -> None:
    """However many were cancelled meanwhile."""
    client, server = ends()
    for _ in range(300):
        stream_id = client.send_request(GET)
        move(client, server)
        server.send_response(stream_id, OK, end=False)
        server.send_data(stream_id, [b"late"], len(b"late"), end=False)
        client.reset_stream(stream_id, error_code=8)
    assert move(server, client) == []
    move(client, server)
    assert opened(client, server) == 601


def test_trailers_and_informational_heads_are_ignored() -> None:
    """Nobody of ours sends them; they end nothing and mean nothing."""
    client = Protocol(Role.CLIENT)
    client.start()
    peer = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    peer.initiate_connection()
    peer.receive_data(output(client))
    stream_id = client.send_request(GET)
    peer.receive_data(output(client))
    peer.send_headers(stream_id, [(":status", "103")])
    peer.send_headers(stream_id, [(":status", "200")])
    peer.send_headers(stream_id, [("x", "y")], end_stream=True)
    events = client.receive_data(memoryview(peer.data_to_send()), now=0.0)
    assert events[-2:] == [ResponseArrived(stream_id, OK), EndArrived(stream_id)]


@given(
    st.lists(st.binary(min_size=1, max_size=2000), max_size=8),
    st.lists(st.integers(1, 500), min_size=1, max_size=50),
)
def test_events_do_not_depend_on_the_cutting(bodies: list[bytes], sizes: list[int]) -> None:
    """The pipe cuts anywhere."""
    client, server = ends()
    stream_id = client.send_request(GET)
    for body in bodies:
        client.send_data(stream_id, [body], len(body), end=False)
    client.send_data(stream_id, [b""], len(b""), end=True)
    events: list[Event] = []
    position = 0
    while client.output_bytes:
        piece = output(client, max_bytes=sizes[position % len(sizes)])
        position += 1
        events += server.receive_data(memoryview(piece), now=0.0)
    assert events[0] == RequestArrived(stream_id, GET)
    assert events[-1] == EndArrived(stream_id)
    received = [event.data for event in events if isinstance(event, DataArrived)]
    assert b"".join(received) == b"".join(bodies)


@given(st.binary(max_size=400))
def test_noise_is_a_protocol_error_or_nothing(noise: bytes) -> None:
    """No input makes anything else escape."""
    server = server_and_raw_client()
    try:
        server.receive_data(memoryview(noise), now=0.0)
    except ProtocolError:
        assert server.output_bytes


@given(
    st.lists(
        st.tuples(
            st.integers(0, 10),
            st.integers(0, 255),
            st.integers(0, 9),
            st.binary(max_size=40),
        ),
        max_size=12,
    )
)
def test_any_frames_are_a_protocol_error_or_nothing(
    frames: list[tuple[int, int, int, bytes]],
) -> None:
    """Well-formed frames in any order, on any stream, towards either end."""
    wire = b"".join(
        frame(kind, payload, flags=flags, stream_id=stream_id)
        for kind, flags, stream_id, payload in frames
    )
    opening = frame(HEADERS, head_block(), flags=END_HEADERS, stream_id=1)
    server = server_and_raw_client()
    client, _ = ends()
    client.send_request(GET)
    for end, data in ((server, opening + wire), (client, wire)):
        try:
            end.receive_data(memoryview(data), now=0.0)
        except ProtocolError:
            assert end.output_bytes
