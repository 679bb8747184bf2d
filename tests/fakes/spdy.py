"""SPDY/3.1 frames by hand: what a Kubernetes client and a container runtime send."""

from __future__ import annotations

import struct
import zlib

from tunnel.spdy_dictionary import SPDY_DICTIONARY

FIN = 0x01
SYN_STREAM, SYN_REPLY, RST_STREAM, PING, GOAWAY, HEADERS = 1, 2, 3, 6, 7, 8


def data_frame(stream: int, payload: bytes, *, fin: bool = False) -> bytes:
    """Encode a DATA frame."""
    return struct.pack(">II", stream, (FIN if fin else 0) << 24 | len(payload)) + payload


def control_frame(kind: int, payload: bytes, *, flags: int = 0) -> bytes:
    """Encode a control frame of version 3."""
    return struct.pack(">HHI", 0x8003, kind, flags << 24 | len(payload)) + payload


def rst_stream(stream: int, status: int = 5) -> bytes:
    """Encode a RST_STREAM; 5 is CANCEL."""
    return control_frame(RST_STREAM, struct.pack(">II", stream, status))


class HeaderWriter:
    """One direction's compressed header blocks."""

    def __init__(self) -> None:
        self._deflater = zlib.compressobj(zdict=SPDY_DICTIONARY)

    def syn_stream(self, stream: int, headers: dict[str, str], *, flags: int = 0) -> bytes:
        """Encode a SYN_STREAM."""
        block = struct.pack(">IIH", stream, 0, 0) + self._block(headers)
        return control_frame(SYN_STREAM, block, flags=flags)

    def syn_reply(self, stream: int, *, flags: int = 0) -> bytes:
        """Encode a SYN_REPLY without headers."""
        return control_frame(SYN_REPLY, struct.pack(">I", stream) + self._block({}), flags=flags)

    def headers(self, stream: int, headers: dict[str, str], *, flags: int = 0) -> bytes:
        """Encode a HEADERS frame."""
        block = struct.pack(">I", stream) + self._block(headers)
        return control_frame(HEADERS, block, flags=flags)

    def _block(self, headers: dict[str, str]) -> bytes:
        text = struct.pack(">I", len(headers))
        for name, value in headers.items():
            for part in (name.encode(), value.encode()):
                text += struct.pack(">I", len(part)) + part
        return self._deflater.compress(text) + self._deflater.flush(zlib.Z_SYNC_FLUSH)


def parse_frames(data: bytes) -> list[tuple[int, int, bytes]]:
    """Cut bytes into whole frames: first word, flags, payload."""
    frames = []
    while data:
        word, flags_length = struct.unpack_from(">II", data)
        end = 8 + (flags_length & 0xFFFFFF)
        if len(data) < end:
            raise ValueError("torn frame")
        frames.append((word, flags_length >> 24, data[8:end]))
        data = data[end:]
    return frames


def stream_bytes(data: bytes, stream: int) -> bytes:
    """Return what was sent on one stream."""
    return b"".join(payload for word, _, payload in parse_frames(data) if word == stream)
