"""h2's events as ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h2.config
import h2.connection
import h2.events
import pytest
from h2.settings import SettingCodes

from tunnel.data_path import DataPath
from tunnel.errors import ProtocolError
from tunnel.events import (
    DataArrived,
    EndArrived,
    PeerLeft,
    RequestArrived,
    ResetArrived,
    SettingsArrived,
)
from tunnel.translation import MAX_REASON_BYTES, Translation

if TYPE_CHECKING:
    from tunnel.events import Event

HEADERS = [
    (":method", "POST"),
    (":path", "/run"),
    (":scheme", "https"),
    (":authority", "edgelet"),
]


class Ends:
    """h2's client, and a server whose events are translated."""

    def __init__(self) -> None:
        self.client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self.data_path = DataPath(self.server)
        self.head_requests: set[int] = set()
        self.translation = Translation(
            self.server,
            is_client=False,
            data_path=self.data_path,
            head_requests=self.head_requests,
        )
        self.server.initiate_connection()
        self.client.initiate_connection()

    def events(self) -> list[Event]:
        """Hand what the client has queued to the server."""
        events = self.server.receive_data(self.client.data_to_send())
        return list(self.translation.translate(events))


def test_a_call_is_told_in_order() -> None:
    """The preface's settings, the head, a body, the end; what means nothing to us is left out."""
    ends = Ends()
    ends.client.send_headers(1, HEADERS)
    ends.client.send_data(1, b"body", end_stream=True)
    seen = ends.events()
    assert [type(event) for event in seen] == [
        SettingsArrived,
        RequestArrived,
        DataArrived,
        EndArrived,
    ]
    assert seen[2] == DataArrived(1, b"body", 4)


def test_data_passes_h2_while_its_stream_is_open() -> None:
    """From the head to the end."""
    ends = Ends()
    ends.client.send_headers(1, HEADERS)
    ends.events()
    assert 1 in ends.data_path.open_streams
    ends.client.end_stream(1)
    ends.events()
    assert 1 not in ends.data_path.open_streams


def test_a_body_of_a_known_length_is_left_to_h2() -> None:
    """It compares the two."""
    ends = Ends()
    ends.client.send_headers(1, [*HEADERS, ("content-length", "4")])
    ends.events()
    assert 1 not in ends.data_path.open_streams


def test_a_head_request_is_remembered() -> None:
    """Its response has a length and no body."""
    ends = Ends()
    ends.client.send_headers(1, [(":method", "HEAD"), *HEADERS[1:]], end_stream=True)
    ends.events()
    assert ends.head_requests == {1}


def test_a_reset_has_its_code() -> None:
    """And says whose it is."""
    ends = Ends()
    ends.client.send_headers(1, HEADERS)
    ends.events()
    ends.client.reset_stream(1, error_code=8)
    assert ends.events() == [ResetArrived(1, 8, by_peer=True)]


def test_a_client_takes_no_requests() -> None:
    """Only the provider asks."""
    ends = Ends()
    ends.client.send_headers(1, HEADERS)
    client = Translation(ends.server, is_client=True, data_path=ends.data_path, head_requests=set())
    events = ends.server.receive_data(ends.client.data_to_send())
    with pytest.raises(ProtocolError, match="opened a stream"):
        list(client.translate(events))


def test_the_reason_of_a_goaway_is_fit_for_a_terminal() -> None:
    """No escape sequences, and not without end."""
    ends = Ends()
    ends.client.close_connection(0, b"\x1b[31mstop\n" + b"x" * 2 * MAX_REASON_BYTES)
    (left,) = [event for event in ends.events() if isinstance(event, PeerLeft)]
    assert left.reason.startswith("?[31mstop?x")
    assert len(left.reason) == MAX_REASON_BYTES


def test_unknown_settings_are_not_kept() -> None:
    """Nor does the peer choose how much our encoder keeps."""
    ends = Ends()
    ends.events()
    ends.client.update_settings({0x99: 1, SettingCodes.HEADER_TABLE_SIZE: 1 << 20})
    assert ends.events() == [SettingsArrived()]
    assert 0x99 not in ends.server.remote_settings
    assert ends.server.encoder.header_table_size == 4096
