"""Sessions that outlive their WebSockets: every byte once and in order, or an explicit error."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.fakes.memory_pipe import MemoryPipe, memory_pipes
from tests.fakes.session_pair import GET, OK, echo, read_all, resumable_pair
from tunnel.errors import PipeError, SessionClosed
from tunnel.pipe import MAX_UNACKNOWLEDGED_BYTES
from tunnel.protocol import ResponseHead
from tunnel.schedule import MAX_FRAME_BYTES
from tunnel.session import Limits, Role, Session

if TYPE_CHECKING:
    from tunnel.stream import Stream

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime, pytest.mark.timeout(60)]


async def hold(stream: Stream) -> None:
    """Answer, and keep the stream open until the other end is done with it."""
    await stream.respond(OK)
    await stream.wait_closed()


async def read_messages(pipe: MemoryPipe) -> None:
    """Take what comes until the connection ends."""
    while True:
        await pipe.receive()


async def test_stream_goes_on_after_a_cut() -> None:
    """What was under way is sent again, the rest follows."""
    async with resumable_pair(echo) as pair:
        pipe, _ = pair.connect(delay_s=0.05)
        stream = await pair.client.open(GET)
        await stream.write(b"before ")
        await asyncio.sleep(1)
        await stream.write(b"under way ")
        await asyncio.sleep(0.01)
        pipe.cut()
        await asyncio.sleep(1)
        assert not pair.client.is_attached
        assert pair.client.is_live
        assert pair.client.interrupted_since == pytest.approx(1.01, abs=0.06)
        await stream.write(b"while away ")
        await asyncio.sleep(30)
        pair.connect(delay_s=0.05)
        await asyncio.sleep(0)
        assert pair.client.is_attached
        assert pair.client.interrupted_since is None
        await stream.write(b"after")
        await stream.close_write()
        assert await read_all(stream) == b"before under way while away after"
    assert pair.client_ended[0] == "the connection was lost"


async def test_takeover_aborts_the_old_socket_first() -> None:
    """A half-open connection: the old one still seems to live when the new one comes."""
    async with resumable_pair(echo) as pair:
        old, _ = pair.connect(delay_s=0.01)
        stream = await pair.client.open(GET)
        await stream.response()
        await stream.write(b"a")
        pair.connect()
        with pytest.raises(SessionClosed):
            await old.receive()
        await stream.write(b"b")
        await stream.close_write()
        assert await read_all(stream) == b"ab"
        assert pair.client_ended == ["dialled anew"]


async def test_session_that_is_not_resumed_ends_its_streams() -> None:
    """After 120 s on both ends, with what happened as the reason."""
    lost: list[str] = []

    async def handler(stream: Stream) -> None:
        await stream.respond(OK)
        try:
            await stream.read()
        except SessionClosed as exc:
            lost.append(exc.reason)

    async with resumable_pair(handler) as pair:
        pipe, _ = pair.connect()
        stream = await pair.client.open(GET)
        await stream.response()
        pipe.cut()
        start = asyncio.get_running_loop().time()
        with pytest.raises(SessionClosed) as caught:
            await stream.read()
        assert asyncio.get_running_loop().time() - start == pytest.approx(120, abs=0.1)
        reason = await pair.client_run
        assert await pair.server_run == reason
    assert reason == (
        "it was interrupted (the connection was lost) and was not resumed within 120 s"
    )
    assert [caught.value.reason, *lost] == [reason, reason]


async def test_dead_peer_costs_the_attachment_and_not_the_session() -> None:
    """An unanswered PING drops the WebSocket; over the next one all goes on."""
    async with resumable_pair(echo) as pair:
        pipe, _ = pair.connect(delay_s=0.01)
        stream = await pair.client.open(GET)
        await stream.response()
        pipe.stall()
        await stream.write(b"x")
        await asyncio.sleep(20)
        assert pair.client_ended == ["no answer to a PING for 10 s"]
        assert pair.server_ended == ["no answer to a PING for 10 s"] or pair.server_ended == [
            "the other end hung up"
        ]
        pair.connect()
        await stream.close_write()
        assert await read_all(stream) == b"x"


@pytest.mark.parametrize("count", [2, 10_000_000])
async def test_count_that_cannot_be_true_ends_the_session(count: int) -> None:
    """Below the last ACK, or above what was sent."""
    async with resumable_pair(hold) as pair:
        pair.connect()
        stream = await pair.client.open(GET)
        await stream.response()
        await asyncio.sleep(1)
        pair.client.detach("a cut")
        ours, theirs = memory_pipes()
        with pytest.raises(PipeError, match="received bytes after one of"):
            await pair.client.attach(ours, peer_received_bytes=count)
        with pytest.raises(SessionClosed):
            await theirs.receive()
        with pytest.raises(SessionClosed, match="protocol error"):
            await stream.read()
        assert "received bytes after one of" in await pair.client_run


async def test_calls_wait_while_the_session_is_interrupted() -> None:
    """And are opened once it is resumed; a cancelled one never is."""
    async with resumable_pair(echo) as pair:
        pipe, _ = pair.connect()
        await (await pair.client.open(GET)).response()
        pipe.cut()
        await asyncio.sleep(1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await pair.client.open(GET)
        async with asyncio.TaskGroup() as tasks:
            opening = tasks.create_task(pair.client.open(GET))
            await asyncio.sleep(5)
            assert not opening.done()
            pair.connect()
        await opening.result().close_write()
        assert await read_all(opening.result()) == b""
        assert pair.client.open_streams == 1


async def test_ping_tells_whether_the_peer_answers() -> None:
    """At once when there is nobody to ask."""
    async with resumable_pair(hold) as pair:
        assert not await pair.client.ping(2)
        pipe, _ = pair.connect(delay_s=0.1)
        await asyncio.sleep(1)
        assert await pair.client.ping(2)
        pipe.stall()
        start = asyncio.get_running_loop().time()
        assert not await pair.client.ping(2)
        assert asyncio.get_running_loop().time() - start == pytest.approx(2, abs=0.01)
        pipe.cut()


async def test_drain_is_announced_again_after_a_cut() -> None:
    """DRAIN is not kept by the pipe: who missed it hears of what is left."""
    async with resumable_pair(hold) as pair:
        pipe, _ = pair.connect(delay_s=0.5)
        await (await pair.client.open(GET)).response()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(pair.server.drain(10))
            draining = tasks.create_task(pair.client.wait_draining())
            await asyncio.sleep(0.1)
            pipe.cut()
            await asyncio.sleep(1)
            assert not draining.done()
            pair.connect(delay_s=0.1)
            assert await draining
        assert "stopping" in await pair.client_run


async def test_nobody_waits_for_a_drain_of_a_session_that_ended() -> None:
    """It says so instead."""
    async with resumable_pair(hold) as pair:
        async with asyncio.TaskGroup() as tasks:
            draining = tasks.create_task(pair.client.wait_draining())
            await asyncio.sleep(1)
            pair.client.close("the cloud no longer knows the session")
        assert not draining.result()
        ours, theirs = memory_pipes()
        assert await pair.client.attach(ours, peer_received_bytes=0) == (
            "the cloud no longer knows the session"
        )
        with pytest.raises(SessionClosed):
            await theirs.receive()


async def test_session_that_is_never_attached_ends_too() -> None:
    """The owner's WebSocket may fail before it is attached."""
    session = Session(
        role=Role.SERVER, session_id="s", handler=echo, limits=Limits(resume_timeout_s=3)
    )
    assert await session.run() == "it never began and was not resumed within 3 s"


async def test_cancelled_attach_interrupts_the_session() -> None:
    """The WebSocket is dropped, the streams wait."""
    async with resumable_pair(echo) as pair:
        pair.connect()
        stream = await pair.client.open(GET)
        await stream.response()
        ours, theirs = memory_pipes()
        pair.client.detach("a cut")
        pair.server.detach("a cut")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await pair.client.attach(ours, peer_received_bytes=pair.server.received_bytes)
        assert pair.client.interrupted_since is not None
        assert pair.client.is_live
        with pytest.raises(SessionClosed):
            await read_messages(theirs)
        pair.connect()
        await stream.close_write()
        assert await read_all(stream) == b""


async def test_frozen_link_is_noticed_at_both_ends_within_20_s() -> None:
    """Whatever the moment, with and without something to send."""
    for busy in (True, False):
        for after_s in (0.3, 4.9, 7.0):
            async with resumable_pair(echo) as pair:
                pipe, _ = pair.connect(delay_s=0.02)
                stream = await pair.client.open(GET)
                await stream.response()
                await asyncio.sleep(after_s)
                pipe.stall()
                if busy:
                    await stream.write(bytes(100_000))
                start = asyncio.get_running_loop().time()
                while pair.client.is_attached or pair.server.is_attached:
                    assert asyncio.get_running_loop().time() - start < 20
                    await asyncio.sleep(0.5)
                stream.reset()


@pytest.mark.parametrize("to_client", [True, False])
async def test_half_open_link_is_noticed_at_both_ends_within_20_s(to_client: bool) -> None:
    """One direction is dead; the end that still hears goes by its own unanswered PING."""
    async with resumable_pair(echo) as pair:
        client_pipe, server_pipe = pair.connect(delay_s=0.02)
        await (await pair.client.open(GET)).response()
        await asyncio.sleep(3)
        (server_pipe if to_client else client_pipe).stall_sending()
        await asyncio.sleep(20)
        assert not pair.client.is_attached
        assert not pair.server.is_attached
        assert pair.client.is_live
        assert pair.server.is_live


async def test_answers_that_cannot_be_sent_are_bounded() -> None:
    """Heads of responses, while there is nobody to send them to."""
    big = ResponseHead(status=200, headers=tuple((f"x-{n}", "y" * 1_000) for n in range(50)))
    go = asyncio.Event()

    async def handler(stream: Stream) -> None:
        await go.wait()
        await stream.respond(big)
        await stream.wait_closed()

    async with resumable_pair(handler) as pair:
        pipe, _ = pair.connect()
        for _ in range(60):
            await pair.client.open(GET)
        await asyncio.sleep(1)
        pipe.cut()
        await asyncio.sleep(1)
        go.set()
        assert "does not take them" in await pair.server_run
        assert pair.server._exchange.protocol.output_bytes < 2 << 20


async def test_peer_that_never_acknowledges_is_waited_for() -> None:
    """16 MiB are kept, then DATA waits; nothing more is taken from the callers."""

    async def handler(stream: Stream) -> None:
        await stream.respond(OK)
        while True:
            await stream.write(bytes(64 << 10))

    ours, theirs = memory_pipes(room_bytes=64 << 20)
    server = Session(role=Role.SERVER, session_id="s", handler=handler)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.run(ours))
        window = (1 << 30).to_bytes(4, "big")
        settings = b"\x00\x04" + (1 << 30).to_bytes(4, "big")
        opened = b"\x82\x87\x84\x01\x01e"
        await theirs.send(
            b"\x01PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            + len(settings).to_bytes(3, "big")
            + b"\x04\x00"
            + bytes(4)
            + settings
            + b"\x00\x00\x04\x08\x00"
            + bytes(4)
            + window
            + len(opened).to_bytes(3, "big")
            + b"\x01\x05\x00\x00\x00\x01"
            + opened
        )
        await asyncio.sleep(5)
        counts = server._exchange.counts
        # Less than a frame fits.
        assert 0 <= MAX_UNACKNOWLEDGED_BYTES - counts.kept_bytes < MAX_FRAME_BYTES
        assert counts.kept_bytes == counts.sent_bytes
        server.close("the test is over")
