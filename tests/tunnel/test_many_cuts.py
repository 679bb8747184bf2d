"""A hundred cuts under all kinds of calls, in virtual time: every byte once and in order."""

from __future__ import annotations

import asyncio
import hashlib
import random
from typing import TYPE_CHECKING

import pytest

from tests.fakes.session_pair import OK, ResumablePair, read_all, resumable_pair
from tunnel.errors import SessionClosed
from tunnel.pipe import MAX_MESSAGE_BYTES, MAX_UNACKNOWLEDGED_BYTES
from tunnel.protocol import RequestHead

if TYPE_CHECKING:
    from tunnel.stream import Stream

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime, pytest.mark.timeout(120)]

CUTS = 100
EXEC, LOG, SYNC, UPLOAD = ("/exec", "/log", "/sync", "/upload")


class Calls:
    """Both ends of four calls; what they sent and what arrived is compared by digest."""

    def __init__(self, seed: int) -> None:
        self.stop = asyncio.Event()
        self.sent = {path: hashlib.blake2b() for path in (LOG, UPLOAD)}
        self.received = {path: hashlib.blake2b() for path in (LOG, UPLOAD)}
        self.echoed = 0
        self.answered = 0
        self._chance = random.Random(seed)  # noqa: S311  # a test that can be repeated

    async def serve(self, stream: Stream) -> None:
        """Play the edge."""
        await stream.respond(OK)
        match stream.request.path:
            case "/log":
                await self._produce(stream, LOG)
            case "/upload":
                await self._consume(stream, UPLOAD)
            case _:
                while data := await stream.read(self._chance.randrange(1, 100)):
                    await stream.write(data)
        await stream.close_write()

    async def log(self, stream: Stream) -> None:
        """Follow a log to its end."""
        await stream.close_write()
        await self._consume(stream, LOG)

    async def upload(self, stream: Stream) -> None:
        """Copy something up."""
        await self._produce(stream, UPLOAD)
        await stream.close_write()
        assert await read_all(stream) == b""

    async def type_keys(self, stream: Stream) -> None:
        """Wait for each key's echo before the next one."""
        while not self.stop.is_set():
            key = self._chance.randbytes(1)
            await stream.write(key)
            assert await stream.read() == key
            self.echoed += 1
            await asyncio.sleep(0.2)
        await stream.close_write()
        assert await read_all(stream) == b""

    async def synchronize(self, stream: Stream) -> None:
        """Send numbered messages without waiting, and count their answers."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send_numbers(stream))
            answers = await read_all(stream)
        count = len(answers) // 4
        assert answers == b"".join(number.to_bytes(4, "big") for number in range(count))
        self.answered = count

    async def _send_numbers(self, stream: Stream) -> None:
        number = 0
        while not self.stop.is_set():
            await stream.write(number.to_bytes(4, "big"))
            number += 1
            await asyncio.sleep(0.5)
        await stream.close_write()

    async def _produce(self, stream: Stream, path: str) -> None:
        while not self.stop.is_set():
            data = self._chance.randbytes(self._chance.choice([10, 1_000, 70_000]))
            await stream.write(data)
            self.sent[path].update(data)
            await asyncio.sleep(0.05)

    async def _consume(self, stream: Stream, path: str) -> None:
        while data := await stream.read():
            self.received[path].update(data)


def check_memory(pair: ResumablePair) -> None:
    """What both ends hold is bounded, whatever the link does."""
    for session in (pair.client, pair.server):
        assert session._exchange.counts.kept_bytes <= MAX_UNACKNOWLEDGED_BYTES + MAX_MESSAGE_BYTES
        assert session._exchange.protocol.output_bytes < 1 << 20
        for stream in session._streams._streams.values():
            assert stream.output_bytes <= 5 * (64 << 10)


async def cut_and_resume(pair: ResumablePair, chance: random.Random) -> None:
    """Lose the connection in one of the ways there are, at a random moment, for a while."""
    pipe, other = pair.connect(delay_s=chance.choice([0.001, 0.05]))
    await asyncio.sleep(chance.uniform(0.0, 3.0))
    way = chance.choice(["cut", "stall", "lost at one end", "replaced"])
    match way:
        case "cut":
            pipe.cut()
        case "stall":
            pipe.stall()
        case "lost at one end":
            chance.choice([pipe, other]).abort()
        case _:
            return
    check_memory(pair)
    await asyncio.sleep(chance.uniform(0.1, 60.0))
    check_memory(pair)


@pytest.mark.parametrize("seed", [1, 2])
async def test_hundred_cuts_cost_no_byte(seed: int) -> None:
    """Under an exec, a log, an upload and a sync stream."""
    chance = random.Random(seed)  # noqa: S311  # a test that can be repeated
    calls = Calls(seed)
    async with resumable_pair(calls.serve) as pair:
        pair.connect()
        async with asyncio.TaskGroup() as tasks:
            for path, call in (
                (LOG, calls.log),
                (EXEC, calls.type_keys),
                (SYNC, calls.synchronize),
                (UPLOAD, calls.upload),
            ):
                stream = await pair.client.open(RequestHead(method="POST", path=path))
                tasks.create_task(call(stream))
            for _ in range(CUTS):
                await cut_and_resume(pair, chance)
            pair.connect()
            await asyncio.sleep(5)
            calls.stop.set()
        assert pair.client.is_live
        assert pair.client._exchange.counts.epoch == pair.server._exchange.counts.epoch == CUTS + 2
        await asyncio.sleep(5)
        assert pair.client.open_streams == pair.server.open_streams == 0
        assert (
            pair.client._exchange.counts.kept_bytes == pair.server._exchange.counts.kept_bytes == 0
        )
    for path in (LOG, UPLOAD):
        assert calls.received[path].digest() == calls.sent[path].digest()
    assert calls.echoed > CUTS
    assert calls.answered > CUTS


async def test_cut_beyond_the_grace_ends_every_call_with_its_reason() -> None:
    """No call ends quietly, at neither end."""
    calls = Calls(1)
    lost: list[str] = []

    async def serve(stream: Stream) -> None:
        try:
            await calls.serve(stream)
        except SessionClosed as exc:
            lost.append(exc.reason)

    async def end(stream: Stream) -> None:
        with pytest.raises(SessionClosed) as caught:
            await read_all(stream)
        lost.append(caught.value.reason)

    async with resumable_pair(serve) as pair:
        pipe, _ = pair.connect()
        async with asyncio.TaskGroup() as tasks:
            for path in (LOG, EXEC, SYNC, UPLOAD):
                stream = await pair.client.open(RequestHead(method="POST", path=path))
                tasks.create_task(end(stream))
            await asyncio.sleep(1)
            pipe.cut()
            await asyncio.sleep(119)
            assert not lost
        await pair.server_run
    assert len(lost) == 8
    assert all("was not resumed within 120 s" in reason for reason in lost)
