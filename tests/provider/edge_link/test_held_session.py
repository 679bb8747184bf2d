"""A session that is held: whether its edge answers, and that its end is not waited for for ever."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from provider.edge_link.held_session import END_TIMEOUT_S, HeldSession
from tests.fakes.memory_pipe import memory_pipes
from tests.fakes.memory_site import ACCEPTED
from tunnel.protocol import Role
from tunnel.session import Session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.fakes.memory_pipe import MemoryPipe

pytestmark = pytest.mark.looptime


class Link:
    """A held session and the edge's end of it.

    Attributes:
        held: The provider's.
        pipes: Both ends of the newest connection.
    """

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self.held = HeldSession(instance="a", certificate=ACCEPTED, limits=None)
        self.pipes: tuple[MemoryPipe, ...] = ()
        self._edge = Session(role=Role.SERVER, session_id=self.held.session.session_id)
        self._tasks = tasks

    async def keep(self) -> None:
        """Run both ends to the end of the session."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._edge.run())
            await self.held.session.run()
            self.held.ended.set()
            self._edge.close("the test ends")

    def connect(self) -> None:
        """Carry the session over a connection."""
        near, far = self.pipes = memory_pipes()
        self._tasks.create_task(self._carry(near))
        self._tasks.create_task(self._edge.attach(far, peer_received_bytes=0))

    async def _carry(self, pipe: MemoryPipe) -> None:
        self.held.attached.set()
        await self.held.session.attach(pipe, peer_received_bytes=0)


@contextlib.asynccontextmanager
async def linked() -> AsyncIterator[Link]:
    """Keep a session without a connection until the block ends."""
    async with asyncio.TaskGroup() as tasks:
        link = Link(tasks)
        tasks.create_task(link.keep())
        yield link
        link.held.session.close("the test ends")


async def test_edge_without_a_connection_may_come_in_time() -> None:
    """It is asked over the connection that it makes meanwhile."""
    loop = asyncio.get_running_loop()
    async with linked() as link:
        loop.call_later(1.5, link.connect)
        assert await link.held.answers(2.0)
        assert 1.5 <= loop.time() < 2.0


async def test_edge_that_does_not_come_does_not_answer() -> None:
    """The time is all that is waited."""
    loop = asyncio.get_running_loop()
    async with linked() as link:
        assert not await link.held.answers(2.0)
        assert loop.time() == pytest.approx(2.0)


async def test_connection_that_passes_nothing_is_no_answer() -> None:
    """Neither end was told that it is dead."""
    async with linked() as link:
        link.connect()
        assert await link.held.answers(2.0)
        for pipe in link.pipes:
            pipe.stall()
        assert not await link.held.answers(2.0)


async def test_end_waits_until_the_streams_have_ended() -> None:
    """Then the next session may begin."""
    async with linked() as link:
        link.connect()
        assert await link.held.answers(2.0)
        await link.held.end("another took its place")
        assert link.held.ended.is_set()
        assert link.held.session.close_reason == "another took its place"


async def test_end_of_a_session_that_nobody_runs_is_given_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The newcomer waits no longer for it, and the log says so."""
    held = HeldSession(instance="a", certificate=ACCEPTED, limits=None)
    await held.end("another took its place")
    assert asyncio.get_running_loop().time() == pytest.approx(END_TIMEOUT_S)
    assert f"session {held.session.name} ends slowly" in caplog.text
