"""Messages of the pipe on one side, streams on the other; two ends joined by hand."""

from __future__ import annotations

import asyncio

import pytest

from tunnel.errors import ExcessiveLoad, PipeError, ProtocolError, SessionClosed
from tunnel.exchange import MAX_WAITING_OUTPUT_BYTES, Exchange, Limits
from tunnel.handlers import Handlers
from tunnel.protocol import Role
from tunnel.stream import REFUSED_STREAM, Stream

pytestmark = pytest.mark.looptime

PING_FRAME_BYTES = 17


class Owner:
    """A session that notes what it is told."""

    def __init__(self) -> None:
        self.faults: list[ProtocolError] = []
        self.left: list[str] = []
        self.drains = 0

    def peer_failed(self, error: ProtocolError) -> None:
        """Note a fault of the peer."""
        self.faults.append(error)

    def peer_left(self, reason: str) -> None:
        """Note the peer's goodbye."""
        self.left.append(reason)

    def peer_drains(self) -> None:
        """Note that the peer stops."""
        self.drains += 1


async def refuse(stream: Stream) -> None:
    """Answer nothing."""
    stream.reset(REFUSED_STREAM, "refused")


class End:
    """One end: its exchange, what it told its session, and its epoch."""

    def __init__(self, role: Role) -> None:
        self.owner = Owner()
        self.exchange = Exchange(
            role=role,
            limits=Limits(),
            handlers=Handlers(refuse, max_running=8, session_name="test"),
            owner=self.owner,
        )
        self.exchange.protocol.start()
        self.epoch = self.exchange.attach(peer_received_bytes=0)


def pump(*ends: End) -> None:
    """Carry messages between two ends until neither has one."""
    one, other = ends
    moved = True
    while moved:
        moved = False
        for sender, receiver in ((one, other), (other, one)):
            message = sender.exchange.next_message()
            if message is not None:
                receiver.exchange.take_message(message, epoch=receiver.epoch)
                moved = True


def pair() -> tuple[End, End]:
    """Return both ends, greeted."""
    client, server = End(Role.CLIENT), End(Role.SERVER)
    pump(client, server)
    return client, server


async def test_settings_are_the_first_that_is_heard() -> None:
    """Until then nothing is known of the peer, whatever its socket says."""
    client, server = End(Role.CLIENT), End(Role.SERVER)
    assert not client.exchange.has_heard
    pump(client, server)
    assert client.exchange.has_heard
    assert server.exchange.has_heard
    client.exchange.end("done")
    server.exchange.end("done")


async def test_a_message_of_an_older_epoch_is_dropped() -> None:
    """It was on its way when the connection was replaced; its bytes come again on the new one."""
    client, server = pair()
    client.exchange.announce_drain(asyncio.get_running_loop().time() + 1)
    late = client.exchange.next_message()
    assert late is not None
    server.exchange.detach()
    server.exchange.attach(peer_received_bytes=server.exchange.counts.sent_bytes)
    server.exchange.take_message(late, epoch=server.epoch)
    assert server.owner.drains == 0
    client.exchange.end("done")
    server.exchange.end("done")


async def test_a_drain_reaches_the_session() -> None:
    """DRAIN is no frame of HTTP/2: it passes whatever waits."""
    client, server = pair()
    client.exchange.announce_drain(asyncio.get_running_loop().time() + 1)
    pump(client, server)
    assert server.owner.drains == 1
    client.exchange.end("done")
    server.exchange.end("done")


async def test_a_goodbye_reaches_the_session_with_its_reason() -> None:
    """The last frame says why, and the error's name if it was one."""
    client, server = pair()
    client.exchange.protocol.leave("it lied", error_code=0x3)
    pump(client, server)
    said = "the other end closed the session (FLOW_CONTROL_ERROR): it lied"
    assert server.owner.left == [said]
    client.exchange.end("done")
    server.exchange.end("done")


async def test_answers_that_nobody_takes_end_the_session() -> None:
    """A megabyte of frames beside DATA waits at most."""
    client, _ = pair()
    for _ in range(MAX_WAITING_OUTPUT_BYTES // PING_FRAME_BYTES + 2):
        client.exchange.protocol.ping(b"12345678")
    client.exchange.output_queued()
    assert [type(fault) for fault in client.owner.faults] == [ExcessiveLoad]
    client.exchange.end("done")


async def test_a_count_that_cannot_be_true_is_refused() -> None:
    """More than was ever sent: the peer resumes another session, or lies."""
    client, server = pair()
    client.exchange.detach()
    with pytest.raises(PipeError):
        client.exchange.attach(peer_received_bytes=client.exchange.counts.sent_bytes + 1)
    client.exchange.end("done")
    server.exchange.end("done")


async def test_a_ping_is_answered_or_times_out() -> None:
    """The probe of a session that another machine wants to replace."""
    client, server = pair()
    async with asyncio.TaskGroup() as tasks:
        answered = tasks.create_task(client.exchange.ping(2.0))
        await asyncio.sleep(0)
        pump(client, server)
    assert answered.result()
    assert not await client.exchange.ping(2.0)
    client.exchange.end("done")
    server.exchange.end("done")


async def test_a_silent_peer_is_dead_after_ten_seconds() -> None:
    """Its own PING unanswered for 10 s, and nothing acknowledged since."""
    client, server = pair()

    async def keep_alive() -> None:
        for _ in range(4):
            await asyncio.sleep(client.exchange.keep_alive())

    with pytest.raises(SessionClosed, match="10 s"):
        await keep_alive()
    assert asyncio.get_running_loop().time() <= 20
    client.exchange.end("done")
    server.exchange.end("done")
