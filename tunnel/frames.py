"""What is checked of HTTP/2 frames before h2 sees them: lengths, endless headers, floods.

h2 collects a frame of any announced length before it looks at the length, and answers SETTINGS and
PING however many come. Here a frame's header is judged as soon as its nine bytes are there.
"""

from __future__ import annotations

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

_DATA, _HEADERS, _CONTINUATION = 0x0, 0x1, 0x9
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
        self._tokens = float(IDLE_FRAMES_BURST)
        self._refilled_at: float | None = None

    def data_sent(self, size: int) -> None:
        """Let the peer answer one frame of DATA: with window updates, or a RST_STREAM."""
        self._tokens += 1 + size / BYTES_PER_WINDOW_UPDATE

    def request_sent(self) -> None:
        """Let the peer send one head more."""
        self._tokens += 1

    def receive_data(self, data: bytes | memoryview, *, now: float) -> None:
        """Judge all frame headers in bytes that arrived, before they are given to h2.

        Raises:
            FrameTooLarge: A frame is longer than MAX_FRAME_BYTES.
            ExcessiveLoad: A header block is too long, or too many frames came that carry nothing.
        """
        position, end = 0, len(data)
        while True:
            skipped = min(self._skip_bytes, end - position)
            self._skip_bytes -= skipped
            position += skipped
            if position == end:
                return
            missing = FRAME_HEADER_BYTES - len(self._header)
            header = self._header + bytes(data[position : position + missing])
            position += len(header) - len(self._header)
            if len(header) < FRAME_HEADER_BYTES:
                self._header = header
                return
            self._header = b""
            length = int.from_bytes(header[:3], "big")
            self._skip_bytes = length
            if length > MAX_FRAME_BYTES:
                raise FrameTooLarge(
                    f"frame of {length} bytes, at most {MAX_FRAME_BYTES} are allowed"
                )
            kind, flags = header[3], header[4]
            if kind in (_HEADERS, _CONTINUATION):
                self._check_header_block(length=length, flags=flags)
            if not self._carries_a_call(header, length=length, kind=kind, flags=flags):
                self._spend(now=now)

    def _carries_a_call(self, header: bytes, *, length: int, kind: int, flags: int) -> bool:
        if kind == _DATA:
            return bool(length or flags & _END_STREAM)
        if kind == _HEADERS and self._from_client:
            stream_id = int.from_bytes(header[5:], "big") & 0x7FFFFFFF
            is_new = stream_id > self._highest_stream_id
            self._highest_stream_id = max(self._highest_stream_id, stream_id)
            return is_new
        return False

    def _check_header_block(self, *, length: int, flags: int) -> None:
        self._block_bytes += length
        if self._block_bytes > MAX_HEADER_BLOCK_BYTES:
            raise ExcessiveLoad(f"header block of more than {MAX_HEADER_BLOCK_BYTES} bytes")
        if flags & _END_HEADERS:
            self._block_bytes = 0

    def _spend(self, *, now: float) -> None:
        if self._refilled_at is not None:
            earned = (now - self._refilled_at) * IDLE_FRAMES_PER_S
            self._tokens = min(self._tokens + earned, float(IDLE_FRAMES_BURST))
        self._refilled_at = now
        self._tokens -= 1
        if self._tokens < 0:
            raise ExcessiveLoad(
                f"more than {IDLE_FRAMES_BURST} frames that carry nothing, "
                f"above {IDLE_FRAMES_PER_S} per second"
            )
