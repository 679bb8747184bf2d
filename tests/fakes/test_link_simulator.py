"""The link simulator is as exact as what is measured with it needs.

These run in real time, since sockets do. A busy machine delays, it never speeds up: each figure is
the best of a few attempts.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from typing import TYPE_CHECKING

import pytest

from tests.fakes.link_direction import Conditions
from tests.fakes.link_simulator import (
    SOCKET_BUFFER_BYTES,
    compute_buffer_bytes,
    small_socket,
)
from tests.fakes.simulated_link import SimulatedLink, simulated_link

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

ATTEMPTS = 5
Talk = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Target:
    """What the link leads to: a server that leaves its connections to the test."""

    def __init__(self) -> None:
        self.accepted: asyncio.Queue[Talk] = asyncio.Queue()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hand a connection to the test."""
        await self.accepted.put((reader, writer))


@contextlib.asynccontextmanager
async def linked(**conditions: dict[str, float]) -> AsyncIterator[tuple[SimulatedLink, Target]]:
    """Run a target and a link to it."""
    target = Target()
    server = await asyncio.start_server(target.accept, "127.0.0.1", 0)
    try:
        async with simulated_link(server.sockets[0].getsockname()[1], **conditions) as link:
            yield link, target
    finally:
        server.close()
        await server.wait_closed()


@contextlib.asynccontextmanager
async def dialled(link: SimulatedLink, target: Target) -> AsyncIterator[tuple[Talk, Talk]]:
    """Open a connection through the link: near end, far end."""
    near = await asyncio.open_connection("127.0.0.1", link.port)
    far = await target.accepted.get()
    # The far end may know of it before the link itself does; a byte that came through is proof.
    near[1].write(b"!")
    assert await far[0].readexactly(1) == b"!"
    try:
        yield near, far
    finally:
        for _, writer in (near, far):
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def best(measure: Callable[[], Awaitable[float]], *, wanted: float, within: float) -> float:
    """Return the attempt that is nearest to what is wanted; stop at the first that will do."""
    seen: list[float] = []
    for _ in range(ATTEMPTS):
        seen.append(await measure())
        if abs(seen[-1] - wanted) <= within:
            break
    return min(seen, key=lambda one: abs(one - wanted))


async def transfer_s(sender: Talk, receiver: Talk, size: int) -> float:
    """Return the seconds from the first byte's arrival to the last one's."""
    sender[1].write(bytes(size))
    await receiver[0].readexactly(1)
    started = time.perf_counter()
    await receiver[0].readexactly(size - 1)
    return time.perf_counter() - started


@pytest.mark.parametrize("rate", [1e6, 12.5e6])
@pytest.mark.parametrize("direction", ["up", "down"])
async def test_the_rate_is_within_five_percent(direction: str, rate: float) -> None:
    """At 8 and at 100 Mbit/s, either way, also with a long delay."""
    size = int(rate * 0.4)
    conditions = {direction: {"rate_bytes_per_s": rate, "delay_s": 0.05}}
    async with linked(**conditions) as (link, target), dialled(link, target) as (near, far):
        ends = (near, far) if direction == "up" else (far, near)
        seen = await best(
            lambda: transfer_s(*ends, size), wanted=size / rate, within=0.05 * size / rate
        )
    assert seen == pytest.approx(size / rate, rel=0.05)


async def echo_s(near: Talk, far: Talk) -> float:
    """Return a byte's round trip."""
    started = time.perf_counter()
    near[1].write(b"x")
    far[1].write(await far[0].readexactly(1))
    await near[0].readexactly(1)
    return time.perf_counter() - started


async def test_the_delay_is_within_a_few_milliseconds() -> None:
    """Of both directions together; an idle link adds nothing else."""
    conditions = {"up": {"delay_s": 0.03}, "down": {"delay_s": 0.02}}
    async with linked(**conditions) as (link, target), dialled(link, target) as (near, far):
        seen = await best(lambda: echo_s(near, far), wanted=0.05, within=0.004)
    assert seen == pytest.approx(0.05, abs=0.004)


async def test_jitter_delays_and_keeps_the_order() -> None:
    """Up to its bound."""
    async with (
        linked(up={"jitter_s": 0.03}) as (link, target),
        dialled(link, target) as (
            near,
            far,
        ),
    ):
        delays = []
        for number in range(30):
            started = time.perf_counter()
            near[1].write(bytes([number]))
            assert await far[0].readexactly(1) == bytes([number])
            delays.append(time.perf_counter() - started)
    assert min(delays) < 0.012
    assert 0.018 < sorted(delays)[-3] < 0.04


async def test_a_full_link_adds_no_bufferbloat() -> None:
    """Beside a stream that fills the link another connection's byte waits at most 10 ms."""
    rate = 12.5e6
    async with (
        linked(up={"rate_bytes_per_s": rate}) as (link, target),
        dialled(link, target) as (bulk, sink),
        dialled(link, target) as (near, far),
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(_drain(sink[0]))
        filling = tasks.create_task(_fill(bulk[1]))
        while (await link.do("count"))["up_bytes"] < rate / 10:
            pass
        seen = await best(lambda: echo_s(near, far), wanted=0.01, within=0.005)
        count = await link.do("count")
        filling.cancel()
        bulk[1].transport.abort()
    assert seen < 0.015
    assert count["up_max_queue_s"] <= 0.0125


async def _fill(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(bytes(32 << 10))
        await writer.drain()


async def _drain(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        while await reader.read(1 << 16):
            pass


async def test_a_sink_that_takes_nothing_stops_the_source() -> None:
    """The link holds what fits on it, not all that is sent."""
    async with linked(up={"rate_bytes_per_s": 50e6}) as (link, target):
        with small_socket() as near:
            await asyncio.get_running_loop().sock_connect(near, ("127.0.0.1", link.port))
            far = await target.accepted.get()
            far[0]._transport.pause_reading()  # type: ignore[attr-defined]
            sent = 0
            with contextlib.suppress(TimeoutError):
                while sent < 64 << 20:
                    async with asyncio.timeout(0.3):
                        await asyncio.get_running_loop().sock_sendall(near, bytes(64 << 10))
                    sent += 64 << 10
            far[1].transport.abort()
        # What the target's own socket takes is the kernel's affair: up to 6 MiB.
        assert sent < 16 << 20


async def test_buffers_are_small() -> None:
    """The kernel holds no more than the queue is meant to be."""
    with small_socket() as one:
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            assert one.getsockopt(socket.SOL_SOCKET, option) <= SOCKET_BUFFER_BYTES


@pytest.mark.parametrize(
    ("rate", "expected"), [(None, 64 << 10), (1e9, 64 << 10), (12.5e6, 25_000), (1e5, 16 << 10)]
)
def test_buffers_follow_the_rate(rate: float | None, expected: int) -> None:
    """Of the slower direction."""
    conditions = [Conditions(), Conditions(rate_bytes_per_s=rate)]
    assert compute_buffer_bytes(conditions) == expected


async def test_an_end_passes_and_the_other_half_goes_on() -> None:
    """A half-close stays one."""
    async with linked() as (link, target), dialled(link, target) as (near, far):
        near[1].write(b"question")
        near[1].write_eof()
        assert await far[0].read() == b"question"
        far[1].write(b"answer")
        far[1].close()
        assert await near[0].read() == b"answer"


async def test_a_stall_freezes_and_goes_on() -> None:
    """Nothing is lost, and nothing arrives meanwhile."""
    async with linked() as (link, target), dialled(link, target) as (near, far):
        await link.do("stall", seconds=0.3)
        started = time.perf_counter()
        near[1].write(b"x")
        assert await far[0].readexactly(1) == b"x"
        assert time.perf_counter() - started >= 0.27
        assert await echo_s(near, far) < 0.2


async def test_a_cut_resets_both_sides_and_refuses_dials_until_the_heal() -> None:
    """And the next connection comes from another address."""
    async with linked() as (link, target):
        async with dialled(link, target) as (near, far):
            await link.do("cut", near="reset", far="reset")
            for reader in (near[0], far[0]):
                with pytest.raises(ConnectionResetError):
                    await reader.read()
            with pytest.raises(ConnectionResetError):
                await _read_of_a_dial(link)
        await link.do("heal", source="127.0.0.9")
        async with dialled(link, target) as (near, far):
            assert far[1].get_extra_info("peername")[0] == "127.0.0.9"
            assert await echo_s(near, far) < 1


async def _read_of_a_dial(link: SimulatedLink) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    try:
        await reader.readexactly(1)
    finally:
        writer.transport.abort()


async def test_a_silent_cut_says_nothing_until_the_heal() -> None:
    """Each side on its own: one is reset, the other waits for ever."""
    async with linked() as (link, target), dialled(link, target) as (near, far):
        await link.do("cut", near="silent", far="reset", dials="silent")
        with pytest.raises(ConnectionResetError):
            await far[0].read()
        near[1].write(b"into the void")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await near[0].read()
        await link.do("heal")
        with pytest.raises(ConnectionResetError):
            await near[0].read()


async def test_a_half_open_connection_carries_one_way_only() -> None:
    """New ones are whole."""
    async with linked() as (link, target):
        async with dialled(link, target) as (near, far):
            await link.do("half_open", direction="up")
            far[1].write(b"down works")
            assert await near[0].readexactly(10) == b"down works"
            near[1].write(b"up does not")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await far[0].readexactly(1)
        async with dialled(link, target) as (near, far):
            assert await echo_s(near, far) < 1


async def test_a_limit_cuts_at_a_byte_and_heals_by_schedule() -> None:
    """In the middle of whatever is sent."""
    async with linked() as (link, target):
        async with dialled(link, target) as (near, far):
            await link.do("cut", after_bytes=12_345, direction="up", far="end", heal_after_s=0.2)
            near[1].write(bytes(100_000))
            assert len(await far[0].read()) == 12_345
            cut_at = time.perf_counter()
        await until_dials_work(link, target)
        assert time.perf_counter() - cut_at >= 0.15


async def until_dials_work(link: SimulatedLink, target: Target) -> None:
    """Dial again and again, as an edge does."""
    async with asyncio.timeout(5):
        while target.accepted.empty():
            with contextlib.suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(0.05):
                    await _read_of_a_dial(link)
    _, writer = await target.accepted.get()
    writer.transport.abort()


async def test_commands_with_a_time_are_a_schedule() -> None:
    """In seconds since the start."""
    async with linked() as (link, target), dialled(link, target) as (near, _):
        started = time.perf_counter()
        link.schedule("cut", at=1.0)
        with pytest.raises(ConnectionResetError):
            await near[0].read()
        assert time.perf_counter() - started < 2
        assert (await link.answer())["id"] == 1
