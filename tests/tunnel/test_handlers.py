"""Handlers: tasks that end with their streams, and streams that end with their tasks."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from tests.fakes.session_pair import GET, OK, session_pair
from tunnel.errors import StreamReset
from tunnel.handlers import HANDLER_GRACE_S, Handlers

if TYPE_CHECKING:
    from tunnel.stream import Stream

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]


async def test_no_handler_starts_without_a_group() -> None:
    """Before the session runs there is nobody to await it."""

    async def handler(stream: Stream) -> None:
        stream.reset()

    handlers = Handlers(handler, max_running=1, session_name="s")
    assert len(handlers) == 0
    await handlers.stop()


@pytest.mark.parametrize("in_group", [False, True])
async def test_streams_end_is_no_failure_of_the_handler(
    in_group: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A client that leaves is not logged as an error, also out of a handler's own task group."""

    async def handler(stream: Stream) -> None:
        await stream.respond(OK)
        if in_group:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(stream.read())
                tasks.create_task(stream.wait_closed())
        await stream.read()

    async with session_pair(handler) as pair:
        stream = await pair.client.open(GET)
        await stream.response()
        stream.reset()
        await asyncio.sleep(1)
        assert len(pair.server._handlers) == 0
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_end_that_is_still_queued_is_sent_before_the_handler_counts_as_done() -> None:
    """A handler that was impatient with its close_write loses nothing."""

    async def handler(stream: Stream) -> None:
        await stream.respond(OK)
        await stream.write(bytes(64 << 10))
        await stream.write(bytes(64 << 10))
        try:
            async with asyncio.timeout(0.01):
                await stream.close_write()
        except TimeoutError:
            return

    async with session_pair(handler, delay_s=0.05) as pair:
        stream = await pair.client.open(GET)
        await asyncio.sleep(1)
        received = 0
        while data := await stream.read():
            received += len(data)
        assert received == 128 << 10


async def test_cleanup_within_the_grace_is_not_disturbed() -> None:
    """A handler may await while it ends."""
    cleaned: list[float] = []

    async def handler(stream: Stream) -> None:
        await stream.respond(OK)
        try:
            await stream.read()
        except StreamReset:
            await asyncio.sleep(HANDLER_GRACE_S / 2)
            cleaned.append(asyncio.get_running_loop().time())

    async with session_pair(handler) as pair:
        stream = await pair.client.open(GET)
        await stream.response()
        stream.reset()
        await asyncio.sleep(5)
    assert cleaned == [pytest.approx(1.0, abs=0.1)]


async def test_handler_that_does_not_answer_resets_its_stream(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And says so once."""

    async def handler(stream: Stream) -> None:
        del stream

    async with session_pair(handler) as pair:
        stream = await pair.client.open(GET)
        with pytest.raises(StreamReset, match="INTERNAL_ERROR"):
            await stream.response()
    assert len([r for r in caplog.records if "returned before the end" in r.getMessage()]) == 1
