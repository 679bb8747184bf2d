"""Follow the frames of Kubernetes' WebSocket channel protocols, and know their error channels.

Each message starts with a channel: one byte, or one digit before base64. Exec and attach report on
channel 3; a port-forward has a data channel 2n and an error channel 2n+1 for each port, and
announces every channel with the port's number first. What the client sends opens and ends no
channel, so that it need not be followed.

Frames of at most MAX_HELD_BYTES pass on whole; a longer one passes as it comes, and a loss inside
it leaves only a reset, which WebSocket clients report.

Source: RFC 6455 §5; k8s.io/streaming wsstream/conn.go; k8s.io/cri-streaming
    pkg/streaming/{remotecommand,portforward}.
"""

from __future__ import annotations

import base64
import struct

# One frame of the server that waits to be complete.
MAX_HELD_BYTES = 64 << 10
EXEC_ERROR_CHANNEL = 3

_FIN, _RESERVED, _OPCODE = 0x80, 0x70, 0x0F
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_MASKED, _LENGTH = 0x80, 0x7F
_MAX_CONTROL_PAYLOAD_BYTES = 125
# 1011: the server met a condition that kept it from fulfilling the request (RFC 6455 §7.4.1).
_CLOSE_PAYLOAD = struct.pack(">H", 1011) + b"edgelet: stream lost"


class _Malformed(Exception):
    """The bytes are not frames of a WebSocket server."""


class WebSocketObserver:
    """Observe one connection; see the module's docstring.

    Args:
        is_base64: Whether the negotiated subprotocol is one of the base64 ones.
        is_port_forward: Whether channels come in pairs of data and error, each announced by its
            port.
    """

    def __init__(self, *, is_base64: bool, is_port_forward: bool) -> None:
        self._is_base64 = is_base64
        self._is_port_forward = is_port_forward
        self._given_up = False
        self._is_closed = False
        self._error_channels: set[int] = set() if is_port_forward else {EXEC_ERROR_CHANNEL}
        self._announced: set[int] = set()
        self._held = b""
        # A long frame that passes as it comes: payload bytes still to come.
        self._passing_bytes = 0
        # The message that is being received: whether there is one, its channel, and whether it says
        # anything.
        self._in_message = False
        self._channel: int | None = None
        self._has_content = False
        self._is_final = False

    @property
    def is_torn(self) -> bool:
        """Whether the server stopped inside a frame or a message."""
        return bool(self._held) or self._passing_bytes > 0 or self._in_message

    def client_data(self, data: bytes) -> None:
        """Take bytes that the client sent; nothing is to be learnt from them."""

    def server_data(self, data: bytes) -> bytes:
        """Take bytes of the server and return those that may go to the client now."""
        if self._given_up:
            return data
        buffer = self._held + data if self._held else data
        position = 0
        try:
            while (size := self._follow(buffer, position)) is not None:
                position += size
        except _Malformed:
            self._given_up = True
            self._held = b""
            return buffer
        self._held = buffer[position:]
        return buffer[:position]

    def lost(self, payload: bytes) -> bytes | None:
        """Return what tells every open error channel, and a Close; None: only a reset is left."""
        if self._given_up or self._passing_bytes or self._in_message:
            return None
        if self._is_closed:
            return b""
        self._is_closed = True
        channels = sorted(self._error_channels)
        self._error_channels.clear()
        messages = b"".join(self._encode_message(channel, payload) for channel in channels)
        return messages + _encode_frame(_CLOSE, _CLOSE_PAYLOAD)

    def _encode_message(self, channel: int, payload: bytes) -> bytes:
        if self._is_base64:
            return _encode_frame(_TEXT, bytes([0x30 + channel]) + base64.b64encode(payload))
        return _encode_frame(_BINARY, bytes([channel]) + payload)

    def _follow(self, data: bytes, start: int) -> int | None:
        """Return how many bytes from ``start`` may pass; None when more must come first."""
        available = len(data) - start
        if self._passing_bytes:
            passed = min(self._passing_bytes, available)
            self._passing_bytes -= passed
            if self._passing_bytes == 0:
                self._frame_ended()
            return passed or None
        header = _parse_header(data, start)
        if header is None:
            return None
        first, header_size, length = header
        end = header_size + length
        # The first byte of the payload tells the channel: it must be here even where the frame
        # passes in parts.
        if available < (end if length <= MAX_HELD_BYTES else header_size + 1):
            return None
        opcode = first & _OPCODE
        if opcode in (_CLOSE, _PING, _PONG):
            self._is_closed = self._is_closed or opcode == _CLOSE
            return end
        self._frame_started(first, length, data[start + header_size] if length else None)
        if available < end:
            self._passing_bytes = end - available
            return available
        self._frame_ended()
        return end

    def _frame_started(self, first: int, length: int, channel_byte: int | None) -> None:
        if (first & _OPCODE == _CONTINUATION) != self._in_message:
            raise _Malformed
        self._is_final = bool(first & _FIN)
        if self._in_message:
            self._has_content = self._has_content or length > 0
            return
        self._in_message = True
        self._has_content = length > 1
        self._channel = channel_byte
        if channel_byte is not None and self._is_base64:
            self._channel = channel_byte - 0x30

    def _frame_ended(self) -> None:
        if not self._is_final:
            return
        self._in_message = False
        # A server says that it is there by an empty message: that is no result.
        if self._channel is None or not self._has_content:
            return
        if self._is_port_forward and self._channel not in self._announced:
            self._announced.add(self._channel)
            if self._channel % 2 and 0 <= self._channel <= 0xFF:
                self._error_channels.add(self._channel)
            return
        self._error_channels.discard(self._channel)


def _parse_header(data: bytes, start: int) -> tuple[int, int, int] | None:
    """Return the first byte, the sizes of header and payload; None for an incomplete header."""
    if len(data) - start < 2:
        return None
    first, second = data[start], data[start + 1]
    opcode, length, size = first & _OPCODE, second & _LENGTH, 2
    known = opcode in (_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG)
    if not known or first & _RESERVED or second & _MASKED:
        raise _Malformed
    if opcode >= _CLOSE and (length > _MAX_CONTROL_PAYLOAD_BYTES or not first & _FIN):
        raise _Malformed
    if length > _MAX_CONTROL_PAYLOAD_BYTES:
        size = 4 if length == _MAX_CONTROL_PAYLOAD_BYTES + 1 else 10
        if len(data) - start < size:
            return None
        length = int.from_bytes(data[start + 2 : start + size], "big")
        if length >> 63:
            raise _Malformed
    return first, size, length


def _encode_frame(opcode: int, payload: bytes) -> bytes:
    length = len(payload)
    if length <= _MAX_CONTROL_PAYLOAD_BYTES:
        size = bytes([length])
    elif length <= 0xFFFF:
        size = bytes([126]) + length.to_bytes(2, "big")
    else:
        size = bytes([127]) + length.to_bytes(8, "big")
    return bytes([_FIN | opcode]) + size + payload
