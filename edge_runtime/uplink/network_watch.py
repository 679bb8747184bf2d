"""Listens to the kernel for changes of links and addresses."""

from __future__ import annotations

import asyncio
import errno
import socket

from edge_runtime.uplink.netlink import GROUPS, Network

# One change is several messages: the link, its addresses, its routes. Waiting a moment also lets
# the routes come, without which a dial would fail.
SETTLE_S = 0.3
_DATAGRAM_BYTES = 64 << 10


class NetworkWatch:
    """Tells of changes of the network; see ``netlink.Network`` for what is one.

    Args:
        listening: A netlink socket that is subscribed, non-blocking; closed by ``close``.
    """

    def __init__(self, listening: socket.socket) -> None:
        self._socket = listening
        self._network = Network()

    @classmethod
    def open(cls) -> NetworkWatch:
        """Subscribe.

        Raises:
            OSError: The kernel has no netlink, or does not let this process have it.
        """
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        listening = socket.socket(socket.AF_NETLINK, kind, 0)
        try:
            listening.bind((0, GROUPS))
        except OSError:
            listening.close()
            raise
        return cls(listening)

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    async def wait(self) -> None:
        """Return soon after the next change. Cancelling is safe.

        What changes between two calls is told by the next one; the first call asks for all that
        there is.

        Raises:
            OSError: The socket failed.
        """
        while not await self._receive():
            pass
        try:
            async with asyncio.timeout(SETTLE_S):
                while True:
                    await self._receive()
        except TimeoutError:
            return

    async def _receive(self) -> bool:
        request = self._network.next_request()
        if request is not None:
            self._socket.send(request)
        try:
            datagram = await asyncio.get_running_loop().sock_recv(self._socket, _DATAGRAM_BYTES)
        except OSError as exc:
            if exc.errno != errno.ENOBUFS:
                raise
            # More came than the socket holds. What was missed may well be a change.
            self._network = Network()
            return True
        return self._network.receive(datagram)
