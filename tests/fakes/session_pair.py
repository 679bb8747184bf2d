"""Both ends of one tunnel session in one loop, over one memory pipe or one after another."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from typing import TYPE_CHECKING

from tests.fakes.memory_pipe import MAX_WAITING_BYTES, MemoryPipe, memory_pipes
from tunnel.errors import ProtocolError
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


class ResumablePair:
    """Both ends of a session that is attached to one memory pipe after another.

    Attributes:
        client_ended: Why each of the client's attachments ended, in order.
        client_run: What the client's ``run`` gave or, as text, raised.
    """

    def __init__(self, client: Session, server: Session, tasks: asyncio.TaskGroup) -> None:
        self.client = client
        self.server = server
        self.client_ended: list[str] = []
        self.server_ended: list[str] = []
        self._tasks = tasks
        self.client_run = tasks.create_task(_run(client))
        self.server_run = tasks.create_task(_run(server))

    def connect(
        self, *, delay_s: float = 0.0, room_bytes: int = MAX_WAITING_BYTES
    ) -> tuple[MemoryPipe, MemoryPipe]:
        """Attach both ends to a new connection, as dialling anew does."""
        pipes = memory_pipes(delay_s=delay_s, room_bytes=room_bytes)
        # The edge dials: its old socket goes first, then the provider's, then the counts are read.
        self.server.detach("dialling anew")
        server_count = self.server.received_bytes
        self.client.detach("dialled anew")
        client_count = self.client.received_bytes
        for session, pipe, count, ended in (
            (self.client, pipes[0], server_count, self.client_ended),
            (self.server, pipes[1], client_count, self.server_ended),
        ):
            self._tasks.create_task(_attach(session, pipe, count, ended))
        return pipes


async def _run(session: Session) -> str:
    try:
        return await session.run()
    except ProtocolError as exc:
        return str(exc)


async def _attach(session: Session, pipe: MemoryPipe, count: int, ended: list[str]) -> None:
    ended.append(await session.attach(pipe, peer_received_bytes=count))


@contextlib.asynccontextmanager
async def resumable_pair(
    handler: Handler,
    *,
    client_limits: Limits | None = None,
    server_limits: Limits | None = None,
) -> AsyncIterator[ResumablePair]:
    """Run both ends, unattached; at the end both are closed."""
    client = Session(role=Role.CLIENT, session_id="s", limits=client_limits)
    server = Session(role=Role.SERVER, session_id="s", handler=handler, limits=server_limits)
    async with asyncio.TaskGroup() as tasks:
        pair = ResumablePair(client, server, tasks)
        try:
            yield pair
        finally:
            client.close("the test is over")
            server.close("the test is over")


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
