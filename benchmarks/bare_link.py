"""Plain TCP over a simulated link: what the tunnel is compared with."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from tests.fakes.link_simulator import small_socket
from tests.fakes.simulated_link import simulated_link

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
PIECE = bytes(64 << 10)


class BareLink:
    """A link, and a server at its far end."""

    def __init__(self, link_port: int, accepted: asyncio.Queue[Ends]) -> None:
        self._link_port = link_port
        self._accepted = accepted

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[tuple[Ends, Ends]]:
        """Open one connection: the end that dialled, and the other one."""
        dialler = small_socket()
        try:
            loop = asyncio.get_running_loop()
            await loop.sock_connect(dialler, ("127.0.0.1", self._link_port))
        except BaseException:
            dialler.close()
            raise
        near = await asyncio.open_connection(sock=dialler)
        far = await self._accepted.get()
        try:
            yield near, far
        finally:
            for _, writer in (near, far):
                writer.transport.abort()


@contextlib.asynccontextmanager
async def bare_link(conditions: Mapping[str, float]) -> AsyncIterator[BareLink]:
    """Run a link that is the same both ways, and a server behind it."""
    accepted: asyncio.Queue[Ends] = asyncio.Queue()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accepted.put((reader, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        port: int = server.sockets[0].getsockname()[1]
        async with simulated_link(port, up=dict(conditions), down=dict(conditions)) as link:
            yield BareLink(link.port, accepted)
    finally:
        server.close()


async def fill(writer: asyncio.StreamWriter) -> None:
    """Send for ever."""
    while True:
        writer.write(PIECE)
        await writer.drain()


async def swallow(reader: asyncio.StreamReader) -> None:
    """Receive until the other end is gone."""
    with contextlib.suppress(ConnectionError):
        while await reader.read(1 << 16):
            pass
