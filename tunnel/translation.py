"""Translation: h2's events as ours, and what has to be done at once when they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h2.events
from h2.errors import ErrorCodes
from h2.settings import SettingCodes

from tunnel.errors import ProtocolError, WindowExceeded
from tunnel.events import (
    DataArrived,
    EndArrived,
    Event,
    PeerLeft,
    PingAnswered,
    RequestArrived,
    ResetArrived,
    ResponseArrived,
    SettingsArrived,
    WindowOpened,
)
from tunnel.heads import decode_request, decode_response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from h2.connection import H2Connection

    from tunnel.data_path import DataPath

# HPACK's own default. A peer may announce more, and our encoder would keep that much for it.
_MAX_ENCODER_TABLE_BYTES = 4096
MAX_REASON_BYTES = 1024
_KNOWN_SETTINGS = frozenset(int(code) for code in SettingCodes)


class Translation:
    """The events of one connection; those that mean nothing to us are dropped.

    Args:
        connection: h2's connection, which has made the events.
        is_client: Whether this end is the client.
        data_path: Is told which streams' DATA may pass h2.
        head_requests: Streams whose responses have no body; HEAD requests that come are added.
    """

    def __init__(
        self,
        connection: H2Connection,
        *,
        is_client: bool,
        data_path: DataPath,
        head_requests: set[int],
    ) -> None:
        self._h2 = connection
        self._is_client = is_client
        self._data_path = data_path
        self._head_requests = head_requests
        self._translations: dict[type, Callable[[Any], Event]] = {
            h2.events.DataReceived: lambda event: DataArrived(
                event.stream_id, event.data, event.flow_controlled_length
            ),
            h2.events.StreamEnded: self._end,
            h2.events.WindowUpdated: lambda event: WindowOpened(event.stream_id or 0),
            h2.events.RequestReceived: self._request,
            h2.events.ResponseReceived: self._response,
            h2.events.StreamReset: _reset,
            h2.events.RemoteSettingsChanged: self._settings,
            h2.events.PingAckReceived: lambda event: PingAnswered(event.ping_data),
            h2.events.ConnectionTerminated: _goaway,
        }

    def translate(self, events: Iterable[h2.events.Event]) -> Iterator[Event]:
        """Translate what h2 reports, in order.

        Raises:
            ProtocolError: The server opened a stream, or a head cannot be read.
            WindowExceeded: The peer gave a stream a window beyond 2^31-1.
        """
        for event in events:
            translation = self._translations.get(type(event))
            if translation is not None:
                yield translation(event)

    def _request(self, event: h2.events.RequestReceived) -> Event:
        if self._is_client:
            raise ProtocolError("the server opened a stream towards the client")
        head = decode_request(event.headers)
        if head.method == "HEAD":
            self._head_requests.add(event.stream_id)
        self._open_data_path(event.stream_id, event.headers)
        return RequestArrived(event.stream_id, head)

    def _response(self, event: h2.events.ResponseReceived) -> Event:
        if event.stream_id not in self._head_requests:
            self._open_data_path(event.stream_id, event.headers)
        return ResponseArrived(event.stream_id, decode_response(event.headers))

    def _open_data_path(self, stream_id: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        # h2 compares bodies with their content-length, so it has to see those.
        if all(name != b"content-length" for name, _ in headers):
            self._data_path.open(stream_id)

    def _end(self, event: h2.events.StreamEnded) -> Event:
        self._data_path.close(event.stream_id)
        if self._is_client:
            self._head_requests.discard(event.stream_id)
        return EndArrived(event.stream_id)

    def _settings(self, _event: h2.events.RemoteSettingsChanged) -> Event:
        settings = self._h2.remote_settings
        # h2 keeps settings that nobody knows, and lets the peer choose how much our encoder keeps.
        for code in [code for code in settings if code not in _KNOWN_SETTINGS]:
            del settings[code]
        if self._h2.encoder.header_table_size > _MAX_ENCODER_TABLE_BYTES:
            self._h2.encoder.header_table_size = _MAX_ENCODER_TABLE_BYTES
        return SettingsArrived()


def _reset(event: h2.events.StreamReset) -> Event:
    if not event.remote_reset and event.error_code == ErrorCodes.FLOW_CONTROL_ERROR:
        # h2 resets the stream alone. Whoever cannot count one window cannot count the others: a
        # stream's error may be taken for the connection's (RFC 9113 §5.4.1).
        raise WindowExceeded(f"stream {event.stream_id} got a window beyond 2^31-1")
    return ResetArrived(event.stream_id, int(event.error_code or 0), event.remote_reset)


def _goaway(event: h2.events.ConnectionTerminated) -> Event:
    text = (event.additional_data or b"")[:MAX_REASON_BYTES].decode("utf-8", "replace")
    # It goes to logs and terminals: no line breaks, no escape sequences.
    reason = "".join(character if character.isprintable() else "?" for character in text)
    return PeerLeft(int(event.error_code or 0), reason)
