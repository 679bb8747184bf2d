"""What a client of an exec call sends, in any cutting."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.api.stdin_frames import (
    MAX_HELD_BYTES,
    SpdyStdin,
    StdinFrames,
    WebSocketStdin,
    follow_stdin,
)
from tests.fakes.spdy import PING, HeaderWriter, control_frame, data_frame, rst_stream

ERROR, STDIN = 1, 5


def opened() -> bytes:
    """Return the client's streams."""
    headers = HeaderWriter()
    error = headers.syn_stream(ERROR, {"streamtype": "error"})
    return error + headers.syn_stream(STDIN, {"streamtype": "stdin"})


def fed(frames: StdinFrames, data: bytes, cuts: list[int]) -> bytes:
    """Feed bytes in pieces and return what passed."""
    passed, position = b"", 0
    for cut in sorted({min(cut, len(data)) for cut in cuts} | {len(data)}):
        passed += frames.client_data(data[position:cut])
        position = cut
    return passed


@given(
    st.lists(st.binary(max_size=40), max_size=5),
    st.lists(st.integers(0, 400), max_size=8),
    st.integers(0, 400),
)
def test_whole_frames_pass_unchanged_and_torn_ones_are_held(
    payloads: list[bytes], cuts: list[int], torn_at: int
) -> None:
    """However it was cut; what passed always ends with a frame's end."""
    whole = opened() + b"".join(data_frame(STDIN, payload) for payload in payloads)
    torn = control_frame(PING, b"1234")[: torn_at % 12]
    frames = SpdyStdin()
    assert fed(frames, whole + torn, cuts) == whole
    assert frames.write(b"\x03") == data_frame(STDIN, b"\x03")
    assert frames.close() == data_frame(STDIN, b"", fin=True)
    assert frames.close() is None
    assert frames.client_ended() == torn


def test_a_long_frame_passes_as_it_comes_and_nothing_is_said_within_it() -> None:
    """100 MB through one exec are not held in memory."""
    frames = SpdyStdin()
    long = data_frame(STDIN, bytes(MAX_HELD_BYTES + 1000))
    frames.client_data(opened())
    assert frames.client_data(long[:5000]) == long[:5000]
    assert frames.write(b"\x03") is None
    assert frames.close() is None
    assert frames.client_data(long[5000:]) == long[5000:]
    assert frames.write(b"\x03") is not None


def test_stdin_that_has_ended_or_never_was_gets_nothing() -> None:
    """A frame on a stream that is no more would break the connection."""
    ended, reset, none = SpdyStdin(), SpdyStdin(), SpdyStdin()
    ended.client_data(opened() + data_frame(STDIN, b"last", fin=True))
    reset.client_data(opened() + rst_stream(STDIN))
    none.client_data(HeaderWriter().syn_stream(ERROR, {"streamtype": "error"}))
    for frames in (ended, reset, none):
        assert frames.write(b"\x03") is None
        assert frames.close() is None


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_whatever_comes_passes_in_the_end(data: bytes, cuts: list[int]) -> None:
    """Rubbish is for the runtime to refuse; nothing is lost or raised."""
    for frames in (SpdyStdin(), WebSocketStdin(is_base64=False), WebSocketStdin(is_base64=True)):
        assert fed(frames, data, cuts) + frames.client_ended() == data


def test_malformed_spdy_gets_nothing() -> None:
    """Where its streams are not known."""
    frames = SpdyStdin()
    frames.client_data(opened() + control_frame(1, b"rubbish that is no header block"))
    assert frames.write(b"\x03") is None


def test_websocket_messages() -> None:
    """Binary or base64, and neither after a Close nor within a fragmented message."""
    plain, base64 = WebSocketStdin(is_base64=False), WebSocketStdin(is_base64=True)
    assert plain.write(b"\x03") == b"\x82\x82\0\0\0\0\x00\x03"
    assert base64.write(b"\x03") == b"\x81\x85\0\0\0\x000Aw=="
    assert plain.close() is None
    plain.client_data(b"\x02\x81\0\0\0\0\x00")
    assert plain.write(b"\x03") is None
    plain.client_data(b"\x80\x81\0\0\0\0a")
    assert plain.write(b"\x03") is not None
    plain.client_data(b"\x88\x80\0\0\0\0")
    assert plain.write(b"\x03") is None


def test_the_protocol_decides() -> None:
    """What nobody knows passes as it is."""
    assert isinstance(follow_stdin(protocol="SPDY/3.1", subprotocol="x"), SpdyStdin)
    assert isinstance(follow_stdin(protocol="WebSocket", subprotocol=""), WebSocketStdin)
    unknown = follow_stdin(protocol="websocket", subprotocol="v9.channel.k8s.io")
    assert unknown.client_data(b"abc") == b"abc"
    assert unknown.client_ended() == b""
    assert unknown.write(b"\x03") is None
    assert unknown.close() is None
