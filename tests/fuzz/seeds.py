"""Valid inputs for each target, from which fuzzers find their way further than from nothing."""

from __future__ import annotations

import struct

from hpack import Encoder

from tests.fakes.spdy import HeaderWriter, data_frame, rst_stream
from tunnel.sync import Ack, Hello, PodGone, StatusWant, encode_message
from tunnel.sync_fragments import encode_fragments


def seeds(target: str) -> list[bytes]:
    """Return the inputs, each without cuts."""
    return [b"\0" + data for data in _SEEDS[target]]


def _frame(kind: int, payload: bytes, *, flags: int = 0, stream_id: int = 0) -> bytes:
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags])
    return head + stream_id.to_bytes(4, "big") + payload


def _request() -> bytes:
    block = Encoder().encode(
        [(":method", "GET"), (":path", "/x"), (":scheme", "https"), (":authority", "e")]
    )
    return _frame(1, block, flags=4, stream_id=1)


def _spdy() -> bytes:
    writer = HeaderWriter()
    opened = writer.syn_stream(1, {"streamtype": "error"})
    opened += writer.syn_stream(3, {"streamtype": "stdin"})
    return opened + data_frame(3, b"ls\n") + data_frame(1, b"", fin=True) + rst_stream(3)


def _websocket(opcode: int, payload: bytes, *, masked: bool) -> bytes:
    if not masked:
        return bytes([0x80 | opcode, len(payload)]) + payload
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + b"\0\0\0\0" + payload


def _fragments() -> bytes:
    hello = Hello(
        protocol=1,
        version="1",
        instance_id="a",
        boot_id="b",
        pods={"u": "r"},
        statuses={},
        objects={},
        tokens={},
    )
    messages = (
        hello,
        PodGone(uid="u", sequence=1),
        Ack(key="u", revision="r"),
        StatusWant(uid="u"),
    )
    return b"".join(part for one in messages for part in encode_fragments(encode_message(one)))


_SETTINGS = _frame(4, struct.pack(">HI", 4, 65536))
_CONNECTION = (
    _SETTINGS
    + _request()
    + _frame(0, b"body", stream_id=1)
    + _frame(6, bytes(8))
    + _frame(8, struct.pack(">I", 1000), stream_id=1)
    + _frame(3, struct.pack(">I", 8), stream_id=1)
)
_SEEDS: dict[str, list[bytes]] = {
    "pipe": [b"\1data", b"\2" + bytes(8), b"\3" + bytes(4)],
    "frames": [_CONNECTION],
    "protocol": [_CONNECTION],
    "sync": [_fragments()],
    "spdy": [_spdy()],
    "websocket": [
        _websocket(2, b"\1out", masked=False) + _websocket(2, b"\3{}", masked=False),
        _websocket(8, b"", masked=False),
    ],
    "stdin": [
        _spdy(),
        _websocket(2, b"\0in", masked=True) * 2,
        _websocket(1, b"0aW4=", masked=True),
    ],
}
