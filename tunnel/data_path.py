"""DATA frames past h2, and the windows that they need: h2 does much for them, and decides nothing.

h2 builds an object for each frame and each event, runs two state machines and formats log lines
that nobody reads. For a DATA frame without flags on an open stream none of that changes anything
but four windows. So such frames are built and taken here, and h2 sees all others, among them each
stream's first and last. A stream's WINDOW_UPDATE changes one window alone: it is taken here too,
unless it is wrong.

Windows for sending are h2's own public attributes. For receiving h2 has its own count, from which
these frames are missing: ``bypassed`` says how many bytes, for each stream and for all together,
and so many are given back to the peer without telling h2. Always

    h2's window - bypassed = what the peer may send
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from tunnel.errors import WindowExceeded
from tunnel.schedule import MAX_FRAME_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from h2.connection import H2Connection
    from h2.stream import H2Stream

    from tunnel.byte_queue import Piece

_HEADER = struct.Struct(">HBBBI")
_WINDOW_UPDATE = struct.Struct(">HBBBII")
_INCREMENT = struct.Struct(">I")
_MAX_WINDOW_BYTES = (1 << 31) - 1
_DATA_TYPE, _WINDOW_UPDATE_TYPE = 0x0, 0x8


def encode_frames(stream_id: int, pieces: Iterable[Piece], size: int) -> list[Piece]:
    """Encode payload as DATA frames of at most MAX_FRAME_BYTES each.

    Args:
        stream_id: The stream.
        pieces: The payload.
        size: How long all pieces are together, at least one byte.

    Returns:
        Headers and payload in the order of the wire.
    """
    frames: list[Piece] = []
    missing = 0
    for piece in pieces:
        start, end = 0, len(piece)
        while start < end:
            if not missing:
                missing = min(size, MAX_FRAME_BYTES)
                size -= missing
                frames.append(_HEADER.pack(missing >> 8, missing & 0xFF, _DATA_TYPE, 0, stream_id))
            stop = min(start + missing, end)
            frames.append(piece if stop - start == end else memoryview(piece)[start:stop])
            missing -= stop - start
            start = stop
    return frames


class InboundData:
    """Plain DATA frames that arrive on one stream.

    Attributes:
        bypassed: Bytes that h2 does not know of and that were not given back yet.
    """

    __slots__ = ("_stream", "bypassed")

    def __init__(self, stream: H2Stream) -> None:
        self.bypassed = 0
        self._stream = stream

    def receive(self, size: int) -> None:
        """Account for payload that arrived.

        Raises:
            WindowExceeded: It is more than was granted to the stream.
        """
        bypassed = self.bypassed + size
        if bypassed > self._stream.inbound_flow_control_window:
            number = self._stream.stream_id
            raise WindowExceeded(f"stream {number} sent {size} bytes, above its window")
        self.bypassed = bypassed


class DataPath:
    """Plain DATA frames of one connection, and the windows that they take from.

    Args:
        connection: h2's connection; it is read, and its windows for sending are written.
    """

    def __init__(self, connection: H2Connection) -> None:
        self._h2 = connection
        self._inbound: dict[int, InboundData] = {}
        self._bypassed_in_all = 0

    # What is sent.

    def send_window(self, stream_id: int) -> int:
        """Return how many bytes may be sent on an open stream now; may be negative."""
        window: int = self._h2.streams[stream_id].outbound_flow_control_window
        in_all: int = self._h2.outbound_flow_control_window
        # Asked for each frame: a call of min would take longer than the rest.
        if window > in_all:
            return in_all
        return window

    def send(self, stream_id: int, pieces: Iterable[Piece], size: int) -> list[Piece]:
        """Take bytes from the windows and encode them; they are within ``send_window``."""
        self._h2.outbound_flow_control_window -= size
        self._h2.streams[stream_id].outbound_flow_control_window -= size
        if size <= MAX_FRAME_BYTES:
            return [_HEADER.pack(size >> 8, size & 0xFF, _DATA_TYPE, 0, stream_id), *pieces]
        return encode_frames(stream_id, pieces, size)

    def widen(self, stream_id: int, frame: memoryview) -> bool:
        """Apply a stream's WINDOW_UPDATE, a whole frame; returns False where h2 has to see it."""
        stream = self._h2.streams.get(stream_id)
        if stream is None or stream.closed:
            return False
        (increment,) = _INCREMENT.unpack_from(frame, _HEADER.size)
        window = stream.outbound_flow_control_window + increment
        # h2 refuses the reserved bit, too.
        if not 0 < increment <= _MAX_WINDOW_BYTES or window > _MAX_WINDOW_BYTES:
            return False
        stream.outbound_flow_control_window = window
        return True

    # What arrives.

    def open(self, stream_id: int) -> None:
        """Let a stream's DATA pass here from now on; nothing happens if it has ended meanwhile."""
        stream = self._h2.streams.get(stream_id)
        if stream is not None:
            self._inbound[stream_id] = InboundData(stream)

    def close(self, stream_id: int) -> None:
        """Leave what comes on this stream to h2 again; unknown ones are fine."""
        self._inbound.pop(stream_id, None)

    @property
    def open_streams(self) -> Mapping[int, InboundData]:
        """The streams whose DATA passes here, by their ids."""
        return self._inbound

    def received(self, size: int) -> None:
        """Account for all payload of a message on the connection; the caller looks at its window.

        Each part of it goes to the ``InboundData`` of its stream besides.
        """
        self._bypassed_in_all += size

    @property
    def connection_window(self) -> int:
        """How many bytes the peer may send on all streams together; negative when it sent more."""
        return self._h2.inbound_flow_control_window - self._bypassed_in_all

    def grant(self, stream_id: int, credit: int) -> bytes:
        """Let the peer send so many bytes more; on stream 0 it means the connection.

        Returns:
            The frame that grants what h2 does not know of; h2 has queued one for the rest.
        """
        inbound = self._inbound.get(stream_id)
        bypassed = self._bypassed_in_all
        if stream_id:
            bypassed = inbound.bypassed if inbound is not None else 0
        own = min(credit, bypassed)
        if credit > own:
            self._h2.increment_flow_control_window(credit - own, stream_id or None)
        if not own:
            return b""
        if inbound is not None:
            inbound.bypassed -= own
        else:
            self._bypassed_in_all -= own
        return _WINDOW_UPDATE.pack(0, 4, _WINDOW_UPDATE_TYPE, 0, stream_id, own)
