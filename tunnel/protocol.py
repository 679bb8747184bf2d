"""Our profile of HTTP/2 over h2, without I/O: settings, roles, heads, events as plain values.

The caller hands in what arrived with ``receive_data`` and gets events, calls methods to send, and
takes what is to go out with ``take_output``. After an exception of ``receive_data`` the output
holds the GOAWAY that answers it.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import h2.config
import h2.connection
import h2.events
import h2.exceptions
from hyperframe.exceptions import HyperframeError

from tunnel.data_path import DataPath
from tunnel.errors import (
    HeadError,
    ProtocolError,
    SessionClosed,
    WindowExceeded,
)
from tunnel.flow import (
    CONNECTION_WINDOW_BYTES,
    MAX_STREAMS,
    connection_credit,
)
from tunnel.frame_receiver import FrameReceiver
from tunnel.frames import FRAME_HEADER_BYTES, FrameGuard
from tunnel.heads import (
    MAX_HEADER_LIST_BYTES,
    RequestHead,
    ResponseHead,
    declared_length,
    encode_request,
    encode_response,
)
from tunnel.profile import (
    AUDIT_ID_HEADER,
    CALLER_HEADER,
    INSTANCE_HEADER,
    METHOD_HEADER,
    RECEIVED_HEADER,
    SESSION_HEADER,
    TUNNEL_PATH,
    TUNNEL_SUBPROTOCOL,
    Connection,
    Role,
    error_name,
    local_settings,
    protocol_error,
)
from tunnel.schedule import MAX_FRAME_BYTES as MAX_DATA_BYTES
from tunnel.translation import MAX_REASON_BYTES, Translation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunnel.byte_queue import Piece
    from tunnel.events import Event

__all__ = [
    "AUDIT_ID_HEADER",
    "CALLER_HEADER",
    "INSTANCE_HEADER",
    "METHOD_HEADER",
    "RECEIVED_HEADER",
    "SESSION_HEADER",
    "TUNNEL_PATH",
    "TUNNEL_SUBPROTOCOL",
    "Protocol",
    "RequestHead",
    "ResponseHead",
    "Role",
    "error_name",
]

_FIRST_CONNECTION_WINDOW_BYTES = 65535


class Protocol:
    """One HTTP/2 connection in our profile.

    Attributes:
        send_window: Returns how many bytes of DATA may be sent on an open stream now; may be
            negative.
        deliver: Says where a stream's payload goes from the next message on: ``receive_data`` puts
            it there instead of reporting it.
        stop_delivering: Undoes it, once the stream has ended.
    """

    def __init__(self, role: Role, *, max_streams: int = MAX_STREAMS) -> None:
        is_client = role is Role.CLIENT
        self._is_client = is_client
        self._h2 = Connection(h2.config.H2Configuration(client_side=is_client))
        self._h2.local_settings = local_settings(is_client=is_client, max_streams=max_streams)
        self._guard = FrameGuard(from_client=not is_client)
        self._data_path = DataPath(self._h2)
        self.send_window = self._data_path.send_window
        self.deliver = self._data_path.deliver
        self.stop_delivering = self._data_path.stop_delivering
        # In the order of the wire; the payload of DATA is not copied before it is taken.
        self._output: list[Piece] = []
        self._output_bytes = 0
        self._is_over = False
        # Body bytes that content-length still promises, and requests whose responses have no body.
        self._promised_bytes: dict[int, int] = {}
        self._head_requests: set[int] = set()
        translation = Translation(
            self._h2,
            is_client=is_client,
            data_path=self._data_path,
            head_requests=self._head_requests,
        )
        self._receiver = FrameReceiver(
            self._h2, self._data_path, translation, reset=self._forget, peer_left=self._peer_left
        )

    # What is known of the connection.

    @property
    def output_bytes(self) -> int:
        """Bytes that wait for ``take_output``."""
        return self._output_bytes

    @property
    def connect_allowed(self) -> bool:
        """Whether the peer's SETTINGS allow extended CONNECT (RFC 8441 §3)."""
        return bool(self._h2.remote_settings.enable_connect_protocol)

    @property
    def peer_max_streams(self) -> int:
        """How many streams the peer lets us have open."""
        return self._h2.remote_settings.max_concurrent_streams

    @property
    def connection_send_window(self) -> int:
        """How many bytes of DATA may be sent on all streams together now."""
        return self._h2.outbound_flow_control_window

    # What arrives.

    def receive_data(self, data: memoryview, *, now: float) -> list[Event]:
        """Take bytes of the connection, cut anywhere, and return what they mean, in order.

        Payload that somebody has asked for (``deliver``) goes there before this returns. Credit of
        the connection is returned at once, whatever became of the stream.

        Raises:
            ProtocolError: The peer broke the rules. The GOAWAY that says so is in the output.
        """
        try:
            events = self._receiver.take(data, self._guard.receive_data(data, now=now))
            window = self._data_path.connection_window
            if window < 0:
                raise WindowExceeded(f"{-window} bytes above the connection's window")
            credit = connection_credit(window)
            if credit and not self._is_over:
                self._put(self._data_path.grant(0, credit))
        except (h2.exceptions.H2Error, HyperframeError) as exc:
            error = protocol_error(exc)
            # h2 has queued a GOAWAY of its own, which says less.
            self._h2.clear_outbound_data_buffer()
            self.leave(str(error), error_code=error.error_code)
            raise error from exc
        except ProtocolError as exc:
            self.leave(str(exc), error_code=exc.error_code)
            raise
        self._collect()
        return events

    # What is sent.

    def start(self) -> None:
        """Send the preface, the settings and the connection's window."""
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(
            CONNECTION_WINDOW_BYTES - _FIRST_CONNECTION_WINDOW_BYTES
        )
        self._collect()

    def send_request(self, head: RequestHead) -> int:
        """Open a stream and send its head; returns the stream's id.

        Raises:
            HeadError: The head cannot be sent.
            SessionClosed: All ids of this connection are used up.
        """
        headers = encode_request(head, max_list_bytes=self._max_list_bytes())
        length = declared_length(headers)
        try:
            stream_id = self._h2.get_next_available_stream_id()
        except h2.exceptions.NoAvailableStreamIDError as exc:
            raise SessionClosed("the session has used up all stream ids") from exc
        self._h2.send_headers(stream_id, headers)
        if head.method == "HEAD":
            self._head_requests.add(stream_id)
        self._guard.request_sent()
        if length is not None:
            self._promised_bytes[stream_id] = length
        self._collect()
        return stream_id

    def send_response(self, stream_id: int, head: ResponseHead, *, end: bool) -> None:
        """Answer an open stream.

        Raises:
            HeadError: The head cannot be sent.
        """
        headers = encode_response(head, max_list_bytes=self._max_list_bytes())
        length = declared_length(headers)
        self._h2.send_headers(stream_id, headers, end_stream=end)
        has_body = stream_id not in self._head_requests
        self._head_requests.discard(stream_id)
        if length is not None and not end:
            self._promised_bytes[stream_id] = length if has_body else 0
        self._collect()

    def send_data(self, stream_id: int, pieces: Sequence[Piece], size: int, *, end: bool) -> None:
        """Send bytes on an open stream, within ``send_window``, as DATA frames.

        Args:
            stream_id: The stream.
            pieces: The bytes; they must not change any more.
            size: How many they are together.
            end: Whether they are the last.

        Raises:
            HeadError: The body is not as long as content-length said; the peer's h2 would end the
                whole session.
        """
        promised = self._promised_bytes.get(stream_id)
        if promised is not None:
            promised -= size
            if promised < 0 or (end and promised):
                raise HeadError("the body is not as long as its content-length")
            self._promised_bytes[stream_id] = promised
        if size and not (end and size <= MAX_DATA_BYTES):
            self._output += self._data_path.send(stream_id, pieces, size)
            self._output_bytes += size + FRAME_HEADER_BYTES * -(-size // MAX_DATA_BYTES)
            pieces = ()
        if end:
            self._h2.send_data(stream_id, b"".join(pieces), end_stream=True)
            self._promised_bytes.pop(stream_id, None)
            self._collect()
        self._guard.data_sent(size)

    def reset_stream(self, stream_id: int, *, error_code: int) -> None:
        """End a stream early; nothing happens if it has ended."""
        if not self._is_over:
            with contextlib.suppress(h2.exceptions.StreamClosedError):
                self._h2.reset_stream(stream_id, error_code)
                self._data_path.expect_late(stream_id)
            self._collect()
        self._forget(stream_id)

    def grant(self, stream_id: int, credit: int) -> None:
        """Let the peer send so many bytes more; nothing happens on a stream that has ended."""
        # h2 may be ahead of the events: a stream can end later in the message being handled.
        stream = self._h2.streams.get(stream_id)
        if stream is not None and not stream.closed and not self._is_over:
            self._put(self._data_path.grant(stream_id, credit))
            self._collect()

    def ping(self, opaque: bytes) -> None:
        """Send a PING with eight opaque bytes."""
        if not self._is_over:
            self._h2.ping(opaque)
            self._collect()

    def leave(self, reason: str, *, error_code: int = 0) -> None:
        """Send GOAWAY with a reason for people; nothing can be sent or received after it."""
        if self._is_over:
            return
        self._is_over = True
        self._h2.close_connection(error_code, reason.encode()[:MAX_REASON_BYTES])
        self._collect()

    def take_output(self, max_bytes: int) -> list[Piece]:
        """Take up to ``max_bytes`` of what is to go out, in order and in pieces."""
        if self._output_bytes <= max_bytes:
            taken, self._output = self._output, []
            self._output_bytes = 0
            return taken
        with memoryview(b"".join(self._output)) as whole:
            taken, self._output = [bytes(whole[:max_bytes])], [bytes(whole[max_bytes:])]
        self._output_bytes -= max_bytes
        return taken

    def _collect(self) -> None:
        self._put(self._h2.data_to_send())

    def _put(self, output: bytes) -> None:
        if output:
            self._output.append(output)
            self._output_bytes += len(output)

    def _peer_left(self) -> None:
        # h2 sends nothing after it, not even for what came in the same message before.
        self._is_over = True

    def _forget(self, stream_id: int) -> None:
        self._data_path.close(stream_id)
        self._promised_bytes.pop(stream_id, None)
        self._head_requests.discard(stream_id)

    def _max_list_bytes(self) -> int:
        theirs = self._h2.remote_settings.max_header_list_size
        return MAX_HEADER_LIST_BYTES if theirs is None else min(theirs, MAX_HEADER_LIST_BYTES)
