"""A call is given up when something more urgent came up."""

from __future__ import annotations

import asyncio

import pytest

from edge_runtime.pods.interruption import unless

pytestmark = pytest.mark.looptime


async def _value(delay_s: float) -> int:
    await asyncio.sleep(delay_s)
    return 7


async def test_result_comes_through() -> None:
    """As if nothing watched."""
    assert await unless(asyncio.Event(), _value(1)) == 7


async def test_event_ends_the_call() -> None:
    """At once."""
    interrupt = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.call_later(1, interrupt.set)
    assert await unless(interrupt, _value(100)) is None
    assert loop.time() == 1


async def test_error_comes_through_unwrapped() -> None:
    """Callers catch what the call raises, no group."""

    async def fail() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await unless(asyncio.Event(), fail())


async def test_cancellation_ends_both() -> None:
    """Nothing is left behind."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await unless(asyncio.Event(), _value(100))
