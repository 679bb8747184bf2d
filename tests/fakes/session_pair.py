"""Both ends of one tunnel session in one loop, over a memory pipe."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from typing import TYPE_CHECKING

from tests.fakes.memory_pipe import MAX_WAITING_BYTES, MemoryPipe, memory_pipes
from tunnel.protocol import RequestHead, ResponseHead, Role
from tunnel.session import Handler, Limits, Session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tunnel.stream import Stream

GET = RequestHead(method="GET", path="/")
OK = ResponseHead(status=200)


@dataclasses.dataclass(slots=True, kw_only=True)
class SessionPair:
    """The provider's end (client), the edge's (server), and what lies between."""

    client: Session
    server: Session
    client_pipe: MemoryPipe
    server_pipe: MemoryPipe
    client_run: asyncio.Task[str]
    server_run: asyncio.Task[str]


@contextlib.asynccontextmanager
async def session_pair(
    handler: Handler,
    *,
    delay_s: float = 0.0,
    room_bytes: int = MAX_WAITING_BYTES,
    client_limits: Limits | None = None,
    server_limits: Limits | None = None,
) -> AsyncIterator[SessionPair]:
    """Run both ends; at the end the connection is cut if it still lives."""
    client_pipe, server_pipe = memory_pipes(delay_s=delay_s, room_bytes=room_bytes)
    client = Session(role=Role.CLIENT, session_id="s", limits=client_limits)
    server = Session(role=Role.SERVER, session_id="s", handler=handler, limits=server_limits)
    async with asyncio.TaskGroup() as tasks:
        pair = SessionPair(
            client=client,
            server=server,
            client_pipe=client_pipe,
            server_pipe=server_pipe,
            client_run=tasks.create_task(client.run(client_pipe)),
            server_run=tasks.create_task(server.run(server_pipe)),
        )
        try:
            yield pair
        finally:
            client_pipe.cut()


async def echo(stream: Stream) -> None:
    """Answer 200 and send back what comes, to its end."""
    await stream.respond(OK)
    while data := await stream.read():
        await stream.write(data)
    await stream.close_write()


async def read_all(stream: Stream) -> bytes:
    """Read a stream to its end."""
    received = bytearray()
    while data := await stream.read():
        received += data
    return bytes(received)
