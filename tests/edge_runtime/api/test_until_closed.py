"""Work ends when nobody waits for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from edge_runtime.api.until_closed import until_closed
from tests.fakes.tunnel_pair import tunnel_pair
from tunnel.errors import StreamReset
from tunnel.protocol import ResponseHead

if TYPE_CHECKING:
    from tunnel.stream import Stream


async def number() -> int:
    """Be done at once."""
    return 7


async def fail() -> int:
    """Be done badly."""
    raise ValueError("no")


async def test_result_and_failure_are_the_works_own() -> None:
    """Not wrapped into a group."""
    results: list[object] = []

    async def handler(stream: Stream) -> None:
        results.append(await until_closed(stream, number()))
        with pytest.raises(ValueError, match="no"):
            await until_closed(stream, fail())
        await stream.respond(ResponseHead(status=200), end=True)

    async with tunnel_pair(handler) as pair:
        assert await pair.fetch("/") == (200, b"")

    assert results == [7]


async def test_reset_cancels_the_work() -> None:
    """And raises as any other use of the stream would."""
    ended = asyncio.Event()
    outcome: list[BaseException] = []
    started = asyncio.Event()

    async def work() -> None:
        started.set()
        await asyncio.Event().wait()

    async def handler(stream: Stream) -> None:
        try:
            await until_closed(stream, work())
        except StreamReset as exc:
            outcome.append(exc)
        ended.set()

    async with tunnel_pair(handler) as pair:
        stream = await pair.request("/")
        await started.wait()
        stream.reset()
        async with asyncio.timeout(1.5):  # sooner than the session would cancel the handler
            await ended.wait()

    assert isinstance(outcome[0], StreamReset)
