"""The pipe under HTTP/2: messages of a WebSocket, and counts by which it can be resumed.

A message is a type byte and a body (docs/protocol.md):

    DATA   0x01 ‖ bytes of the HTTP/2 connection, 1 to 65535 of them ACK    0x02 ‖ count, 8 bytes
    big-endian: so many bytes of DATA have arrived since the session began DRAIN  0x03 ‖ deadline, 4
    bytes big-endian, in milliseconds: this end stops

Only the bytes of DATA are counted. ACK and DRAIN are neither counted nor kept, so they may pass
when no more DATA may.
"""

from __future__ import annotations

import struct

import msgspec

from tunnel.errors import PipeError

MAX_MESSAGE_BYTES = 64 << 10
MAX_PAYLOAD_BYTES = MAX_MESSAGE_BYTES - 1
# What was sent and is not acknowledged yet; the next DATA waits. It is also what a resumable
# session has to keep.
MAX_UNACKNOWLEDGED_BYTES = 16 << 20
ACK_EVERY_BYTES = 256 << 10
ACK_AFTER_S = 0.1
# Timers may be early by a clock's resolution; asking again for less than this would spin.
TIMER_SLACK_S = 0.001
_MAX_COUNT = (1 << 64) - 1
_DATA, _ACK, _DRAIN = b"\x01", b"\x02", b"\x03"
_COUNT = struct.Struct(">Q")
_DEADLINE = struct.Struct(">I")


class Data(msgspec.Struct, frozen=True):
    """Bytes of the HTTP/2 connection; a view into the message."""

    payload: memoryview


class Ack(msgspec.Struct, frozen=True):
    """The peer has received ``count`` bytes of DATA in this session."""

    count: int


class Drain(msgspec.Struct, frozen=True):
    """The peer stops: no new streams, and running ones end within ``deadline_s``."""

    deadline_s: float


Message = Data | Ack | Drain


def encode_drain(deadline_s: float) -> bytes:
    """Encode a DRAIN; deadlines are cut to 0 s … 49 days."""
    milliseconds = min(max(round(deadline_s * 1000), 0), (1 << 32) - 1)
    return _DRAIN + _DEADLINE.pack(milliseconds)


class Pipe:
    """Both directions of one session's byte stream: what was sent, acknowledged and received.

    Attributes:
        sent_bytes: Bytes of DATA handed to a WebSocket so far.
        acknowledged_bytes: How many of them the peer has; never more than ``sent_bytes``, never
            goes back.
        received_bytes: Bytes of DATA that arrived.
    """

    def __init__(self) -> None:
        self.sent_bytes = 0
        self.acknowledged_bytes = 0
        self.received_bytes = 0
        self._announced_bytes = 0
        self._ack_at: float | None = None

    @property
    def room_bytes(self) -> int:
        """How much DATA may be sent now, in bytes."""
        return MAX_UNACKNOWLEDGED_BYTES - (self.sent_bytes - self.acknowledged_bytes)

    @property
    def ack_at(self) -> float | None:
        """When an ACK is due at the latest, on the caller's clock; None when there is none."""
        return self._ack_at

    def encode_data(self, payload: bytes | memoryview) -> bytes:
        """Encode and count one DATA message.

        Args:
            payload: 1 … MAX_PAYLOAD_BYTES bytes, at most ``room_bytes``.
        """
        size = len(payload)
        if not 0 < size <= min(MAX_PAYLOAD_BYTES, self.room_bytes):
            raise AssertionError(f"DATA of {size} bytes with room for {self.room_bytes}")
        self.sent_bytes += size
        return b"".join((_DATA, payload))

    def encode_ack_if_due(self, *, now: float) -> bytes | None:
        """Encode an ACK after 256 KiB or 100 ms of unacknowledged bytes."""
        if self._ack_at is None:
            return None
        unannounced_bytes = self.received_bytes - self._announced_bytes
        if unannounced_bytes < ACK_EVERY_BYTES and now + TIMER_SLACK_S < self._ack_at:
            return None
        self._announced_bytes = self.received_bytes
        self._ack_at = None
        return _ACK + _COUNT.pack(self.received_bytes)

    def receive_message(self, message: bytes, *, now: float) -> Message:
        """Decode one message and apply its counts.

        Raises:
            PipeError: Unknown type, wrong length, or a count that cannot be.
        """
        if not 1 < len(message) <= MAX_MESSAGE_BYTES:
            raise PipeError(f"pipe message of {len(message)} bytes")
        kind = message[:1]
        body = memoryview(message)[1:]
        if kind == _DATA:
            self._count_data(len(body), now=now)
            return Data(body)
        if kind == _ACK:
            return self._receive_ack(body)
        if kind == _DRAIN:
            if len(body) != _DEADLINE.size:
                raise PipeError(f"DRAIN with a body of {len(body)} bytes")
            return Drain(_DEADLINE.unpack(body)[0] / 1000)
        raise PipeError(f"pipe message of unknown type {kind.hex()}")

    def _count_data(self, size: int, *, now: float) -> None:
        if self.received_bytes + size > _MAX_COUNT:
            raise PipeError("the count of received bytes is used up")
        self.received_bytes += size
        if self._ack_at is None:
            self._ack_at = now + ACK_AFTER_S

    def _receive_ack(self, body: memoryview) -> Ack:
        if len(body) != _COUNT.size:
            raise PipeError(f"ACK with a body of {len(body)} bytes")
        (count,) = _COUNT.unpack(body)
        if not self.acknowledged_bytes <= count <= self.sent_bytes:
            raise PipeError(
                f"ACK of {count} bytes after one of {self.acknowledged_bytes}, "
                f"with {self.sent_bytes} sent"
            )
        self.acknowledged_bytes = count
        return Ack(count)
