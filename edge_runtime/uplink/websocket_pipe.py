"""One attached WebSocket of the ``websockets`` client as the tunnel's message pipe."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from tunnel.errors import SessionClosed
from tunnel.send_gate import SendGate
from tunnel.send_rate import MAX_UNSENT_BYTES

if TYPE_CHECKING:
    import asyncio

    from websockets.asyncio.client import ClientConnection

# What may wait below HTTP/2, in the kernel and in the TLS transport alike: a keystroke never queues
# behind more of a log than this.
WRITE_LIMIT_BYTES = MAX_UNSENT_BYTES
# Liveness is the session's PING; this only frees the socket of a peer that vanished.
USER_TIMEOUT_S = 15


class ClientWebSocketPipe:
    """Binary messages of one WebSocket; the protocol of tunnel/session.py."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._gate = SendGate(connection.transport.get_extra_info("socket"))

    async def receive(self) -> bytes:
        """Return the next message. Cancelling is safe: no message is lost.

        Raises:
            SessionClosed: The WebSocket ended, or the peer sent text or too large a message.
        """
        try:
            message = await self._connection.recv()
        except ConnectionClosed as exc:
            raise SessionClosed(describe_closed(exc)) from exc
        if isinstance(message, str):
            raise SessionClosed("the provider sent a text message")
        return message

    async def send(self, message: bytes) -> None:
        """Send one message; then wait while more than the limit waits below.

        Raises:
            SessionClosed: The WebSocket ended.
        """
        connection = self._connection
        try:
            if connection.protocol.state is not State.OPEN:
                # Waits for the end, and raises what it was.
                await connection.send(message)
            # What send() does for a whole message, without its context manager, which takes a
            # tenth of the time that the message takes.
            connection.protocol.send_binary(message)
            connection.send_data()
            if connection.paused or connection.transport.is_closing():
                await connection.drain()
            await self._gate.wait_room()
        except ConnectionClosed as exc:
            raise SessionClosed(describe_closed(exc)) from exc
        except (OSError, RuntimeError) as exc:
            raise SessionClosed(f"the connection was lost: {exc}") from exc

    def limit_unsent(self, limit_bytes: int) -> None:
        """Let so many bytes wait unsent below; at most WRITE_LIMIT_BYTES, as in the beginning."""
        self._gate.limit(limit_bytes)

    def abort(self) -> None:
        """Drop the connection at once, without a closing handshake."""
        self._gate.close()
        self._connection.transport.abort()


def describe_closed(exc: ConnectionClosed) -> str:
    """Say in one sentence why a WebSocket ended."""
    if exc.rcvd is not None:
        reason = f" ({exc.rcvd.reason})" if exc.rcvd.reason else ""
        return f"the provider closed the WebSocket with code {exc.rcvd.code}{reason}"
    if exc.sent is not None:
        return f"the WebSocket was closed with code {exc.sent.code} ({exc.sent.reason})"
    cause = exc.__cause__
    return f"the connection was lost: {cause}" if cause is not None else "the connection was lost"


def tune_socket(transport: asyncio.BaseTransport) -> None:
    """Set what the tunnel needs of TCP: no delay, little unsent data, no endless retransmission.

    Raises:
        ConnectionResetError: The peer has hung up meanwhile; the transport has no socket any more.
    """
    tcp = transport.get_extra_info("socket")
    if tcp is None:
        raise ConnectionResetError(errno.ECONNRESET, "the provider hung up behind its answer")
    tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, WRITE_LIMIT_BYTES)
    tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_S * 1000)
