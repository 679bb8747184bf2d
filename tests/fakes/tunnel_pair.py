"""Both ends of a tunnel in one loop: a real client session and a real server session."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from tests.fakes.memory_pipe import MemoryPipe, memory_pipes
from tunnel.protocol import RequestHead, Role
from tunnel.session import Session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tunnel.stream import Stream


class TunnelPair:
    """The provider's side of a tunnel whose other end serves with a handler."""

    def __init__(self, client: Session, server: Session, pipe: MemoryPipe) -> None:
        self.client = client
        self.server = server
        self.pipe = pipe

    async def request(
        self,
        path: str,
        *,
        method: str = "GET",
        headers: tuple[tuple[str, str], ...] = (),
        protocol: str | None = None,
    ) -> Stream:
        """Open a stream; without a protocol its request has no body."""
        head = RequestHead(method=method, path=path, headers=headers, protocol=protocol)
        stream = await self.client.open(head)
        if protocol is None:
            await stream.close_write()
        return stream

    async def fetch(self, path: str, *, method: str = "GET") -> tuple[int, bytes]:
        """Return status and whole body of a plain request."""
        stream = await self.request(path, method=method)
        head = await stream.response()
        return head.status, await read_all(stream)


async def read_all(stream: Stream) -> bytes:
    """Read to the peer's end of stream."""
    parts = []
    while data := await stream.read():
        parts.append(data)
    return b"".join(parts)


@contextlib.asynccontextmanager
async def tunnel_pair(handler: Callable[[Stream], Awaitable[None]]) -> AsyncIterator[TunnelPair]:
    """Connect both ends until the block ends."""
    client_pipe, server_pipe = memory_pipes()
    client = Session(role=Role.CLIENT, session_id="0" * 32)
    server = Session(role=Role.SERVER, session_id="0" * 32, handler=handler)
    async with asyncio.TaskGroup() as group:
        client_run = group.create_task(client.run(client_pipe))
        server_run = group.create_task(server.run(server_pipe))
        try:
            yield TunnelPair(client, server, client_pipe)
        finally:
            client_run.cancel()
            server_run.cancel()
