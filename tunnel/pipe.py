"""The pipe under HTTP/2: a reliable stream of bytes over one WebSocket after another.

A message is a type byte and a body (docs/protocol.md):

    DATA   0x01 ‖ bytes of the HTTP/2 connection, 1 to 65535 of them
    ACK    0x02 ‖ count, 8 bytes big-endian: so many bytes of DATA have arrived since the session
           began
    DRAIN  0x03 ‖ deadline, 4 bytes big-endian, in milliseconds: this end stops

Only the bytes of DATA are counted, and kept until they are acknowledged. ACK and DRAIN are neither
counted nor kept, so they may pass when no more DATA may.

    detached ──attach(the peer's count)──> attached: first what the peer lacks, then new DATA
        ^─────────────detach()────────────────┘

Each attach begins an epoch. What a WebSocket of an earlier epoch still brings is dropped: it is
not counted, so the peer sends it again.
"""

from __future__ import annotations

import collections
import struct
from typing import TYPE_CHECKING

import msgspec

from tunnel.errors import PipeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunnel.byte_queue import Piece

MAX_MESSAGE_BYTES = 64 << 10
MAX_PAYLOAD_BYTES = MAX_MESSAGE_BYTES - 1
# What was sent and is not acknowledged yet is kept; at this bound the next DATA waits.
MAX_UNACKNOWLEDGED_BYTES = 16 << 20
# Small messages cost more memory than their bytes: 16 MiB of them would be ten times as much.
MAX_UNACKNOWLEDGED_MESSAGES = 1 << 16
# An ACK costs both ends about as much as a full DATA message.
ACK_EVERY_BYTES = 256 << 10
ACK_AFTER_S = 0.1
# Timers may be early by a clock's resolution; asking again for less than this would spin.
TIMER_SLACK_S = 0.001
_MAX_COUNT = (1 << 64) - 1
_DATA, _ACK, _DRAIN = b"\x01", b"\x02", b"\x03"
_COUNT = struct.Struct(">Q")
_DEADLINE = struct.Struct(">I")


class Data(msgspec.Struct, frozen=True, gc=False):
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
        epoch: How many WebSockets have been attached so far.
        is_attached: Whether the last of them still is.
        sent_bytes: Bytes of DATA that this session has sent, each counted once.
        acknowledged_bytes: How many of them the peer has; never more than ``sent_bytes``, never
            goes back.
        received_bytes: Bytes of DATA that arrived, each counted once.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self.is_attached = False
        self.sent_bytes = 0
        self.acknowledged_bytes = 0
        self.received_bytes = 0
        self._announced_bytes = 0
        self._ack_at: float | None = None
        # DATA messages that are not acknowledged, whole; the first begins at _kept_from.
        self._kept: collections.deque[bytes] = collections.deque()
        self._kept_from = 0
        # What of them has to be sent again in this epoch, before anything new.
        self._replay: collections.deque[bytes] = collections.deque()

    # One WebSocket after another.

    def attach(self, *, peer_received_bytes: int) -> int:
        """Begin an epoch: what the peer has not received goes first.

        The caller has told the peer ``received_bytes`` as they were after the last ``detach``.

        Args:
            peer_received_bytes: What the peer says that it has received in this session.

        Returns:
            The epoch.

        Raises:
            PipeError: The count is below the last ACK or above what was sent.
        """
        self.detach()
        self._release(peer_received_bytes)
        self.epoch += 1
        self.is_attached = True
        self._announced_bytes = self.received_bytes
        self._replay.extend(self._kept)
        skipped = peer_received_bytes - self._kept_from
        if skipped:
            self._replay[0] = _DATA + self._replay[0][1 + skipped :]
        return self.epoch

    def detach(self) -> None:
        """End the epoch; nothing is sent or received until the next one."""
        self.is_attached = False
        self._ack_at = None
        self._replay.clear()

    # What is sent.

    @property
    def room_bytes(self) -> int:
        """How much new DATA may be sent now, in bytes."""
        if not self.is_attached or self._replay or len(self._kept) >= MAX_UNACKNOWLEDGED_MESSAGES:
            return 0
        return MAX_UNACKNOWLEDGED_BYTES - (self.sent_bytes - self.acknowledged_bytes)

    @property
    def kept_bytes(self) -> int:
        """What is kept for the next epoch, in bytes; whole messages."""
        return self.sent_bytes - self._kept_from

    @property
    def ack_at(self) -> float | None:
        """When an ACK is due at the latest, on the caller's clock; None when there is none."""
        return self._ack_at

    def take_replay(self) -> bytes | None:
        """Take the next message that has to be sent again; None when there is none."""
        return self._replay.popleft() if self._replay else None

    def encode_data(self, pieces: Sequence[Piece]) -> bytes:
        """Encode, count and keep one DATA message.

        Args:
            pieces: Its payload; together 1 … MAX_PAYLOAD_BYTES bytes, at most
                ``room_bytes``.
        """
        message = b"".join((_DATA, *pieces))
        size = len(message) - 1
        if not 0 < size <= min(MAX_PAYLOAD_BYTES, self.room_bytes):
            raise AssertionError(f"DATA of {size} bytes with room for {self.room_bytes}")
        self.sent_bytes += size
        self._kept.append(message)
        return message

    def is_ack_due(self, *, now: float) -> bool:
        """Whether 256 KiB or 100 ms have passed since the first byte that is not acknowledged."""
        if self._ack_at is None:
            return False
        unannounced_bytes = self.received_bytes - self._announced_bytes
        return unannounced_bytes >= ACK_EVERY_BYTES or now + TIMER_SLACK_S >= self._ack_at

    def encode_ack_if_due(self, *, now: float) -> bytes | None:
        """Encode an ACK after 256 KiB or 100 ms of unacknowledged bytes."""
        if not self.is_ack_due(now=now):
            return None
        self._announced_bytes = self.received_bytes
        self._ack_at = None
        return _ACK + _COUNT.pack(self.received_bytes)

    # What arrives.

    def receive_message(self, message: bytes, *, epoch: int, now: float) -> Message | None:
        """Decode one message and apply its counts.

        Args:
            message: As it came.
            epoch: Of the WebSocket that brought it.
            now: On the caller's clock.

        Returns:
            None for a WebSocket that is no longer attached; nothing was counted then.

        Raises:
            PipeError: Unknown type, wrong length, or a count that cannot be.
        """
        if epoch != self.epoch or not self.is_attached:
            return None
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
        self._release(count)
        return Ack(count)

    def _release(self, count: int) -> None:
        """Drop what the peer has."""
        if not self.acknowledged_bytes <= count <= self.sent_bytes:
            raise PipeError(
                f"count of {count} received bytes after one of {self.acknowledged_bytes}, "
                f"with {self.sent_bytes} sent"
            )
        self.acknowledged_bytes = count
        while self._kept:
            size = len(self._kept[0]) - 1
            if self._kept_from + size > count:
                return
            self._kept.popleft()
            self._kept_from += size
