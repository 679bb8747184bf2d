"""The table of streams: what a session holds for each, and lets go of."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.fakes.session_pair import GET, OK, echo, read_all, session_pair
from tunnel.errors import HeadError, StreamReset
from tunnel.protocol import RequestHead
from tunnel.session import Limits

if TYPE_CHECKING:
    from tunnel.stream import Stream

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]


async def test_refused_head_gives_its_slot_back() -> None:
    """With one slot, the next call still gets it."""
    limits = Limits(max_streams=1)
    async with session_pair(echo, client_limits=limits) as pair:
        for _ in range(3):
            with pytest.raises(HeadError):
                await pair.client.open(RequestHead(method="GET", path="nowhere"))
        stream = await pair.client.open(GET)
        await stream.close_write()
        assert await read_all(stream) == b""


async def test_what_arrives_for_a_stream_that_was_reset_is_dropped() -> None:
    """Bytes, ends and heads that were under way; credit of the connection comes back."""

    async def handler(stream: Stream) -> None:
        await asyncio.sleep(0.1)
        await stream.respond(OK)
        await stream.write(bytes(1 << 20))
        await stream.close_write()

    async with session_pair(handler, delay_s=0.1) as pair:
        for _ in range(100):
            stream = await pair.client.open(GET)
            await asyncio.sleep(0.35)
            stream.reset()
        await asyncio.sleep(3)
        assert pair.client.is_live
        assert pair.client.open_streams == pair.server.open_streams == 0
        assert pair.server._exchange.protocol.connection_send_window >= 8 << 20


async def test_more_streams_than_one_grant_still_fit_the_budget() -> None:
    """256 at once, each with its window."""
    async with session_pair(echo) as pair:
        streams = [await pair.client.open(GET) for _ in range(256)]
        async with asyncio.TaskGroup() as tasks:
            for number, stream in enumerate(streams):
                tasks.create_task(_exchange(stream, bytes([number]) * 10_000))
        assert pair.client._streams._flow.granted_bytes == 0


async def _exchange(stream: Stream, body: bytes) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_send(stream, body))
        assert await read_all(stream) == body


async def _send(stream: Stream, body: bytes) -> None:
    await stream.write(body)
    await stream.close_write()


async def test_padding_is_given_back_at_once() -> None:
    """It fills the window and no reader ever takes it."""
    async with session_pair(echo) as pair:
        stream = await pair.client.open(GET)
        await stream.response()
        h2 = pair.client._exchange.protocol._h2
        for _ in range(2000):
            h2.send_data(stream.id, b"x", pad_length=200)
            await stream.write(b"y")
            assert len(await stream.read(2)) >= 1
        stream.reset()
        with pytest.raises(StreamReset):
            await stream.read()
