"""The WebSocket of the edge: what is asked of its socket."""

from __future__ import annotations

import asyncio
import socket

import pytest

from edge_runtime.uplink.websocket_pipe import WRITE_LIMIT_BYTES, tune_socket


class Transport(asyncio.BaseTransport):
    """A transport over a socket, or over none any more."""

    def __init__(self, tcp: socket.socket | None) -> None:
        super().__init__({"socket": tcp})


def test_a_peer_that_hung_up_is_an_error_of_the_dial() -> None:
    """It was an AttributeError, which ended the whole edge."""
    with pytest.raises(ConnectionResetError, match="hung up"):
        tune_socket(Transport(None))


def test_little_waits_in_the_kernel() -> None:
    """A keystroke must not queue behind megabytes of a log."""
    with socket.socket() as tcp:
        tune_socket(Transport(tcp))
        assert tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        limit = tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)
    assert limit == WRITE_LIMIT_BYTES
