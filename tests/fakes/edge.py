"""An edge at the other end of a real tunnel session over memory pipes."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from provider.edge_link.edge_client import EdgeClient
from tests.fakes.memory_pipe import MemoryPipe, memory_pipes
from tunnel.errors import ProtocolError
from tunnel.identity import parse_site_name
from tunnel.session import Role, Session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tunnel.stream import Stream


class FakeEdge:
    """A connected edge.

    Attributes:
        client: What the provider's front doors get.
        session: The provider's end of the session.
        pipe: The provider's end of the connection, to be cut.
    """

    def __init__(self, client: EdgeClient, session: Session, pipe: MemoryPipe) -> None:
        self.client = client
        self.session = session
        self.pipe = pipe


@contextlib.asynccontextmanager
async def connected_edge(handler: Callable[[Stream], Awaitable[None]]) -> AsyncIterator[FakeEdge]:
    """Run both ends of a session until the block is left."""
    client = EdgeClient(site=parse_site_name("site-a"))
    near, far = memory_pipes()
    session = Session(role=Role.CLIENT, session_id="1" * 32)
    edge_session = Session(role=Role.SERVER, session_id="1" * 32, handler=handler)

    async def run(end: Session, pipe: MemoryPipe) -> None:
        with contextlib.suppress(ProtocolError):
            reason = await end.run(pipe)
            if end is session:
                client.session_ended(session, error=reason)

    async with asyncio.TaskGroup() as tasks:
        ends = [
            tasks.create_task(run(session, near)),
            tasks.create_task(run(edge_session, far)),
        ]
        client.session_attached(session, session_id_hash=session.name)
        try:
            yield FakeEdge(client, session, near)
        finally:
            for end in ends:
                end.cancel()
