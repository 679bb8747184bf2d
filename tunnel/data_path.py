"""DATA frames past h2, and the windows that they need: h2 does much for them, and decides nothing.

h2 builds an object for each frame and each event, runs two state machines and formats log lines
that nobody reads. For a DATA frame without flags on an open stream none of that changes anything
but four windows. So such frames are built and taken here, and h2 sees all others, among them each
stream's first and last. A stream's WINDOW_UPDATE changes one window alone: it is taken here too,
unless it is wrong.

Windows for sending are h2's own public attributes. For receiving h2 has its own count, from which
these frames are missing. Each stream's true window is kept beside it, and for all together what is
missing; what h2 does not know of is given back to the peer without telling h2.

On a stream that this end has reset the peer may have sent what its window allowed. h2 answers each
such frame with a RST_STREAM and counts nothing, so it is counted here: not for each stream, since
what can be under way on all of them is never more than the connection's window was at the last
reset (the reset goes out before any credit that is given later).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from tunnel.errors import WindowExceeded
from tunnel.flow import START_WINDOW_BYTES
from tunnel.schedule import MAX_FRAME_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from h2.connection import H2Connection
    from h2.stream import H2Stream

    from tunnel.byte_queue import Piece

    # Takes payload in order and returns at once; what a view is a view of never changes.
    Sink = Callable[[bytes | memoryview], None]

_HEADER = struct.Struct(">HBBBI")
_WINDOW_UPDATE = struct.Struct(">HBBBII")
_INCREMENT = struct.Struct(">I")
_MAX_WINDOW_BYTES = (1 << 31) - 1
_DATA_TYPE, _WINDOW_UPDATE_TYPE = 0x0, 0x8
# What may come in the life of a connection on streams that the peer itself had ended: it is a fault
# of the stream alone (RFC 9113 §5.1), but not for ever (§5.4.1).
_FAULT_BYTES = START_WINDOW_BYTES


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
    """DATA frames that arrive on one stream.

    Attributes:
        sink: Where payload goes; None while nobody has said so.
        window_bytes: How many bytes the peer may send yet.
    """

    __slots__ = ("_bypassed", "_stream", "sink", "window_bytes")

    def __init__(self, stream: H2Stream, sink: Sink | None) -> None:
        self.sink = sink
        # Our SETTINGS never change it any more: they are sent once, before any stream.
        self.window_bytes: int = stream.inbound_flow_control_window
        self._stream = stream
        self._bypassed = 0  # bytes that h2 does not know of and that were not given back yet

    def receive(self, size: int) -> None:
        """Account for payload that h2 does not see.

        Raises:
            WindowExceeded: It is more than was granted to the stream.
        """
        window_bytes = self.window_bytes - size
        if window_bytes < 0:
            raise self._exceeded()
        self.window_bytes = window_bytes
        self._bypassed += size

    def h2_received(self) -> None:
        """Account for what h2 has seen, by its count.

        Raises:
            WindowExceeded: It is more than was granted: h2 takes the window for larger than it is.
        """
        self.window_bytes = self._stream.inbound_flow_control_window - self._bypassed
        if self.window_bytes < 0:
            raise self._exceeded()

    def grant(self, credit: int) -> int:
        """Account for credit; returns how much of it h2 has to grant, since it has seen as much."""
        own = min(credit, self._bypassed)
        self._bypassed -= own
        self.window_bytes += credit
        return credit - own

    def _exceeded(self) -> WindowExceeded:
        return WindowExceeded(f"stream {self._stream.stream_id} sent more than its window allowed")


class DataPath:
    """Plain DATA frames of one connection, and the windows that they take from.

    Args:
        connection: h2's connection; it is read, and its windows for sending are written.
    """

    def __init__(self, connection: H2Connection) -> None:
        self._h2 = connection
        self._inbound: dict[int, InboundData] = {}
        self._sinks: dict[int, Sink] = {}
        self._bypassed_in_all = 0
        self._late_bytes = _FAULT_BYTES  # that may come yet on streams that have ended

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
            self._inbound[stream_id] = InboundData(stream, self._sinks.get(stream_id))

    def close(self, stream_id: int) -> None:
        """Leave what comes on this stream to h2 again; unknown ones are fine."""
        self._inbound.pop(stream_id, None)

    def expect_late(self, stream_id: int) -> None:
        """Let come what the window of a stream still allowed; call it at once after its reset."""
        inbound = self._inbound.get(stream_id)
        if inbound is not None:
            window = inbound.window_bytes
        else:
            window = self._h2.streams[stream_id].inbound_flow_control_window
        self._late_bytes = min(self._late_bytes + window, self.connection_window)

    def receive_late(self, size: int) -> None:
        """Account for what h2 has dropped, since its stream had ended.

        Raises:
            WindowExceeded: It is more than was granted before the streams were reset.
        """
        self._late_bytes -= size
        if self._late_bytes < 0:
            raise WindowExceeded("data on ended streams, more than their windows had allowed")

    def deliver(self, stream_id: int, sink: Sink) -> None:
        """Let a stream's payload go there from the next message on."""
        self._sinks[stream_id] = sink
        inbound = self._inbound.get(stream_id)
        if inbound is not None:
            inbound.sink = sink

    def stop_delivering(self, stream_id: int) -> None:
        """Forget where a stream's payload goes: it has ended, or nobody wants more of it."""
        self._sinks.pop(stream_id, None)
        inbound = self._inbound.get(stream_id)
        if inbound is not None:
            inbound.sink = None

    def sink(self, stream_id: int) -> Sink | None:
        """Return where a stream's payload goes, None while nobody has said so."""
        return self._sinks.get(stream_id)

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
        if stream_id:
            known = inbound.grant(credit) if inbound is not None else credit
        else:
            known = max(0, credit - self._bypassed_in_all)
            self._bypassed_in_all -= credit - known
        if known:
            self._h2.increment_flow_control_window(known, stream_id or None)
        if known == credit:
            return b""
        return _WINDOW_UPDATE.pack(0, 4, _WINDOW_UPDATE_TYPE, 0, stream_id, credit - known)
