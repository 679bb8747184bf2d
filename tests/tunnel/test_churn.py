"""Ten thousand calls with random ends on both sides leave nothing behind."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import random
import tracemalloc

import pytest

from tests.fakes.session_pair import GET, OK, SessionPair, read_all, session_pair
from tunnel.errors import StreamReset
from tunnel.protocol import RequestHead, ResponseHead
from tunnel.stream import Stream

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime, pytest.mark.timeout(180)]

CALLS = 10_000
SIZED = ResponseHead(status=200, headers=(("content-length", "9"),))
AT_ONCE = 100


class Churn:
    """Both ends of calls that end in every way there is."""

    def __init__(self) -> None:
        self._chance = random.Random(1)  # noqa: S311  # a test that can be repeated

    async def serve(self, stream: Stream) -> None:
        """Echo; or reset, return early, fail, or never answer."""
        fate = self._chance.random()
        if fate < 0.05:
            await stream.wait_closed()
        if stream.request.method == "HEAD":
            await stream.respond(SIZED)
            await stream.close_write()
            return
        await stream.respond(OK)
        if fate < 0.15:
            stream.reset(0x2, "by chance")
        elif fate < 0.2:
            await stream.close_write()
        else:
            while data := await stream.read():
                await stream.write(data)
            await stream.close_write()

    def _head(self, size: int) -> RequestHead:
        sized = (("content-length", str(size)),)
        return self._chance.choice(
            [
                GET,
                GET,
                dataclasses.replace(GET, headers=sized),
                RequestHead(method="HEAD", path="/"),
            ]
        )

    async def call(self, pair: SessionPair) -> None:
        """Transfer something; or reset, or be cancelled anywhere."""
        fate = self._chance.random()
        try:
            async with asyncio.timeout(self._chance.uniform(0.0, 0.02) if fate < 0.3 else 1.0):
                body = bytes(self._chance.choice([1, 1_000, 30_000]))
                async with await pair.client.open(self._head(len(body))) as stream:
                    await stream.write(body)
                    if fate > 0.9:
                        stream.reset()
                    await stream.close_write()
                    await read_all(stream)
        except (StreamReset, TimeoutError):
            return


async def churn(pair: SessionPair, calls: Churn, count: int) -> None:
    """Make so many calls, then let everything come to rest."""
    for _ in range(count // AT_ONCE):
        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(calls.call(pair))
    await asyncio.sleep(30)


async def test_ten_thousand_calls_leave_nothing_behind() -> None:
    """No task, no stream, no buffer; and memory is what it was after the first calls."""
    calls = Churn()
    async with session_pair(calls.serve, delay_s=0.001) as pair:
        await asyncio.sleep(1)
        tasks_before = len(asyncio.all_tasks())
        # h2 remembers how its last 4096 streams ended.
        await churn(pair, calls, 5_000)
        gc.collect()
        tracemalloc.start()
        try:
            before = tracemalloc.take_snapshot()
            await churn(pair, calls, CALLS - 5_000)
            gc.collect()
            grown = tracemalloc.take_snapshot().compare_to(before, "filename")
        finally:
            tracemalloc.stop()
        assert pair.client.is_live
        assert len(asyncio.all_tasks()) == tasks_before
        assert not [one for one in gc.get_objects() if isinstance(one, Stream)]
        for session in (pair.client, pair.server):
            exchange = session._exchange
            assert session.open_streams == len(session._handlers) == 0
            assert session._streams._flow.granted_bytes == 0
            assert exchange.protocol.output_bytes == 0
            assert exchange.counts.kept_bytes == 0
            assert not exchange.outbox._ready
            assert not exchange.outbox._blocked
            assert not exchange.outbox._schedule._turns
            assert not exchange.protocol._promised_bytes
            assert not exchange.protocol._head_requests
            assert not exchange.protocol._data_path._inbound
            assert not exchange.protocol._data_path._sinks
    assert sum(one.size_diff for one in grown if "/tunnel/" in str(one.traceback)) < 100_000
