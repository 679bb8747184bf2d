"""Waiting for a change of the link."""

from __future__ import annotations

import asyncio

from provider.node.link import wait_change
from tests.fakes.fake_edge import FakeEdge


async def test_a_change_that_has_happened_is_seen_at_once() -> None:
    """Nothing is lost between two waits."""
    edge = FakeEdge()
    seen = edge.state
    edge.connect()
    assert (await wait_change(edge, seen)).connected


async def test_a_change_to_come_is_waited_for() -> None:
    """And ends the wait."""
    edge = FakeEdge()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(wait_change(edge, edge.state))
        await asyncio.sleep(0)
        edge.connect()
    assert task.result().connected
