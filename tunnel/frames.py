"""What is checked of HTTP/2 frames before h2 sees them: lengths, endless headers, floods.

h2 collects a frame of any announced length before it looks at the length, and answers SETTINGS and
PING however many come. Here a frame's header is judged as soon as its nine bytes are there. On the
way the plain DATA frames are found, which need not pass h2 at all (see tunnel/data_path.py).
"""

from __future__ import annotations

import struct

from tunnel.errors import ExcessiveLoad, FrameTooLarge

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_HEADER_BYTES = 9
# The smallest that HTTP/2 lets anyone announce (RFC 9113 §6.5.2), and enough.
MAX_FRAME_BYTES = 16 << 10
# Bytes of one header block on the wire, over all its frames.
MAX_HEADER_BLOCK_BYTES = 64 << 10
# Frames that carry no bytes of a call: so many at once, so many per second for ever. A session of
# ours sends a PING twenty times a second at most, and a RST_STREAM for every call that somebody
# gave up.
IDLE_FRAMES_BURST = 10_000
IDLE_FRAMES_PER_S = 500
# Window updates are earned by data: a peer needs one for half of its smallest window.
BYTES_PER_WINDOW_UPDATE = 16 << 10

_HEADER = struct.Struct(">HBBBI")
_STREAM_ID_MASK = 0x7FFFFFFF
_DATA, _HEADERS, _SETTINGS, _GOAWAY, _WINDOW_UPDATE, _CONTINUATION = 0x0, 0x1, 0x4, 0x7, 0x8, 0x9
_SETTING_BYTES = 6
_INCREMENT_BYTES = 4
_END_STREAM, _END_HEADERS = 0x1, 0x4


class FrameGuard:
    """Follows the frame boundaries of one direction; keeps no payload.

    Args:
        from_client: Whether a client sends them: its connection preface comes first, and it may
            open streams.
    """

    def __init__(self, *, from_client: bool) -> None:
        self._from_client = from_client
        self._skip_bytes = len(PREFACE) if from_client else 0
        self._highest_stream_id = 0
        self._header = b""
        self._block_bytes = 0
        self._in_block = False
        self._ends_due = 0  # streams that the peer may end yet, at most
        self._has_left = False  # its GOAWAY has begun
        self._tokens = float(IDLE_FRAMES_BURST)
        self._refilled_at: float | None = None

    def data_sent(self, size: int) -> None:
        """Let the peer answer one frame of DATA: with window updates, or a RST_STREAM."""
        self._tokens += 1 + size / BYTES_PER_WINDOW_UPDATE

    def request_sent(self) -> None:
        """Let the peer send one head more, and end one stream more."""
        self._tokens += 1
        self._may_end_one()

    def receive_data(self, data: memoryview, *, now: float) -> list[tuple[int, int, int]]:
        """Judge all frame headers in bytes that arrived, before h2 sees any of them.

        Returns:
            What the bytes are, piece by piece, as stream id, start and end: one whole DATA frame
            with payload and without flags; with a negative id, one whole WINDOW_UPDATE of that
            stream; or, with the id 0, anything else. A piece ends where GOAWAY does: it is the last
            frame, and what is behind it is not judged.

        Raises:
            FrameTooLarge: A frame is longer than MAX_FRAME_BYTES.
            ExcessiveLoad: A header block is too long, or too many frames came that carry nothing.
        """
        runs: list[tuple[int, int, int]] = []
        end = len(data)
        position, others_from = self._finish_frame(data, now=now), 0
        last_header = -1 if self._has_left else end - FRAME_HEADER_BYTES
        while position <= last_header:
            high, low, kind, flags, stream_id = _HEADER.unpack_from(data, position)
            length = high << 8 | low
            if length > MAX_FRAME_BYTES:
                raise _too_large(length)
            stop = position + FRAME_HEADER_BYTES + length
            stream_id &= _STREAM_ID_MASK
            is_whole = stop <= end and not self._in_block
            if kind != _DATA or flags or not length or not is_whole:
                self._judge(kind, flags, stream_id, length=length, now=now)
                is_update = kind == _WINDOW_UPDATE and length == _INCREMENT_BYTES
                stream_id = -stream_id if is_update and is_whole else 0
                if kind == _GOAWAY:
                    last_header = -1
            if stream_id:
                if others_from < position:
                    runs.append((0, others_from, position))
                runs.append((stream_id, position, stop))
                others_from = stop
            position = stop
        self._keep_rest(data, position)
        if self._has_left and others_from < position < end:
            runs.append((0, others_from, position))
            others_from = position
        if others_from < end:
            runs.append((0, others_from, end))
        return runs

    def _finish_frame(self, data: memoryview, *, now: float) -> int:
        """Pass over the rest of the frame that began in earlier bytes; returns where it ends."""
        position = min(self._skip_bytes, len(data))
        self._skip_bytes -= position
        if not self._header or self._skip_bytes:
            return position
        # Nothing is skipped before the rest of a header.
        missing = FRAME_HEADER_BYTES - len(self._header)
        self._header += bytes(data[:missing])
        if len(self._header) < FRAME_HEADER_BYTES:
            return len(data)
        high, low, kind, flags, stream_id = _HEADER.unpack(self._header)
        self._header = b""
        length: int = high << 8 | low
        if length > MAX_FRAME_BYTES:
            raise _too_large(length)
        self._judge(kind, flags, stream_id & _STREAM_ID_MASK, length=length, now=now)
        self._skip_bytes = length
        taken = min(length, len(data) - missing)
        self._skip_bytes -= taken
        return missing + taken

    def _keep_rest(self, data: memoryview, position: int) -> None:
        """Note where the next frame begins: behind these bytes, or with the last of them."""
        if position > len(data):
            self._skip_bytes = position - len(data)
        elif position < len(data) and not self._has_left:
            self._header = bytes(data[position:])

    def _judge(self, kind: int, flags: int, stream_id: int, *, length: int, now: float) -> None:
        if kind == _GOAWAY:
            self._has_left = True
        if kind in (_HEADERS, _CONTINUATION):
            self._check_header_block(length=length, flags=flags)
        if not self._carries_a_call(kind, flags, stream_id, length=length):
            # h2 takes longer for a setting than for most frames.
            settings = length // _SETTING_BYTES if kind == _SETTINGS else 0
            self._spend(max(1, settings), now=now)

    def _carries_a_call(self, kind: int, flags: int, stream_id: int, *, length: int) -> bool:
        if kind == _DATA:
            is_due = bool(flags & _END_STREAM and self._ends_due)
            self._ends_due -= is_due
            return is_due or length > 0
        if kind == _HEADERS and self._from_client and stream_id > self._highest_stream_id:
            self._highest_stream_id = stream_id
            if not flags & _END_STREAM:
                self._may_end_one()
            return True
        return False

    def _may_end_one(self) -> None:
        # Those that end otherwise (a reset, a head alone) leave theirs; it must not add up.
        self._ends_due = min(self._ends_due + 1, IDLE_FRAMES_BURST)

    def _check_header_block(self, *, length: int, flags: int) -> None:
        self._block_bytes += length
        if self._block_bytes > MAX_HEADER_BLOCK_BYTES:
            raise ExcessiveLoad(f"header block of more than {MAX_HEADER_BLOCK_BYTES} bytes")
        self._in_block = not flags & _END_HEADERS
        if not self._in_block:
            self._block_bytes = 0

    def _spend(self, tokens: int, *, now: float) -> None:
        if self._refilled_at is not None:
            earned = (now - self._refilled_at) * IDLE_FRAMES_PER_S
            self._tokens = min(self._tokens + earned, float(IDLE_FRAMES_BURST))
        self._refilled_at = now
        self._tokens -= tokens
        if self._tokens < 0:
            raise ExcessiveLoad(
                f"more than {IDLE_FRAMES_BURST} frames that carry nothing, "
                f"above {IDLE_FRAMES_PER_S} per second"
            )


def _too_large(length: int) -> FrameTooLarge:
    return FrameTooLarge(f"frame of {length} bytes, at most {MAX_FRAME_BYTES} are allowed")
