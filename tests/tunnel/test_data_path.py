"""DATA frames past h2: the same bytes on the wire, and the same windows, as if h2 had done it."""

from __future__ import annotations

import h2.config
import h2.connection
import h2.events
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tunnel.data_path import DataPath, encode_frames
from tunnel.errors import WindowExceeded
from tunnel.flow import START_WINDOW_BYTES
from tunnel.schedule import MAX_FRAME_BYTES

HEADERS = [(":method", "POST"), (":scheme", "https"), (":authority", "e"), (":path", "/")]


def h2_ends() -> tuple[h2.connection.H2Connection, h2.connection.H2Connection, int]:
    """Make a client and a server of plain h2 with one open stream."""
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    client.initiate_connection()
    server.initiate_connection()
    stream_id = client.get_next_available_stream_id()
    client.send_headers(stream_id, HEADERS)
    for _ in range(2):
        server.receive_data(client.data_to_send())
        client.receive_data(server.data_to_send())
    return client, server, stream_id


@given(st.lists(st.integers(1, 20_000), min_size=1, max_size=3))
def test_frames_are_those_that_h2_builds(sizes: list[int]) -> None:
    """Byte by byte; and the windows of h2's connection are what h2 would have left."""
    ours, _, stream_id = h2_ends()
    theirs, server, _ = h2_ends()
    pieces = [bytes([number]) * size for number, size in enumerate(sizes)]
    data = b"".join(pieces)
    path = DataPath(ours)
    window = path.send_window(stream_id)
    frames = b"".join(path.send(stream_id, pieces, len(data)))
    for start in range(0, len(data), MAX_FRAME_BYTES):
        theirs.send_data(stream_id, data[start : start + MAX_FRAME_BYTES])
    assert frames == theirs.data_to_send()
    assert path.send_window(stream_id) == window - len(data)
    assert path.send_window(stream_id) == theirs.local_flow_control_window(stream_id)
    assert ours.outbound_flow_control_window == theirs.outbound_flow_control_window
    events = server.receive_data(frames)
    assert b"".join(e.data for e in events if isinstance(e, h2.events.DataReceived)) == data


def test_h2_goes_on_where_the_path_left() -> None:
    """Its own frames follow ours, and its window for sending is the one that is left."""
    client, server, stream_id = h2_ends()
    path = DataPath(client)
    server.receive_data(b"".join(path.send(stream_id, [bytes(60_000)], 60_000)))
    assert client.local_flow_control_window(stream_id) == 5_535
    client.send_data(stream_id, bytes(5_535), end_stream=True)
    events = server.receive_data(client.data_to_send())
    assert isinstance(events[-1], h2.events.StreamEnded)


_STEP = st.tuples(st.sampled_from(["ours", "h2", "grant", "grant all"]), st.integers(1, 9_000))


@given(st.lists(_STEP, max_size=8) | st.lists(_STEP, min_size=20, max_size=60))
def test_windows_for_receiving_are_true(steps: list[tuple[str, int]]) -> None:
    """Whatever part of the frames h2 sees: what the peer may send is what was granted."""
    client, server, stream_id = h2_ends()
    path = DataPath(server)
    path.open(stream_id)
    taken = 0
    for step, size in steps:
        if step.startswith("grant"):
            credit = taken if step == "grant all" else min(size, taken)
            for grant_to in (0, stream_id):
                if credit:
                    client.receive_data(path.grant(grant_to, credit) + server.data_to_send())
            taken -= credit
        else:
            size = min(size, client.local_flow_control_window(stream_id))
            client.send_data(stream_id, bytes(size))
            frame = client.data_to_send()
            if step == "h2":
                server.receive_data(frame)
                path.open_streams[stream_id].h2_received()
            elif size:
                path.open_streams[stream_id].receive(size)
                path.received(size)
            taken += size
        assert path.connection_window == client.outbound_flow_control_window
        assert path.connection_window == 65_535 - taken
        window = client.local_flow_control_window(stream_id)
        assert path.open_streams[stream_id].window_bytes == window


def test_overrun_of_either_window_is_noticed() -> None:
    """The stream's, which h2 knows only half of, and the connection's."""
    _, server, stream_id = h2_ends()
    path = DataPath(server)
    path.open(stream_id)
    path.open_streams[stream_id].receive(65_535)
    path.received(65_535)
    with pytest.raises(WindowExceeded):
        path.open_streams[stream_id].receive(1)
    path.grant(stream_id, 10)
    path.open_streams[stream_id].receive(10)
    path.received(10)
    assert path.connection_window == -10
    path.grant(0, 10)
    assert path.connection_window == 0


@pytest.mark.parametrize("passes_h2", [True, False])
def test_what_a_window_allowed_may_come_after_a_reset(passes_h2: bool) -> None:
    """Less what had come before; besides, what is forgiven once."""
    _, server, stream_id = h2_ends()
    server.increment_flow_control_window(1 << 20)
    path = DataPath(server)
    if passes_h2:
        path.open(stream_id)
        path.open_streams[stream_id].receive(65_000)
        path.received(65_000)
    server.reset_stream(stream_id)
    path.expect_late(stream_id)
    left = (535 if passes_h2 else 65_535) + START_WINDOW_BYTES
    path.receive_late(left)
    with pytest.raises(WindowExceeded, match="ended streams"):
        path.receive_late(1)


def test_no_more_may_come_late_than_the_connection_allows() -> None:
    """However many streams are reset: what goes beyond waits for credit behind the resets."""
    client, server, first = h2_ends()
    path = DataPath(server)
    for stream_id in (first, first + 2):
        if stream_id != first:
            client.send_headers(stream_id, HEADERS)
            server.receive_data(client.data_to_send())
        server.reset_stream(stream_id)
        path.expect_late(stream_id)
    path.receive_late(65_535)
    with pytest.raises(WindowExceeded):
        path.receive_late(1)


_MAX_WINDOW_BYTES = (1 << 31) - 1


@given(st.integers(0, (1 << 32) - 1) | st.integers(0, 100))
@example(increment=1 << 31 | 1)
@example(increment=(1 << 31) - 1)
def test_window_updates_do_what_h2_would_do(increment: int) -> None:
    """What is wrong, the reserved bit too, changes nothing here, and h2 may answer it."""
    ours, _, stream_id = h2_ends()
    theirs, _, _ = h2_ends()
    frame = b"\x00\x00\x04\x08\x00" + stream_id.to_bytes(4, "big") + increment.to_bytes(4, "big")
    before = ours.local_flow_control_window(stream_id)
    path = DataPath(ours)
    if path.widen(stream_id, memoryview(frame)):
        events = theirs.receive_data(frame)
        assert [type(event) for event in events] == [h2.events.WindowUpdated]
        assert path.send_window(stream_id) == theirs.local_flow_control_window(stream_id)
    else:
        assert increment == 0 or before + increment > _MAX_WINDOW_BYTES
        assert ours.local_flow_control_window(stream_id) == before


def test_window_updates_of_streams_that_are_not_open_are_for_h2() -> None:
    """One that never was, and one that was reset."""
    client, _, stream_id = h2_ends()
    path = DataPath(client)
    frame = memoryview(b"\x00\x00\x04\x08\x00\x00\x00\x00\x01\x00\x00\x00\x01")
    assert path.widen(stream_id, frame)
    assert not path.widen(stream_id + 2, frame)
    client.reset_stream(stream_id)
    assert not path.widen(stream_id, frame)
    path.open(stream_id + 2)
    assert stream_id + 2 not in path.open_streams


def test_frames_follow_the_pieces() -> None:
    """A frame may hold parts of several pieces; none is longer than a turn."""
    pieces = [b"a" * 10, b"b" * 40_000, b"c"]
    encoded = b"".join(encode_frames(3, pieces, 40_011))
    lengths, payload = [], b""
    while encoded:
        length = int.from_bytes(encoded[:3], "big")
        assert encoded[3:9] == b"\x00\x00" + (3).to_bytes(4, "big")
        lengths.append(length)
        payload += encoded[9 : 9 + length]
        encoded = encoded[9 + length :]
    assert lengths == [MAX_FRAME_BYTES, MAX_FRAME_BYTES, 40_011 - 2 * MAX_FRAME_BYTES]
    assert payload == b"".join(pieces)
