"""aiohttp's server WebSocket as the tunnel's message pipe."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from aiohttp import WSMsgType, web

from tunnel.errors import SessionClosed
from tunnel.pipe import MAX_MESSAGE_BYTES
from tunnel.send_gate import SendGate
from tunnel.send_rate import MAX_UNSENT_BYTES

if TYPE_CHECKING:
    import asyncio

# What may wait below HTTP/2: more, and a keystroke queues behind a log.
WRITE_BUFFER_BYTES = MAX_UNSENT_BYTES
# The kernel gives up on a peer that acknowledges nothing for so long; PINGs of the session notice
# earlier.
TCP_USER_TIMEOUT_MS = 20_000


class ServerPipe:
    """One accepted WebSocket; messages are binary and of at most MAX_MESSAGE_BYTES.

    Args:
        websocket: Prepared, without compression and automatic pongs.
        transport: The connection below it.
    """

    def __init__(self, websocket: web.WebSocketResponse, transport: asyncio.Transport) -> None:
        self._websocket = websocket
        self._transport = transport
        self._gate = SendGate(transport.get_extra_info("socket"))
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        _set_socket_options(transport)

    async def receive(self) -> bytes:
        """Return the next message.

        Raises:
            SessionClosed: The WebSocket ended, or the peer sent a text or an oversized message.
        """
        while True:
            message = await self._websocket.receive()
            match message.type:
                case WSMsgType.BINARY:
                    data: bytes = message.data
                    return data
                case WSMsgType.PING:
                    await self._pong(message.data)
                case WSMsgType.PONG:
                    continue
                case WSMsgType.TEXT:
                    raise SessionClosed("the edge sent a text message")
                case WSMsgType.ERROR:
                    raise SessionClosed(f"the WebSocket failed: {message.data}")
                case WSMsgType.CLOSE:
                    reason = f" ({message.extra})" if message.extra else ""
                    raise SessionClosed(
                        f"the edge closed the connection with {message.data}{reason}"
                    )
                case _:
                    raise SessionClosed("the connection to the edge was lost")

    async def send(self, message: bytes) -> None:
        """Send one message; then waits while more than the limit waits below.

        Raises:
            SessionClosed: The WebSocket ended.
        """
        try:
            await self._websocket.send_bytes(message)
            await self._gate.wait_room()
        except (ConnectionError, RuntimeError) as exc:
            raise SessionClosed("the connection to the edge was lost") from exc

    def limit_unsent(self, limit_bytes: int) -> None:
        """Let so many bytes wait unsent below; at most WRITE_BUFFER_BYTES, as in the beginning."""
        self._gate.limit(limit_bytes)

    def abort(self) -> None:
        """Reset the connection; what was not sent yet is dropped."""
        self._gate.close()
        self._transport.abort()

    async def _pong(self, payload: bytes) -> None:
        try:
            await self._websocket.pong(payload)
        except (ConnectionError, RuntimeError) as exc:
            raise SessionClosed("the connection to the edge was lost") from exc


def accept_websocket(*, protocol: str, headers: dict[str, str]) -> web.WebSocketResponse:
    """Make the response that accepts a WebSocket for ServerPipe."""
    websocket = web.WebSocketResponse(
        protocols=(protocol,),
        compress=False,
        autoping=False,
        autoclose=False,
        heartbeat=None,
        max_msg_size=MAX_MESSAGE_BYTES + 1,
        # Look after every frame whether the transport wants a pause, not after every 64 KiB.
        writer_limit=0,
        timeout=1.0,
    )
    websocket.headers.update(headers)
    return websocket


def _set_socket_options(transport: asyncio.Transport) -> None:
    connection = transport.get_extra_info("socket")
    if connection is None:
        # The edge has hung up meanwhile; the first read says so.
        return
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, WRITE_BUFFER_BYTES)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, TCP_USER_TIMEOUT_MS)
