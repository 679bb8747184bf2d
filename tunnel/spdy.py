"""What both ends read of SPDY/3.1: frame headers, and the header blocks that name streams; pure.

Source: SPDY draft 3.1 §2.2, §2.6.
"""

from __future__ import annotations

import struct
import zlib

from tunnel.spdy_dictionary import SPDY_DICTIONARY

# Inflated headers of one stream; Kubernetes sends about 100 bytes.
MAX_HEADERS_BYTES = 64 << 10
# Stream, or version and type; then flags and length.
FRAME_HEADER = struct.Struct(">II")
SYN_STREAM, SYN_REPLY, RST_STREAM, HEADERS = 1, 2, 3, 8
FLAG_FIN = 0x01
FLAG_UNIDIRECTIONAL = 0x02
LENGTH_MASK = 0xFFFFFF
_WORD = struct.Struct(">I")
_CONTROL_BIT = 0x80000000
_STREAM_MASK = 0x7FFFFFFF
_VERSION = 3
# Bytes before the header block, by frame type.
_BLOCK_OFFSET = {SYN_STREAM: 10, SYN_REPLY: 4, HEADERS: 4}


class MalformedSpdy(Exception):
    """The bytes are not SPDY as we know it."""


class HeaderBlocks:
    """The header blocks of one direction: they share one zlib stream, so none may be left out."""

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(zdict=SPDY_DICTIONARY)

    def inflate(self, kind: int, payload: bytes) -> dict[bytes, bytes]:
        """Return the headers in a frame; names are lower-case.

        Args:
            kind: SYN_STREAM, SYN_REPLY or HEADERS.
            payload: The frame's whole payload.

        Raises:
            MalformedSpdy: It is no header block, or longer than MAX_HEADERS_BYTES.
        """
        try:
            text = self._inflater.decompress(payload[_BLOCK_OFFSET[kind] :], MAX_HEADERS_BYTES)
        except zlib.error:
            raise MalformedSpdy from None
        if self._inflater.unconsumed_tail or self._inflater.eof:
            raise MalformedSpdy
        return _parse_headers(text)


def control_type(word: int) -> int | None:
    """Return the type of a control frame by its first word, or None for a DATA frame.

    Raises:
        MalformedSpdy: It is a control frame of another version.
    """
    if not word & _CONTROL_BIT:
        return None
    if word >> 16 & 0x7FFF != _VERSION:
        raise MalformedSpdy
    return word & 0xFFFF


def stream_of(payload: bytes | memoryview) -> int:
    """Return the stream that a control frame's payload names.

    Raises:
        MalformedSpdy: It is too short.
    """
    if len(payload) < _WORD.size:
        raise MalformedSpdy
    stream: int = _WORD.unpack_from(payload)[0]
    return stream & _STREAM_MASK


def encode_data(stream: int, payload: bytes, *, is_last: bool) -> bytes:
    """Encode one DATA frame."""
    flags = FLAG_FIN if is_last else 0
    return FRAME_HEADER.pack(stream, flags << 24 | len(payload)) + payload


def _parse_headers(text: bytes) -> dict[bytes, bytes]:
    """Parse a name/value block: a count, then length-prefixed names and values (§2.6.10)."""
    position = 0

    def take(size: int) -> bytes:
        nonlocal position
        part = text[position : position + size]
        if len(part) < size:
            raise MalformedSpdy
        position += size
        return part

    def take_word() -> int:
        return int.from_bytes(take(_WORD.size), "big")

    headers: dict[bytes, bytes] = {}
    for _ in range(take_word()):
        name = take(take_word())
        headers[name.lower()] = take(take_word())
    return headers
