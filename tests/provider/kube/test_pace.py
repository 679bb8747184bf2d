"""A burst, then so many a second; exact, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from provider.kube.pace import Pace

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]


async def test_burst_passes_at_once_and_the_rest_in_turn() -> None:
    """Nobody waits for longer than the pace says."""
    loop, pace = asyncio.get_running_loop(), Pace(burst=3, per_s=2.0)
    began, times = loop.time(), []
    for _ in range(6):
        await pace.turn()
        times.append(round(loop.time() - began, 3))
    assert times == [0, 0, 0, 0.5, 1.0, 1.5]


async def test_rest_fills_the_burst_again_and_no_more() -> None:
    """An hour without a write is no reason for a thousand at once."""
    loop, pace = asyncio.get_running_loop(), Pace(burst=2, per_s=1.0)
    await pace.turn()
    await asyncio.sleep(3600)
    began = loop.time()
    for _ in range(4):
        await pace.turn()
    assert round(loop.time() - began, 3) == 2.0


async def test_turns_are_given_to_several_in_order() -> None:
    """Workers share one pace."""
    loop, pace, order = asyncio.get_running_loop(), Pace(burst=1, per_s=1.0), []

    async def work(name: str) -> None:
        await pace.turn()
        order.append((name, round(loop.time())))

    async with asyncio.TaskGroup() as tasks:
        for name in "abc":
            tasks.create_task(work(name))
    assert [name for name, _ in order] == ["a", "b", "c"]
    assert order[-1][1] - order[0][1] == 2
