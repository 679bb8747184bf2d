"""One stream, and a keystroke beside it, on a simulated link of 100 Mbit/s and 100 ms."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import statistics
import time
from typing import TYPE_CHECKING

from benchmarks.bare_link import bare_link, fill, swallow
from benchmarks.figure import Figure
from benchmarks.tunnel_ends import (
    LONG_LINK,
    LONG_LINK_NAME,
    call,
    linked_tunnel_ends,
    site_pki,
)
from tunnel.protocol import RequestHead

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

    from benchmarks.bare_link import BareLink
    from tests.fakes.edge_port import EdgePort

MBIT = 125_000
RAMP_S = 3.0
STEADY_S = 2.0
WINDOW_S = 0.25
KEYS = 200
KEY_EVERY_S = 0.03
LOAD_SETTLES_S = 3.0
ECHO_TIMEOUT_S = 10.0
ECHO = RequestHead(method="GET", path="/echo")


async def measure() -> list[Figure]:
    """Return the figures of throughput and of a keystroke."""
    with site_pki() as pki:
        async with bare_link(LONG_LINK) as link:
            async with link.connection() as (near, far), _background(fill(near[1])):
                bare = await _ramp(lambda: far[0].read(1 << 16))
            bare_echo_s = await _bare_echoes(link)
        async with linked_tunnel_ends(pki, LONG_LINK) as (port, _):
            stream = await call(port, "/log")
            ramp = await _ramp(stream.read)
            echo_s = await _tunnel_echoes(port, beside=stream.read)
            stream.reset()
    return [_throughput(ramp, bare), _keystroke(echo_s, bare_echo_s)]


Ramp = list[tuple[float, int]]


async def _ramp(read: Callable[[], Awaitable[bytes]]) -> Ramp:
    """Read for some seconds; return when how many bytes had arrived, from the first on."""
    total = len(await read())
    started = time.perf_counter()
    seen: Ramp = [(0.0, total)]
    while seen[-1][0] < RAMP_S + STEADY_S:
        total += len(await read())
        seen.append((time.perf_counter() - started, total))
    return seen


def _rate(ramp: Ramp, begin_s: float, end_s: float) -> float:
    """Return the bytes per second that arrived between two moments."""
    first = next(one for one in ramp if one[0] >= begin_s)
    last = next(one for one in reversed(ramp) if one[0] <= end_s)
    return (last[1] - first[1]) / (last[0] - first[0])


def _full_after_s(ramp: Ramp) -> float:
    """Return after how many seconds a quarter of a second brought 90 % of the link."""
    for step in itertools.count():
        end_s = WINDOW_S + step * 0.05
        if end_s > RAMP_S + STEADY_S:
            return float("inf")
        if _rate(ramp, end_s - WINDOW_S, end_s) >= 0.9 * LONG_LINK["rate_bytes_per_s"]:
            return end_s
    raise AssertionError


def _throughput(ramp: Ramp, bare: Ramp) -> Figure:
    return Figure(
        name=f"one stream after {RAMP_S:g} s on {LONG_LINK_NAME} (aim: 90 Mbit/s)",
        value=_rate(ramp, RAMP_S, RAMP_S + STEADY_S) / MBIT,
        baseline=_rate(bare, RAMP_S, RAMP_S + STEADY_S) / MBIT,
        unit="Mbit/s",
        baseline_name="bare TCP over the same link",
        spread=f"90 % after {_full_after_s(ramp):.2f} s",
    )


def _keystroke(echo_s: list[float], bare_s: list[float]) -> Figure:
    value, baseline = _p99(echo_s), _p99(bare_s)
    return Figure(
        name=f"keystroke beside a full log on {LONG_LINK_NAME}, p99 of {KEYS} (aim: + 20 ms)",
        value=value * 1000,
        baseline=baseline * 1000,
        unit="ms",
        baseline_name="the same over bare TCP beside a bare stream",
        spread=f"{(value - baseline) * 1000:+.0f} ms; "
        f"p50 {statistics.median(echo_s) * 1000:.0f} to {statistics.median(bare_s) * 1000:.0f}",
    )


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[-1]


async def _tunnel_echoes(port: EdgePort, *, beside: Callable[[], Awaitable[bytes]]) -> list[float]:
    stream = await port.client.open(ECHO)
    async with _background(_repeat(beside)):
        seen = await _echoes(stream.write, lambda: stream.read(1))
    stream.reset()
    return seen


async def _bare_echoes(link: BareLink) -> list[float]:
    async with (
        link.connection() as (near, far),
        link.connection() as (bulk, sink),
        _background(fill(bulk[1]), swallow(sink[0]), _echo(*near)),
    ):
        await asyncio.sleep(LOAD_SETTLES_S)

        async def send(key: bytes) -> None:
            far[1].write(key)

        return await _echoes(send, lambda: far[0].read(1))


async def _echoes(
    send: Callable[[bytes], Awaitable[None]], receive: Callable[[], Awaitable[bytes]]
) -> list[float]:
    """Send keys at a steady pace, however late their echoes are; return each one's delay."""
    sent_at: list[float] = []
    seen: list[float] = []

    async def type_keys() -> None:
        for _ in range(KEYS):
            sent_at.append(time.perf_counter())
            await send(b"k")
            await asyncio.sleep(KEY_EVERY_S)

    async with asyncio.timeout(KEYS * KEY_EVERY_S + ECHO_TIMEOUT_S), asyncio.TaskGroup() as tasks:
        tasks.create_task(type_keys())
        while len(seen) < KEYS:
            assert await receive() == b"k"
            seen.append(time.perf_counter() - sent_at[len(seen)])
    return seen


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 10):
        writer.write(data)


async def _repeat(read: Callable[[], Awaitable[bytes]]) -> None:
    while await read():
        pass


@contextlib.asynccontextmanager
async def _background(*work: Coroutine[object, object, None]) -> AsyncIterator[None]:
    """Let something run beside the block."""
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(one) for one in work]
        try:
            yield
        finally:
            for task in running:
                task.cancel()
