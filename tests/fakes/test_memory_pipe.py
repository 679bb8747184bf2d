"""The memory pipe itself: tests stand on it."""

from __future__ import annotations

import asyncio

import pytest

from tests.fakes.memory_pipe import memory_pipes
from tunnel.errors import SessionClosed

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]


async def test_messages_arrive_in_order_and_in_time() -> None:
    """After the delay, both ways."""
    one, other = memory_pipes(delay_s=0.5)
    await one.send(b"a")
    await asyncio.sleep(0.2)
    await one.send(b"b")
    await other.send(b"c")
    loop = asyncio.get_running_loop()
    assert (await other.receive(), loop.time()) == (b"a", pytest.approx(0.5, abs=0.01))
    assert (await other.receive(), loop.time()) == (b"b", pytest.approx(0.7, abs=0.01))
    assert await one.receive() == b"c"


async def test_sender_waits_while_64_kib_wait() -> None:
    """Until the other end receives."""
    one, other = memory_pipes()
    await one.send(bytes(64 << 10))
    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(one.send(b"x"))
        await asyncio.sleep(1)
        assert not sending.done()
        await other.receive()
    assert one.sent_messages == 2
    with pytest.raises(AssertionError):
        await one.send(bytes((64 << 10) + 1))


async def test_cut_loses_what_is_under_way() -> None:
    """Both ends notice, also a sender that waits."""
    one, other = memory_pipes()
    await one.send(bytes(64 << 10))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_lost(one.send(b"x")))
        tasks.create_task(_lost(one.receive()))
        await asyncio.sleep(1)
        one.cut()
    await _lost(other.receive())


async def _lost(call: object) -> None:
    with pytest.raises(SessionClosed, match="the connection was lost"):
        await call  # type: ignore[misc]


async def test_abort_lets_the_other_end_read_what_was_sent() -> None:
    """Then it hears that the first one hung up."""
    one, other = memory_pipes()
    await one.send(b"last")
    one.abort()
    one.abort()
    assert await other.receive() == b"last"
    with pytest.raises(SessionClosed, match="hung up"):
        await other.receive()
    with pytest.raises(SessionClosed):
        await one.send(b"x")
    with pytest.raises(SessionClosed, match="lost"):
        await one.receive()


async def test_stalled_pipe_says_nothing() -> None:
    """Neither messages nor an end."""
    one, other = memory_pipes()
    await one.send(b"x")
    one.stall()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(60):
            await other.receive()
