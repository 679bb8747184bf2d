"""Follow the frames of a SPDY/3.1 connection in both directions, and know its open error streams.

The client opens the streams of an exec, attach or port-forward call and names each by the header
``streamtype``; only those header blocks are inflated. Frames of the server pass on whole. A DATA
frame of more than MAX_HELD_BYTES leaves as several of that size: a SPDY client drops a torn frame
silently and takes the lost connection for success, so that there must never be one. Nothing else is
changed.

Source: SPDY draft 3.1 §2.2, §2.6; k8s.io/cri-streaming pkg/streaming/{remotecommand,portforward};
    moby/spdystream connection.go (Serve ends without an error when the connection does).
"""

from __future__ import annotations

from tunnel.spdy import (
    FLAG_FIN,
    FLAG_UNIDIRECTIONAL,
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

# One frame that waits to be complete, in either direction.
MAX_HELD_BYTES = 64 << 10
# A port-forward connection has one error stream per connection to the pod.
MAX_ERROR_STREAMS = 4096


class SpdyObserver:
    """Observe one SPDY/3.1 connection; see the module's docstring.

    When either side sends what is not SPDY, it gives up: from then on bytes pass as they come, and
    ``lost`` says that only a reset is left.
    """

    def __init__(self) -> None:
        self._given_up = False
        self._error_streams: dict[int, None] = {}
        self._header_blocks = HeaderBlocks()
        self._client_held = b""
        self._client_skip_bytes = 0
        self._server_held = b""
        # A DATA frame of the server that is being cut: payload bytes still to come, its stream and
        # flags.
        self._cut_bytes = 0
        self._cut_stream = 0
        self._cut_flags = 0

    @property
    def is_torn(self) -> bool:
        """Whether the server stopped inside a frame."""
        return bool(self._server_held) or self._cut_bytes > 0

    def client_data(self, data: bytes) -> None:
        """Follow bytes that the client sent; they are passed on as they are."""
        if self._given_up:
            return
        try:
            self._client_held = self._follow_client(self._client_held + data)
        except MalformedSpdy:
            self._give_up()

    def server_data(self, data: bytes) -> bytes:
        """Take bytes of the server and return those that may go to the client now: whole frames."""
        if self._given_up:
            return data
        buffer = memoryview(self._server_held + data if self._server_held else data)
        passed: list[bytes | memoryview] = []
        position = 0
        try:
            while (step := self._follow_server(buffer[position:])) is not None:
                position += step[0]
                passed.extend(step[1])
        except MalformedSpdy:
            self._give_up()
            passed.append(buffer[position:])
            return b"".join(passed)
        self._server_held = bytes(buffer[position:])
        return b"".join(passed)

    def lost(self, payload: bytes) -> bytes | None:
        """Return what tells every open error stream, once; None when only a reset is left."""
        if self._given_up:
            return None
        streams = list(self._error_streams)
        self._error_streams.clear()
        return b"".join(encode_data(stream, payload, is_last=True) for stream in streams)

    def _give_up(self) -> None:
        self._given_up = True
        self._client_held = b""
        self._server_held = b""
        self._error_streams.clear()

    # client -> server

    def _follow_client(self, data: bytes) -> bytes:
        """Follow all whole frames; return the rest, shorter than one frame with a header block."""
        position = 0
        while True:
            skipped = min(self._client_skip_bytes, len(data) - position)
            self._client_skip_bytes -= skipped
            position += skipped
            if len(data) - position < FRAME_HEADER.size:
                return data[position:]
            word, flags_length = FRAME_HEADER.unpack_from(data, position)
            length = flags_length & LENGTH_MASK
            frame_type = control_type(word)
            if frame_type not in (SYN_STREAM, SYN_REPLY, RST_STREAM, HEADERS):
                self._client_skip_bytes = FRAME_HEADER.size + length
                continue
            if length > MAX_HELD_BYTES:
                raise MalformedSpdy
            end = position + FRAME_HEADER.size + length
            if len(data) < end:
                return data[position:]
            payload = data[position + FRAME_HEADER.size : end]
            self._client_control(frame_type, flags_length >> 24, payload)
            position = end

    def _client_control(self, frame_type: int, flags: int, payload: bytes) -> None:
        stream = stream_of(payload)
        if frame_type == RST_STREAM:
            self._error_streams.pop(stream, None)
            return
        # Every block must be inflated: they share one zlib stream.
        headers = self._header_blocks.inflate(frame_type, payload)
        if frame_type != SYN_STREAM or headers.get(b"streamtype") != b"error":
            return
        if flags & FLAG_UNIDIRECTIONAL:
            return
        if len(self._error_streams) >= MAX_ERROR_STREAMS:
            raise MalformedSpdy
        self._error_streams[stream] = None

    # server -> client

    def _follow_server(self, data: memoryview) -> tuple[int, list[bytes | memoryview]] | None:
        """Return how much is done with and what to pass on; None when more must come first."""
        if self._cut_bytes:
            return self._cut(data)
        if len(data) < FRAME_HEADER.size:
            return None
        word, flags_length = FRAME_HEADER.unpack_from(data)
        length = flags_length & LENGTH_MASK
        frame_type = control_type(word)
        if length > MAX_HELD_BYTES:
            if frame_type is not None:
                raise MalformedSpdy
            self._server_wrote(word, flags_length >> 24, length)
            self._cut_bytes, self._cut_stream, self._cut_flags = length, word, flags_length >> 24
            return FRAME_HEADER.size, []
        end = FRAME_HEADER.size + length
        if len(data) < end:
            return None
        if frame_type is None:
            self._server_wrote(word, flags_length >> 24, length)
        elif frame_type in (SYN_REPLY, HEADERS, RST_STREAM):
            stream = stream_of(data[FRAME_HEADER.size : end])
            if frame_type == RST_STREAM or flags_length >> 24 & FLAG_FIN:
                self._error_streams.pop(stream, None)
        return end, [data[:end]]

    def _server_wrote(self, stream: int, flags: int, size: int) -> None:
        # The runtime writes its result in one piece: after the first byte of it, nothing of ours
        # may follow.
        if size or flags & FLAG_FIN:
            self._error_streams.pop(stream, None)

    def _cut(self, data: memoryview) -> tuple[int, list[bytes | memoryview]] | None:
        size = min(self._cut_bytes, MAX_HELD_BYTES)
        if len(data) < size:
            return None
        self._cut_bytes -= size
        flags = 0 if self._cut_bytes else self._cut_flags
        return size, [FRAME_HEADER.pack(self._cut_stream, flags << 24 | size), data[:size]]
