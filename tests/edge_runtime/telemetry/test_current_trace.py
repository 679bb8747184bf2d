"""Tests of edge_runtime/telemetry/current_trace.py."""

from __future__ import annotations

import asyncio

from edge_runtime.telemetry.current_trace import belonging_to, current_trace
from tunnel.trace_context import TraceContext

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ONE = TraceContext(traceparent=PARENT)
OTHER = TraceContext(traceparent=PARENT.replace("4bf9", "5bf9"))


async def test_tasks_belong_to_the_trace_of_whoever_starts_them() -> None:
    """And to no other one that is under way meanwhile."""
    both = asyncio.Barrier(2)

    async def look() -> TraceContext | None:
        await both.wait()
        return current_trace()

    async def handle(context: TraceContext) -> TraceContext | None:
        with belonging_to(context):
            async with asyncio.TaskGroup() as tasks:
                return await tasks.create_task(look())

    assert await asyncio.gather(handle(ONE), handle(OTHER)) == [ONE, OTHER]


def test_there_is_none_outside() -> None:
    """Neither before nor after, nor in a call that belongs to none."""
    assert current_trace() is None
    with belonging_to(ONE):
        with belonging_to(None):
            assert current_trace() is None
        assert current_trace() == ONE
    assert current_trace() is None
