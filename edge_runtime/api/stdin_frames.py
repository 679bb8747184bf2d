"""Follow what an exec call's client sends, so that the edge can speak for it when it is lost; pure.

Frames of at most MAX_HELD_BYTES go on to the runtime whole, so that a loss in the middle of one
leaves the runtime between frames. A longer one passes as it comes; after a loss inside it nothing
can be said any more but the end of the connection. Nothing is changed.

Source: k8s.io/cri-streaming pkg/streaming/remotecommand/{httpstream,websocket}.go; RFC 6455 §5.
"""

from __future__ import annotations

import base64
from typing import Protocol

from tunnel.spdy import (
    FLAG_FIN,
    FRAME_HEADER,
    HEADERS,
    LENGTH_MASK,
    RST_STREAM,
    SYN_REPLY,
    SYN_STREAM,
    HeaderBlocks,
    MalformedSpdy,
    control_type,
    encode_data,
    stream_of,
)

# One frame that waits to be complete.
MAX_HELD_BYTES = 64 << 10
_BASE64_SUBPROTOCOLS = frozenset({"base64.channel.k8s.io", "v4.base64.channel.k8s.io"})
_CHANNEL_SUBPROTOCOLS = frozenset({"", "channel.k8s.io", "v4.channel.k8s.io"})
_FIN, _OPCODE, _TEXT, _BINARY, _CLOSE = 0x80, 0x0F, 0x1, 0x2, 0x8
_MASKED, _LENGTH = 0x80, 0x7F
# Clients must mask (RFC 6455 §5.3); a mask of zeros is one that changes nothing.
_MASK = bytes(4)
_STDIN_CHANNEL = 0


class StdinFrames(Protocol):
    """One call's input, followed."""

    def client_data(self, data: bytes) -> bytes:
        """Take bytes of the client and return those that may go to the runtime now."""

    def client_ended(self) -> bytes:
        """Return what was held, when the client ended in good order."""

    def write(self, data: bytes) -> bytes | None:
        """Return a frame that writes to stdin; None when nothing can be written any more."""

    def close(self) -> bytes | None:
        """Return a frame that ends stdin; None when there is none."""


def follow_stdin(*, protocol: str, subprotocol: str) -> StdinFrames:
    """Return what follows the input of an exec call that was just upgraded.

    Args:
        protocol: ``SPDY/3.1`` or ``websocket``, in any case.
        subprotocol: What the runtime chose; "" for none.
    """
    if protocol.lower() == "spdy/3.1":
        return SpdyStdin()
    if protocol.lower() == "websocket":
        if subprotocol in _BASE64_SUBPROTOCOLS:
            return WebSocketStdin(is_base64=True)
        if subprotocol in _CHANNEL_SUBPROTOCOLS:
            return WebSocketStdin(is_base64=False)
    return _Unknown()


class _Unknown:
    """A protocol that nobody can speak for the client."""

    def client_data(self, data: bytes) -> bytes:
        """Pass everything."""
        return data

    def client_ended(self) -> bytes:
        """Hold nothing."""
        return b""

    def write(self, data: bytes) -> bytes | None:
        """Know no frame."""
        del data
        return None

    def close(self) -> bytes | None:
        """Know no frame."""
        return None


class _Frames:
    """Cuts the client's bytes into frames; a subclass knows how long one is.

    Attributes:
        is_between: Whether what was passed on ends with a frame's end.
    """

    def __init__(self) -> None:
        self._held = b""
        self._passing_bytes = 0
        self._is_lost = False

    @property
    def is_between(self) -> bool:
        return not self._is_lost and self._passing_bytes == 0

    def client_data(self, data: bytes) -> bytes:
        """Take bytes of the client and return those that may go on: whole frames."""
        if self._is_lost:
            return data
        data = self._held + data if self._held else data
        position = 0
        try:
            while position < len(data) and (size := self._step(data, position)):
                position += size
        except MalformedSpdy:
            # It is for the runtime to say so.
            self._is_lost = True
            self._held = b""
            return data
        self._held = data[position:]
        return data[:position]

    def client_ended(self) -> bytes:
        """Return what was held."""
        held, self._held = self._held, b""
        return held

    def _step(self, data: bytes, start: int) -> int:
        """Return how many bytes from ``start`` may pass; 0 when more must come first."""
        available = len(data) - start
        if self._passing_bytes:
            passed = min(self._passing_bytes, available)
            self._passing_bytes -= passed
            return passed
        size = self._frame_size(data, start)
        if size is None:
            return 0
        if size > MAX_HELD_BYTES:
            self._passing_bytes = size - min(size, available)
            self._follow_frame(data[start : start + 16], is_whole=False)
            return min(size, available)
        if available < size:
            return 0
        self._follow_frame(data[start : start + size], is_whole=True)
        return size

    def _frame_size(self, data: bytes, start: int) -> int | None:
        """Return the size of the frame that begins at ``start``, None while its head is torn."""
        raise NotImplementedError

    def _follow_frame(self, frame: bytes, *, is_whole: bool) -> None:
        """Learn from a frame, or from the first 16 bytes of one that is too long to be held."""
        raise NotImplementedError


class SpdyStdin(_Frames):
    """The input of a call over SPDY/3.1: the stream whose header ``streamtype`` is ``stdin``."""

    def __init__(self) -> None:
        super().__init__()
        self._header_blocks = HeaderBlocks()
        self._stdin: int | None = None

    def write(self, data: bytes) -> bytes | None:
        """Return a DATA frame."""
        if self._stdin is None or not self.is_between:
            return None
        return encode_data(self._stdin, data, is_last=False)

    def close(self) -> bytes | None:
        """Return a DATA frame with FIN."""
        if self._stdin is None or not self.is_between:
            return None
        stream, self._stdin = self._stdin, None
        return encode_data(stream, b"", is_last=True)

    def _frame_size(self, data: bytes, start: int) -> int | None:
        if len(data) - start < FRAME_HEADER.size:
            return None
        return FRAME_HEADER.size + int(FRAME_HEADER.unpack_from(data, start)[1] & LENGTH_MASK)

    def _follow_frame(self, frame: bytes, *, is_whole: bool) -> None:
        word, flags_length = FRAME_HEADER.unpack_from(frame)
        kind, flags = control_type(word), flags_length >> 24
        if kind is None:
            stream, ends = word, bool(flags & FLAG_FIN)
        elif kind in (SYN_STREAM, SYN_REPLY, HEADERS):
            if not is_whole:
                raise MalformedSpdy
            payload = frame[FRAME_HEADER.size :]
            stream, ends = stream_of(payload), bool(flags & FLAG_FIN)
            # Every block must be inflated: they share one zlib stream.
            headers = self._header_blocks.inflate(kind, payload)
            if kind == SYN_STREAM and headers.get(b"streamtype") == b"stdin":
                self._stdin = stream
        elif kind == RST_STREAM and is_whole:
            stream, ends = stream_of(frame[FRAME_HEADER.size :]), True
        else:
            return
        if ends and stream == self._stdin:
            self._stdin = None


class WebSocketStdin(_Frames):
    """The input of a call over WebSocket: messages whose channel is 0.

    Its end cannot be said apart from the connection's.

    Args:
        is_base64: Whether the subprotocol is one of the base64 ones.
    """

    def __init__(self, *, is_base64: bool) -> None:
        super().__init__()
        self._is_base64 = is_base64
        self._is_closed = False
        self._in_message = False

    def write(self, data: bytes) -> bytes | None:
        """Return a message on channel 0."""
        if self._is_closed or self._in_message or not self.is_between:
            return None
        if self._is_base64:
            message = b"%d" % _STDIN_CHANNEL + base64.b64encode(data)
        else:
            message = bytes([_STDIN_CHANNEL]) + data
        opcode = _TEXT if self._is_base64 else _BINARY
        if len(message) > 125:
            raise AssertionError("what the edge writes for a lost client is short")
        return bytes([_FIN | opcode, _MASKED | len(message)]) + _MASK + message

    def close(self) -> bytes | None:
        """Return None: a Close would end the whole call, and its result with it."""
        return None

    def _frame_size(self, data: bytes, start: int) -> int | None:
        available = len(data) - start
        if available < 2:
            return None
        length, size = data[start + 1] & _LENGTH, 2
        if length > 125:
            size = 4 if length == 126 else 10
            if available < size:
                return None
            length = int.from_bytes(data[start + 2 : start + size], "big")
        return size + (4 if data[start + 1] & _MASKED else 0) + length

    def _follow_frame(self, frame: bytes, *, is_whole: bool) -> None:
        del is_whole
        opcode = frame[0] & _OPCODE
        if opcode >= _CLOSE:
            self._is_closed = self._is_closed or opcode == _CLOSE
        else:
            self._in_message = not frame[0] & _FIN
