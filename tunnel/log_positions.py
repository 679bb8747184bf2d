"""How far a followed log was read, told beside it, so that it can be gone on with; pure.

An edge that is asked with POSITIONS_HEADER and answers with it sends the log as frames: 4 bytes
length of the text, 8 bytes position (both unsigned, big-endian), then the text. The position is the
time in nanoseconds of the last record up to which all lines are whole and sent; 0 says that it has
not changed. Of a log that breaks off, what lies behind the position is what is still to come.

``kubectl`` and the API server write ``sinceTime`` in whole seconds (apimachinery
pkg/apis/meta/v1/time.go ``MarshalQueryParameter``, kubernetes pkg/registry/core/pod/strategy.go
``LogLocation``), but pass ``limitBytes`` on as it is: the nanoseconds travel there, on top of a
limit that no log ever reaches and any other node takes for none.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

POSITIONS_HEADER = "edgelet-log-positions"
POSITIONS_VERSION = "1"
# Several times what is read of a log at once, and a record on top.
MAX_TEXT_BYTES = 2 << 20
EXACT_LIMIT = 9_000_000_000_000_000_000
NS_PER_S = 1_000_000_000
_HEAD = struct.Struct(">IQ")


class LogFramesBroken(ValueError):
    """What arrived are no frames of a log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFrame:
    """A piece of a log.

    Attributes:
        text: What is shown of it.
        position_ns: Up to which time it is whole then; 0 when that has not changed.
    """

    text: bytes
    position_ns: int


def encode_frames(text: bytes, *, position_ns: int | None) -> bytes:
    """Encode a piece of a log, as several frames where it is too long for one."""
    frames = []
    for start in range(0, max(len(text), 1), MAX_TEXT_BYTES):
        part = text[start : start + MAX_TEXT_BYTES]
        is_last = start + MAX_TEXT_BYTES >= len(text)
        frames += [_HEAD.pack(len(part), (position_ns or 0) if is_last else 0), part]
    return b"".join(frames)


class LogFrameDecoder:
    """Turn bytes that arrive in any pieces into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def is_within_frame(self) -> bool:
        """Whether a frame has begun and not ended."""
        return bool(self._buffer)

    def receive_data(self, data: bytes) -> list[LogFrame]:
        """Take bytes and return the frames that are whole by now.

        Raises:
            LogFramesBroken: A frame says that it is longer than MAX_TEXT_BYTES.
        """
        self._buffer += data
        frames = []
        start = 0
        while len(self._buffer) - start >= _HEAD.size:
            length, position_ns = _HEAD.unpack_from(self._buffer, start)
            if length > MAX_TEXT_BYTES:
                raise LogFramesBroken(f"a frame of {length} bytes")
            end = start + _HEAD.size + length
            if len(self._buffer) < end:
                break
            text = bytes(memoryview(self._buffer)[start + _HEAD.size : end])
            frames.append(LogFrame(text=text, position_ns=position_ns))
            start = end
        del self._buffer[:start]
        return frames


def exact_limit(time_ns: int) -> int:
    """Return the limit in bytes that carries what a time has beyond its whole second."""
    return EXACT_LIMIT + time_ns % NS_PER_S


def fraction_of_limit(limit_bytes: int | None) -> int | None:
    """Return the nanoseconds that a limit carries, None when it is a limit or there is none."""
    if limit_bytes is None or not EXACT_LIMIT <= limit_bytes < EXACT_LIMIT + NS_PER_S:
        return None
    return limit_bytes - EXACT_LIMIT
