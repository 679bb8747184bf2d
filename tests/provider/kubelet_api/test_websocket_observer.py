"""Frames of the WebSocket channel protocols are followed, however the bytes are cut."""

from __future__ import annotations

import base64
import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.kubelet_api.websocket_observer import MAX_HELD_BYTES, WebSocketObserver

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
CLOSED = b"\x88\x16" + struct.pack(">H", 1011) + b"edgelet: stream lost"


def frame(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """Encode a frame as a server does."""
    first = (0x80 if fin else 0) | opcode
    if len(payload) < 126:
        return bytes([first, len(payload)]) + payload
    if len(payload) < 65536:
        return bytes([first, 126]) + struct.pack(">H", len(payload)) + payload
    return bytes([first, 127]) + struct.pack(">Q", len(payload)) + payload


def channel(number: int, content: bytes, *, fin: bool = True) -> bytes:
    """Encode a binary message on a channel."""
    return frame(BINARY, bytes([number]) + content, fin=fin)


def exec_observer() -> WebSocketObserver:
    """Observe an exec in a binary subprotocol."""
    return WebSocketObserver(is_base64=False, is_port_forward=False)


def forward_observer() -> WebSocketObserver:
    """Observe a port-forward in a binary subprotocol."""
    return WebSocketObserver(is_base64=False, is_port_forward=True)


def test_exec_is_told_on_channel_3() -> None:
    """The error channel is there from the start, and is told once, before a Close."""
    observer = exec_observer()
    assert observer.lost(b"gone") == channel(3, b"gone") + CLOSED
    assert observer.lost(b"gone") == b""


def test_exec_in_base64_is_told_in_base64() -> None:
    """The base64 subprotocols write the channel as a digit in a text message."""
    observer = WebSocketObserver(is_base64=True, is_port_forward=False)
    assert observer.lost(b"gone") == frame(TEXT, b"3" + base64.b64encode(b"gone")) + CLOSED


def test_a_long_message_gets_a_long_length() -> None:
    """Messages of more than 125 bytes need another length form."""
    assert exec_observer().lost(b"x" * 300) == channel(3, b"x" * 300) + CLOSED


def test_a_result_on_channel_3_is_not_followed_by_ours() -> None:
    """The runtime's own result is the last word on the error channel."""
    observer = exec_observer()
    observer.server_data(channel(1, b"output") + channel(3, b'{"status":"Success"}'))
    assert observer.lost(b"gone") == CLOSED


def test_a_base64_result_is_recognised() -> None:
    """The digit 3 is the error channel, too."""
    observer = WebSocketObserver(is_base64=True, is_port_forward=False)
    observer.server_data(frame(TEXT, b"3e30="))
    assert observer.lost(b"gone") == CLOSED


@pytest.mark.parametrize("data", [channel(3, b""), channel(1, b"out"), frame(PING, b"x"), b""])
def test_other_messages_leave_the_error_channel_open(data: bytes) -> None:
    """An empty message says only that the server is there."""
    observer = exec_observer()
    assert observer.server_data(data) == data
    assert observer.lost(b"gone") == channel(3, b"gone") + CLOSED


def test_nothing_follows_a_close() -> None:
    """After the server's Close nothing may be sent."""
    observer = exec_observer()
    observer.server_data(frame(CLOSE, b"\x03\xe8"))
    assert observer.lost(b"gone") == b""


def test_a_port_forward_is_told_on_each_announced_error_channel() -> None:
    """The first message on a channel is its port: before it, an error would be taken for one."""
    observer = forward_observer()
    port = struct.pack("<H", 80)
    observer.server_data(channel(0, port) + channel(1, port) + channel(2, port) + channel(3, port))
    observer.server_data(channel(0, b"data") + channel(3, b"connection refused"))
    observer.server_data(channel(4, port))
    assert observer.lost(b"gone") == channel(1, b"gone") + CLOSED


def test_frames_pass_whole() -> None:
    """A frame of up to 64 KiB is held until it is complete, then dropped when the rest is lost."""
    observer = exec_observer()
    data = channel(1, b"x" * 1000) + channel(1, b"y" * 1000)
    assert observer.server_data(data[:-1]) == channel(1, b"x" * 1000)
    assert observer.is_torn
    assert observer.lost(b"gone") == channel(3, b"gone") + CLOSED


def test_a_loss_inside_a_large_frame_leaves_only_a_reset() -> None:
    """A frame over 64 KiB passes as it comes; in its middle nothing can be said."""
    observer = exec_observer()
    data = channel(1, b"x" * (MAX_HELD_BYTES + 10))
    assert observer.server_data(data[:100]) == data[:100]
    assert observer.is_torn
    assert observer.lost(b"gone") is None


def test_after_a_large_frame_the_next_one_is_followed() -> None:
    """A large frame ends where it says."""
    observer = exec_observer()
    data = channel(1, b"x" * (MAX_HELD_BYTES + 10)) + channel(1, b"y")
    passed = b"".join(observer.server_data(data[i : i + 7777]) for i in range(0, len(data), 7777))
    assert passed == data
    assert observer.lost(b"gone") == channel(3, b"gone") + CLOSED


def test_a_loss_inside_a_message_of_several_frames_leaves_only_a_reset() -> None:
    """Between the frames of one message no other message may stand."""
    observer = exec_observer()
    observer.server_data(channel(1, b"x", fin=False))
    assert observer.lost(b"gone") is None


def test_a_result_in_several_frames_is_one() -> None:
    """The channel stands only in the first frame of a message."""
    observer = exec_observer()
    observer.server_data(channel(3, b"", fin=False) + frame(PING, b"") + frame(0, b"result"))
    assert observer.lost(b"gone") == CLOSED


BAD = {
    "masked": b"\x82\x81",
    "reserved bit": b"\xc2\x01",
    "reserved opcode": b"\x83\x00",
    "long control frame": b"\x89\x7e",
    "parted control frame": b"\x09\x00",
    "continuation of nothing": b"\x80\x00",
    "message inside a message": channel(1, b"x", fin=False) + channel(1, b"x"),
    "negative length": b"\x82\x7f\xff" + b"\0" * 8,
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_what_no_server_sends_leaves_only_a_reset(data: bytes) -> None:
    """Bytes pass as they are; nothing is said in a protocol that is not followed."""
    observer = exec_observer()
    assert observer.server_data(data) == data
    assert observer.server_data(b"more") == b"more"
    assert observer.lost(b"gone") is None


MESSAGES = st.lists(
    st.one_of(
        st.builds(
            channel,
            st.integers(0, 5),
            st.binary(max_size=200) | st.integers(60_000, 70_000).map(bytes),
        ),
        st.just(frame(PING, b"p")),
        st.just(channel(1, b"a", fin=False) + frame(0, b"b")),
        st.just(frame(BINARY, b"")),
    ),
    max_size=6,
)


@given(messages=MESSAGES, positions=st.lists(st.integers(0, 200_000), max_size=8), pf=st.booleans())
def test_any_cutting_gives_the_same(messages: list[bytes], positions: list[int], pf: bool) -> None:
    """What passes and who is told do not depend on where reads end."""
    data = b"".join(messages)
    whole = WebSocketObserver(is_base64=False, is_port_forward=pf)
    parted = WebSocketObserver(is_base64=False, is_port_forward=pf)
    borders = [0, *sorted(min(p, len(data)) for p in positions), len(data)]
    passed = b"".join(parted.server_data(data[a:b]) for a, b in itertools.pairwise(borders))
    assert passed == whole.server_data(data) == data
    assert whole.lost(b"gone") == parted.lost(b"gone")


@given(pieces=st.lists(st.binary(max_size=80)), is_base64=st.booleans(), pf=st.booleans())
def test_garbage_passes_and_never_raises(pieces: list[bytes], is_base64: bool, pf: bool) -> None:
    """Whatever comes, nothing is raised and nothing is invented."""
    observer = WebSocketObserver(is_base64=is_base64, is_port_forward=pf)
    passed = b"".join(observer.server_data(piece) for piece in pieces)
    assert b"".join(pieces).startswith(passed)
    assert len(observer._held) <= MAX_HELD_BYTES + 14
    observer.lost(b"gone")
