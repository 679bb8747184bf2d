"""The WebSocket of the edge: its messages, and what is asked of its socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from edge_runtime.uplink.websocket_pipe import (
    WRITE_LIMIT_BYTES,
    ClientWebSocketPipe,
    tune_socket,
)
from tunnel.errors import SessionClosed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


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


@pytest.fixture
async def ends() -> AsyncIterator[tuple[ClientWebSocketPipe, ServerConnection]]:
    """Connect the pipe to a server of the same library."""
    accepted: asyncio.Queue[ServerConnection] = asyncio.Queue()

    async def accept(connection: ServerConnection) -> None:
        accepted.put_nowait(connection)
        await connection.wait_closed()

    async with serve(accept, "127.0.0.1", 0, compression=None, close_timeout=0.1) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}/", compression=None) as connection:
            pipe = ClientWebSocketPipe(connection)
            yield pipe, await accepted.get()
            pipe.abort()


@pytest.mark.parametrize("size", [1, 125, 126, 65535, 65536])
async def test_messages_of_any_size_travel(
    ends: tuple[ClientWebSocketPipe, ServerConnection], size: int
) -> None:
    """They do not pass the library's own ``send``."""
    pipe, server = ends
    await pipe.send(bytes(size))
    assert await server.recv() == bytes(size)


async def test_a_sender_waits_for_a_peer_that_does_not_read(
    ends: tuple[ClientWebSocketPipe, ServerConnection],
) -> None:
    """Also at a low limit, and until the connection is dropped."""
    pipe, server = ends
    server.transport.pause_reading()
    pipe.limit_unsent(16 << 10)
    with pytest.raises(TimeoutError):
        await _send_for(pipe, 0.5)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(_send_until_closed(pipe))
        await asyncio.sleep(0)
        pipe.abort()
    assert waiting.done()


async def test_sending_after_the_end_says_why(
    ends: tuple[ClientWebSocketPipe, ServerConnection],
) -> None:
    """In the words of the one who closed it."""
    pipe, server = ends
    await server.close(1001, "going away")
    with pytest.raises(SessionClosed, match="closed the WebSocket with code 1001"):
        await _send_for(pipe, 5)


async def _send_for(pipe: ClientWebSocketPipe, timeout_s: float) -> None:
    async with asyncio.timeout(timeout_s):
        while True:
            await pipe.send(bytes(16 << 10))


async def _send_until_closed(pipe: ClientWebSocketPipe) -> None:
    with contextlib.suppress(SessionClosed):
        await _send_for(pipe, 5)
