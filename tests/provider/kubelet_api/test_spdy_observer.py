"""SPDY frames are followed in both directions, however the bytes are cut."""

from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.kubelet_api.spdy_observer import MAX_ERROR_STREAMS, MAX_HELD_BYTES, SpdyObserver
from tests.fakes import spdy

ERROR = {"streamtype": "error"}


def cut(data: bytes, positions: list[int]) -> list[bytes]:
    """Cut data at the positions."""
    borders = [0, *sorted(min(p, len(data)) for p in positions), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(borders)]


def client_opens(**streams: int) -> bytes:
    """What a client sends to open streams, named by type."""
    writer = spdy.HeaderWriter()
    return b"".join(
        writer.syn_stream(number, {"streamType": kind.rstrip("0123456789")})
        for kind, number in streams.items()
    )


def lost_streams(observer: SpdyObserver) -> list[int] | None:
    """Return the streams that get the message."""
    last = observer.lost(b"gone")
    if last is None:
        return None
    frames = spdy.parse_frames(last)
    assert all(flags == spdy.FIN and payload == b"gone" for _, flags, payload in frames)
    return [word for word, _, _ in frames]


def test_lost_tells_the_error_stream_once() -> None:
    """Of all the streams only the error stream is told, with the end of it, and only once."""
    observer = SpdyObserver()
    observer.client_data(client_opens(error=1, stdin=3, stdout=5))
    assert lost_streams(observer) == [1]
    assert lost_streams(observer) == []


def test_without_streams_nobody_is_told() -> None:
    """Nothing is written on a connection without streams."""
    assert SpdyObserver().lost(b"gone") == b""


def test_each_port_forward_connection_is_told() -> None:
    """Every open error stream gets the message."""
    observer = SpdyObserver()
    observer.client_data(client_opens(error1=1, data1=3, error2=5, data2=7))
    assert lost_streams(observer) == [1, 5]


@pytest.mark.parametrize(
    "ending",
    [
        pytest.param(spdy.data_frame(1, b"", fin=True), id="end"),
        pytest.param(spdy.data_frame(1, b'{"status":"Success"}'), id="result"),
        pytest.param(spdy.data_frame(1, b"x" * 100_000), id="large result"),
        pytest.param(spdy.rst_stream(1), id="reset"),
        pytest.param(spdy.HeaderWriter().syn_reply(1, flags=spdy.FIN), id="reply that ends"),
        pytest.param(
            spdy.HeaderWriter().headers(1, {"a": "b"}, flags=spdy.FIN), id="headers that end"
        ),
    ],
)
def test_nothing_follows_what_the_server_ended(ending: bytes) -> None:
    """After the server's own end or result of a stream, nothing of ours is put on it."""
    observer = SpdyObserver()
    observer.client_data(client_opens(error1=1, data1=3, error2=5, data2=7))
    observer.server_data(ending)
    assert lost_streams(observer) == [5]


@pytest.mark.parametrize(
    "harmless",
    [
        pytest.param(spdy.HeaderWriter().syn_reply(1), id="reply"),
        pytest.param(spdy.data_frame(1, b""), id="empty"),
        pytest.param(spdy.data_frame(5, b"output", fin=True), id="another stream's end"),
        pytest.param(spdy.control_frame(spdy.PING, b"\0\0\0\1"), id="ping"),
        pytest.param(spdy.control_frame(spdy.GOAWAY, b"\0" * 8), id="go-away"),
    ],
)
def test_other_frames_leave_the_error_stream_open(harmless: bytes) -> None:
    """What does not end the error stream leaves it to be told."""
    observer = SpdyObserver()
    observer.client_data(client_opens(error=1, stdout=5))
    assert observer.server_data(harmless) == harmless
    assert lost_streams(observer) == [1]


def test_a_stream_that_the_client_reset_is_not_told() -> None:
    """A client that reset its error stream would take a frame on it for a fault."""
    observer = SpdyObserver()
    observer.client_data(client_opens(error=1) + spdy.rst_stream(1))
    assert lost_streams(observer) == []


def test_a_client_that_ended_its_half_is_told() -> None:
    """A port-forward client ends its half of the error stream at once; ours stays open."""
    observer = SpdyObserver()
    observer.client_data(client_opens(error=1) + spdy.data_frame(1, b"", fin=True))
    assert lost_streams(observer) == [1]


def test_a_unidirectional_stream_is_not_told() -> None:
    """On a stream that only the client may write, nothing can be said."""
    observer = SpdyObserver()
    observer.client_data(spdy.HeaderWriter().syn_stream(1, ERROR, flags=0x02))
    assert lost_streams(observer) == []


def test_header_blocks_of_all_frames_are_inflated() -> None:
    """One zlib stream runs through all header blocks: skipping one would lose the next."""
    writer = spdy.HeaderWriter()
    observer = SpdyObserver()
    observer.client_data(writer.syn_stream(1, {"streamtype": "stdout", "port": "80"}))
    observer.client_data(writer.headers(1, {"late": "header"}) + writer.syn_reply(2))
    observer.client_data(writer.syn_stream(3, {"port": "80", "streamtype": "error"}))
    assert lost_streams(observer) == [3]


def test_the_server_s_frames_pass_whole() -> None:
    """A frame is held until it is complete."""
    observer = SpdyObserver()
    frames = spdy.data_frame(5, b"first") + spdy.data_frame(5, b"second")
    assert observer.server_data(frames[:-1]) == spdy.data_frame(5, b"first")
    assert observer.is_torn
    assert observer.server_data(frames[-1:]) == spdy.data_frame(5, b"second")
    assert not observer.is_torn


def test_a_frame_that_was_torn_by_the_loss_is_dropped() -> None:
    """The message stands where the client expects a frame."""
    observer = SpdyObserver()
    observer.client_data(client_opens(error=1, stdout=5))
    passed = observer.server_data(spdy.data_frame(5, b"whole") + spdy.data_frame(5, b"torn")[:-2])
    last = observer.lost(b"gone")
    assert last is not None
    assert spdy.parse_frames(passed + last) == [(5, 0, b"whole"), (1, spdy.FIN, b"gone")]


def test_a_large_frame_is_cut_so_that_a_loss_never_tears_it() -> None:
    """A DATA frame of megabytes leaves as frames of at most 64 KiB, its end flag on the last."""
    observer = SpdyObserver()
    observer.client_data(client_opens(error=1, stdout=5))
    payload = bytes(range(256)) * 1200
    frame = spdy.data_frame(5, payload, fin=True)
    passed = b"".join(observer.server_data(piece) for piece in cut(frame, [5, 9, 100_000, 200_000]))
    frames = spdy.parse_frames(passed)
    assert b"".join(part for _, _, part in frames) == payload
    assert max(len(part) for _, _, part in frames) == MAX_HELD_BYTES
    assert [flags for _, flags, _ in frames] == [0] * (len(frames) - 1) + [spdy.FIN]

    observer.server_data(spdy.data_frame(5, payload)[:150_000])
    assert lost_streams(observer) == [1]


def test_an_empty_data_frame_between_large_ones_passes() -> None:
    """Cutting a frame leaves the next one alone."""
    observer = SpdyObserver()
    data = spdy.data_frame(5, b"x" * (MAX_HELD_BYTES + 1)) + spdy.data_frame(5, b"", fin=True)
    frames = spdy.parse_frames(observer.server_data(data))
    assert [len(part) for _, _, part in frames] == [MAX_HELD_BYTES, 1, 0]


BAD_CLIENT = {
    "version": struct.pack(">HHI", 0x8002, 1, 0),
    "block": spdy.control_frame(spdy.SYN_STREAM, b"\0" * 10 + b"no zlib"),
    "short": spdy.control_frame(spdy.SYN_STREAM, b"\0"),
    "long": struct.pack(">HHI", 0x8003, 1, MAX_HELD_BYTES + 1),
    "count": spdy.HeaderWriter().syn_stream(1, {"a": "x" * 70_000}),
    "end of zlib": spdy.control_frame(
        spdy.SYN_STREAM,
        b"\0" * 10 + bytes.fromhex("78f9e3c6a7c2030000000001"),
    ),
}


@pytest.mark.parametrize("data", BAD_CLIENT.values(), ids=BAD_CLIENT)
def test_what_is_not_spdy_from_the_client_leaves_only_a_reset(data: bytes) -> None:
    """Rather than guess which stream is the error stream, the connection is reset."""
    observer = SpdyObserver()
    observer.client_data(client_opens(error=1))
    observer.client_data(data)
    assert observer.lost(b"gone") is None


def test_what_is_not_spdy_from_the_server_passes_as_it_is() -> None:
    """Bytes are never lost, even where they are not understood."""
    observer = SpdyObserver()
    good, bad = spdy.data_frame(5, b"good"), struct.pack(">HHI", 0x8002, 1, 5)
    assert observer.server_data(good + bad[:3]) == good
    assert observer.server_data(bad[3:] + b"more") == bad + b"more"
    assert observer.server_data(b"rest") == b"rest"
    assert observer.lost(b"gone") is None


def test_too_many_error_streams_leave_only_a_reset() -> None:
    """A client cannot make the provider remember without end."""
    observer = SpdyObserver()
    writer = spdy.HeaderWriter()
    for number in range(MAX_ERROR_STREAMS + 1):
        observer.client_data(writer.syn_stream(2 * number + 1, ERROR))
    assert observer.lost(b"gone") is None


SERVER_FRAMES = st.lists(
    st.one_of(
        st.builds(
            spdy.data_frame,
            st.sampled_from([1, 3, 5, 7]),
            st.binary(max_size=40) | st.integers(0, 200_000).map(bytes),
            fin=st.booleans(),
        ),
        st.builds(spdy.rst_stream, st.sampled_from([1, 3, 5, 7])),
        st.just(spdy.control_frame(spdy.PING, b"\0\0\0\1")),
    ),
    max_size=6,
)
CUTS = st.lists(st.integers(0, 300_000), max_size=8)


@given(frames=SERVER_FRAMES, cuts=CUTS, client_cuts=st.lists(st.integers(0, 400), max_size=8))
def test_any_cutting_gives_the_same(
    frames: list[bytes], cuts: list[int], client_cuts: list[int]
) -> None:
    """What passes and who is told do not depend on where reads end."""
    opening, data = client_opens(error1=1, data1=3, error2=5, data2=7), b"".join(frames)
    whole, parted = SpdyObserver(), SpdyObserver()
    whole.client_data(opening)
    for piece in cut(opening, client_cuts):
        parted.client_data(piece)
    passed = b"".join(parted.server_data(piece) for piece in cut(data, cuts))
    assert whole.server_data(data) == passed
    for stream in (1, 3, 5, 7):
        assert spdy.stream_bytes(passed, stream) == spdy.stream_bytes(data, stream)
    assert whole.lost(b"gone") == parted.lost(b"gone")


@given(client=st.lists(st.binary(max_size=80), max_size=8), server=st.lists(st.binary(max_size=80)))
def test_garbage_passes_and_never_raises(client: list[bytes], server: list[bytes]) -> None:
    """Whatever comes, nothing is raised, and no more than a frame is kept."""
    observer = SpdyObserver()
    for piece in client:
        observer.client_data(piece)
    passed = sum(len(observer.server_data(piece)) for piece in server)
    assert passed <= sum(map(len, server))
    assert len(observer._server_held) <= MAX_HELD_BYTES + 8
    assert len(observer._client_held) <= MAX_HELD_BYTES + 8
    observer.lost(b"gone")
