"""Everything that decodes bytes from outside, each as a function of one input.

The input's first bytes say where the rest is cut, since bytes arrive cut anywhere; then the decoder
gets the pieces, and what it says must not depend on the cuts. A target returns normally for any
input: a refusal is one of the decoder's own errors. Hypothesis runs all of them in `make test`,
atheris for as long as one likes (tests/fuzz/fuzz.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.api.stdin_frames import follow_stdin
from provider.kubelet_api.spdy_observer import SpdyObserver
from provider.kubelet_api.websocket_observer import WebSocketObserver
from tunnel.errors import PipeError, ProtocolError, SyncError
from tunnel.frames import PREFACE, FrameGuard
from tunnel.pipe import MAX_UNACKNOWLEDGED_BYTES, Data, Pipe
from tunnel.protocol import Protocol, Role
from tunnel.sync import decode_from_edge, decode_from_provider
from tunnel.sync_fragments import FragmentReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_OUTPUT_BYTES = 1 << 20
# A held frame, its header, and the piece that may complete it.
MAX_HELD_BYTES = (64 << 10) + 64


def cut(data: bytes) -> list[bytes]:
    """Take the cuts from the first bytes, and return the pieces of the rest."""
    if not data:
        return []
    count = data[0] % 8
    sizes, rest = data[1 : 1 + count], data[1 + count :]
    pieces, position = [], 0
    for size in sizes:
        pieces.append(rest[position : position + size])
        position += size
    return [*pieces, rest[position:]]


def fuzz_pipe(data: bytes) -> None:
    """Messages of the pipe: counts stay true, and nothing is kept without bound."""
    pipe = Pipe()
    epoch = pipe.attach(peer_received_bytes=0)
    received = 0
    for message in cut(data):
        try:
            decoded = pipe.receive_message(message, epoch=epoch, now=0.0)
        except PipeError:
            return
        received += len(decoded.payload) if isinstance(decoded, Data) else 0
        assert pipe.received_bytes == received
        assert 0 <= pipe.acknowledged_bytes <= pipe.sent_bytes
        if pipe.room_bytes:
            pipe.encode_data([message[: pipe.room_bytes] or b"x"])
        assert pipe.kept_bytes <= MAX_UNACKNOWLEDGED_BYTES


def fuzz_frames(data: bytes) -> None:
    """Frame headers: the same frames are refused whatever the cuts; no byte is left out."""
    pieces = cut(data)
    whole, cut_up = (_guarded(one) for one in ([b"".join(pieces)], pieces))
    assert whole == cut_up, f"{whole} at once, {cut_up} in pieces"


def _guarded(pieces: list[bytes]) -> str:
    guard = FrameGuard(from_client=False)
    for piece in pieces:
        try:
            runs = guard.receive_data(memoryview(piece), now=0.0)
        except ProtocolError as exc:
            return str(exc)
        assert [0, *(end for _, _, end in runs)] == [*(start for _, start, _ in runs), len(piece)]
    return "accepted"


def fuzz_protocol(data: bytes) -> None:
    """A whole connection from a client: no error but our own, and no endless answers."""
    protocol = Protocol(Role.SERVER)
    protocol.start()
    for piece in (PREFACE, *cut(data)):
        try:
            protocol.receive_data(memoryview(piece), now=0.0)
        except ProtocolError:
            return
        assert protocol.output_bytes <= MAX_OUTPUT_BYTES + 16 * len(data)


def fuzz_sync(data: bytes) -> None:
    """Fragments and messages of the sync stream: the same messages whatever the cuts."""
    pieces = cut(data)
    whole, cut_up = (_messages(one) for one in ([b"".join(pieces)], pieces))
    assert whole == cut_up
    for message in whole:
        for decode in (decode_from_edge, decode_from_provider):
            try:
                decode(message)
            except SyncError:
                continue


def _messages(pieces: list[bytes]) -> list[bytes]:
    reader = FragmentReader()
    messages: list[bytes] = []
    # A refused fragment ends the stream: what came before it in one read is dropped with it.
    for byte in (piece[i : i + 1] for piece in pieces for i in range(len(piece))):
        try:
            messages += reader.receive_data(byte)
        except SyncError:
            break
    if len(pieces) == 1:
        _check_at_once(pieces[0], messages)
    return messages


def _check_at_once(data: bytes, messages: list[bytes]) -> None:
    try:
        at_once = FragmentReader().receive_data(data)
    except SyncError:
        return
    assert at_once == messages


def fuzz_spdy(data: bytes) -> None:
    """SPDY, observed from both sides: whole frames go on, whatever the cuts."""
    pieces = cut(data)
    outputs = []
    for one in ([b"".join(pieces)], pieces):
        observer = SpdyObserver()
        for piece in one:
            observer.client_data(piece)
        outputs.append(_observed(observer.server_data, one))
        notice = observer.lost(b"lost")
        assert notice is None or len(notice) <= 12 * 4096
    assert outputs[0] == outputs[1]


def fuzz_websocket(data: bytes) -> None:
    """A WebSocket server's frames, in all four forms."""
    pieces = cut(data)
    for is_base64, is_port_forward in ((False, False), (True, False), (False, True), (True, True)):
        outputs = []
        for one in ([b"".join(pieces)], pieces):
            observer = WebSocketObserver(is_base64=is_base64, is_port_forward=is_port_forward)
            outputs.append(_observed(observer.server_data, one))
            observer.lost(b"lost")
        # A long frame passes as it comes, so that what is held may differ, never what it says.
        short, long = sorted(outputs, key=len)
        assert long.startswith(short)
        assert len(long) - len(short) <= MAX_HELD_BYTES


def fuzz_stdin(data: bytes) -> None:
    """The client's frames of an exec: what goes on is what came, and all of it in the end."""
    pieces = cut(data)
    for protocol, subprotocol in (
        ("SPDY/3.1", "v4.channel.k8s.io"),
        ("websocket", "v4.channel.k8s.io"),
        ("websocket", "v4.base64.channel.k8s.io"),
        ("unknown", ""),
    ):
        frames = follow_stdin(protocol=protocol, subprotocol=subprotocol)
        passed = _observed(frames.client_data, pieces)
        frames.write(b"\x03\x04")
        frames.close()
        passed += frames.client_ended()
        assert passed == b"".join(pieces)


def _observed(take: Callable[[bytes], bytes], pieces: list[bytes]) -> bytes:
    return b"".join(_taken(take, pieces))


def _taken(take: Callable[[bytes], bytes], pieces: list[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield take(piece)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "pipe": fuzz_pipe,
    "frames": fuzz_frames,
    "protocol": fuzz_protocol,
    "sync": fuzz_sync,
    "spdy": fuzz_spdy,
    "websocket": fuzz_websocket,
    "stdin": fuzz_stdin,
}
