"""A call is given up when something more urgent came up."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from edge_runtime.pods.interruption import outcome_of, unless

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


async def test_call_does_not_begin_after_the_event() -> None:
    """Not even its first step, which may be one that cannot be taken back."""
    interrupt, begun = asyncio.Event(), []

    async def begin() -> int:
        begun.append(True)
        return 1

    interrupt.set()
    assert await unless(interrupt, begin()) is None
    assert not begun


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


@pytest.mark.parametrize("turns", range(6))
async def test_cancellation_that_meets_a_failure_is_not_lost(turns: int) -> None:
    """However near they are: a loop that handles the failure would never end."""
    release = asyncio.Event()

    async def fail() -> None:
        await release.wait()
        raise KeyError("mine")

    async def worker() -> None:
        while True:
            with contextlib.suppress(KeyError):
                await unless(asyncio.Event(), fail())
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(worker())
        await asyncio.sleep(1)
        release.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=10)
        task.cancel()

    assert done


async def test_failure_is_kept_until_it_is_asked_for() -> None:
    """And then it is the call's own."""

    async def fail() -> None:
        raise KeyError("mine")

    outcome = await outcome_of(fail())
    with pytest.raises(KeyError, match="mine"):
        outcome.get()
    assert (await outcome_of(_value(1))).get() == 7
