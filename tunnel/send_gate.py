"""SendGate: waits until the kernel has little unsent of one socket.

A TLS transport says only how much waits in itself: the transport below it and the kernel hold about
64 KiB each before it notices. The kernel is asked, so that what is written then waits nowhere else.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
from typing import TYPE_CHECKING

from tunnel.send_rate import MAX_UNSENT_BYTES

if TYPE_CHECKING:
    from asyncio.trsock import TransportSocket


class SendGate:
    """Bounds what waits unsent below one connection.

    At MAX_UNSENT_BYTES it never waits: on a link so fast the transport's own limit is enough.

    Args:
        tcp: The connection's socket; the transport may close it at any time.
    """

    def __init__(self, tcp: TransportSocket) -> None:
        self._tcp = tcp
        self._limit_bytes = MAX_UNSENT_BYTES
        # A descriptor of our own: event loops refuse to watch one that a transport has.
        self._socket: socket.socket | None = None
        self._poll = select.poll()
        self._room: asyncio.Future[None] | None = None
        self._is_closed = False

    def limit(self, limit_bytes: int) -> None:
        """Let so many bytes wait unsent; at most MAX_UNSENT_BYTES."""
        if limit_bytes == self._limit_bytes or self._is_closed:
            return
        self._limit_bytes = limit_bytes
        descriptor = self._tcp.fileno()
        if self._socket is None and descriptor >= 0:
            self._socket = socket.socket(fileno=os.dup(descriptor))
            self._poll.register(self._socket, select.POLLOUT)
        if self._socket is not None:
            # A socket counts as writable while less than half of it is unsent.
            low_water_bytes = min(2 * limit_bytes, MAX_UNSENT_BYTES)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, low_water_bytes)

    async def wait_room(self) -> None:
        """Wait until less than the limit is unsent, or the connection is gone. Cancelling is safe.

        One task at a time may wait.
        """
        if self._limit_bytes >= MAX_UNSENT_BYTES or self._socket is None or self._poll.poll(0):
            return
        loop = asyncio.get_running_loop()
        descriptor = self._socket.fileno()
        self._room = loop.create_future()
        loop.add_writer(descriptor, self._let_in)
        try:
            await self._room
        finally:
            self._room = None
            if self._socket is not None:
                loop.remove_writer(descriptor)

    def close(self) -> None:
        """Wait no more, and let go of the socket; may be called again."""
        self._is_closed = True
        tcp, self._socket = self._socket, None
        if tcp is None:
            return
        if self._room is not None:
            asyncio.get_running_loop().remove_writer(tcp.fileno())
            self._let_in()
        tcp.close()

    def _let_in(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
