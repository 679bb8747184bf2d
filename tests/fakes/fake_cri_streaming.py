"""A streaming server as a container runtime has one: HTTP/1.1 on loopback that answers upgrades."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import struct
import termios
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\n"
    b"Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
    b"X-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n"
)


@dataclass
class Upgraded:
    """One connection after its request head was read; the test's behaviour takes it from there."""

    request_line: str
    headers: list[tuple[str, str]]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def delivered(self) -> None:
        """Return when the other end's kernel has all that was written: a reset loses the rest."""
        await self.writer.drain()
        fd = self.writer.get_extra_info("socket").fileno()
        transport = self.writer.transport
        # The kernel tells nobody when it is done: ask in every turn of the loop.
        while transport.get_write_buffer_size() or _unacknowledged_bytes(fd):  # noqa: ASYNC110
            await asyncio.sleep(0)

    def reset(self) -> None:
        """Break the connection with RST instead of an orderly end."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


def _unacknowledged_bytes(fd: int) -> int:
    return int(struct.unpack("i", fcntl.ioctl(fd, termios.TIOCOUTQ, bytes(4)))[0])


@dataclass
class FakeCriStreaming:
    """Serves ``http://127.0.0.1:PORT/<anything>`` with the given behaviour."""

    behaviour: Callable[[Upgraded], Awaitable[None]]
    port: int = 0
    connections: list[Upgraded] = field(default_factory=list)
    serving: set[asyncio.Task[None]] = field(default_factory=set)

    def url(self, path: str = "/exec/token") -> str:
        """Return a URL as the runtime's Exec would."""
        return f"http://127.0.0.1:{self.port}{path}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.serving.add(task)
        task.add_done_callback(self.serving.discard)
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        request_line, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        headers = [(n.lower(), v.strip()) for n, _, v in (line.partition(":") for line in lines)]
        connection = Upgraded(
            request_line=request_line, headers=headers, reader=reader, writer=writer
        )
        self.connections.append(connection)
        try:
            await self.behaviour(connection)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def serve_cri_streaming(
    behaviour: Callable[[Upgraded], Awaitable[None]],
) -> AsyncIterator[FakeCriStreaming]:
    """Serve until the block ends."""
    fake = FakeCriStreaming(behaviour)
    server = await asyncio.start_server(fake._serve, "127.0.0.1", 0)
    fake.port = server.sockets[0].getsockname()[1]
    try:
        yield fake
    finally:
        server.close()
        for task in fake.serving:
            task.cancel()
        await asyncio.gather(*fake.serving, return_exceptions=True)
        await server.wait_closed()


async def echo(connection: Upgraded) -> None:
    """Upgrade, then send back every byte until the client's half-close, then end orderly."""
    connection.writer.write(SWITCHING)
    while data := await connection.reader.read(65536):
        connection.writer.write(data)
        await connection.writer.drain()
    connection.writer.write_eof()
