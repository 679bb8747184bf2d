"""One reader that stops: what it costs the others, and what it costs in memory."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from benchmarks.figure import Figure, median_figure
from benchmarks.tunnel_ends import LONG_LINK, LONG_LINK_NAME, call, linked_tunnel_ends, site_pki
from tests.fakes.edge_process import process_state

if TYPE_CHECKING:
    from tests.fakes.edge_port import EdgePort
    from tunnel.stream import Stream

OTHERS = 20
ROUNDS = 3
ROUND_S = 1.5
# So long the reader reads before it stops, alone: its window grows to what the link needs.
GROW_S = 2.0
STOP_S = 1.0
MB = 1_000_000
MBIT = 125_000


class Readers:
    """Streams that are read all the time, and how much came out of them."""

    def __init__(self) -> None:
        self._total = 0

    async def read(self, stream: Stream) -> None:
        """Read until cancelled."""
        while data := await stream.read():
            self._total += len(data)

    async def bytes_per_s(self) -> float:
        """Return how much arrives, over a while."""
        started, total = time.perf_counter(), self._total
        await asyncio.sleep(ROUND_S)
        return (self._total - total) / (time.perf_counter() - started)


async def measure() -> list[Figure]:
    """Return the figures of throughput beside a stopped reader, and of memory."""
    with site_pki() as pki:
        async with linked_tunnel_ends(pki, LONG_LINK) as (port, _):
            memory = await _memory(port)
            return [await _throughput(port), memory]


async def _throughput(port: EdgePort) -> Figure:
    with_it, without = [], []
    readers = Readers()
    streams = [await call(port, "/log") for _ in range(OTHERS)]
    async with asyncio.TaskGroup() as tasks:
        reading = [tasks.create_task(readers.read(stream)) for stream in streams]
        await asyncio.sleep(GROW_S)
        for _ in range(ROUNDS):
            without.append(await readers.bytes_per_s() / MBIT)
            stuck = await _start_and_stop(port)
            with_it.append(await readers.bytes_per_s() / MBIT)
            stuck.reset()
        for one in reading:
            one.cancel()
    for stream in streams:
        stream.reset()
    return median_figure(
        f"{OTHERS} streams beside a reader that stops, {LONG_LINK_NAME} (aim: 0.95)",
        with_it,
        without,
        unit="Mbit/s",
        baseline_name="the same streams without it",
    )


async def _start_and_stop(port: EdgePort) -> Stream:
    stream = await call(port, "/log")
    await stream.read()
    return stream


async def _memory(port: EdgePort) -> Figure:
    grown, held = [], []
    for _ in range(ROUNDS):
        # The heap is laid out anew the first time that it holds so much, hence more than one round.
        growth_bytes, held_bytes = await _memory_of_one(port)
        grown.append(growth_bytes / MB)
        held.append(held_bytes / MB)
    return median_figure(
        "memory that a reader that stops costs the provider (aim: at most 1)",
        grown,
        held,
        unit="MB",
        baseline_name="what was granted to it and waits for it, less than its window",
    )


async def _memory_of_one(port: EdgePort) -> tuple[int, int]:
    """Let one stream's window grow, stop reading, and compare resident memory with what waits."""
    stream = await call(port, "/log")
    readers = Readers()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GROW_S):
            await readers.read(stream)
    before = process_state()["rss_bytes"]
    await asyncio.sleep(STOP_S)
    grown = process_state()["rss_bytes"] - before
    held = await _held_bytes(stream)
    stream.reset()
    return grown, held


async def _held_bytes(stream: Stream) -> int:
    """Return what can be read without waiting."""
    held = 0
    with contextlib.suppress(TimeoutError):
        while True:
            async with asyncio.timeout(0):
                held += len(await stream.read())
    return held
