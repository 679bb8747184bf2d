"""Tests of edge_runtime/telemetry/current_trace.py."""

from __future__ import annotations

import asyncio

from edge_runtime.telemetry.current_trace import trace_headers, traced_by

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
HEADERS = (("traceparent", PARENT),)


async def test_tasks_belong_to_the_trace_of_whoever_starts_them() -> None:
    """And to no other one that is under way meanwhile."""
    other = PARENT.replace("4bf9", "5bf9")
    both = asyncio.Barrier(2)

    async def look() -> tuple[tuple[str, str], ...]:
        await both.wait()
        return trace_headers()

    async def handle(parent: str) -> tuple[tuple[str, str], ...]:
        with traced_by([("traceparent", parent)]):
            async with asyncio.TaskGroup() as tasks:
                return await tasks.create_task(look())

    found = await asyncio.gather(handle(PARENT), handle(other))
    assert found == [HEADERS, (("traceparent", other),)]


def test_there_is_none_without_a_header() -> None:
    """Neither outside of a request, nor in one that names none, nor after one that did."""
    assert trace_headers() == ()
    with traced_by(HEADERS):
        with traced_by([("accept", "*/*")]):
            assert trace_headers() == ()
        assert trace_headers() == HEADERS
    assert trace_headers() == ()
