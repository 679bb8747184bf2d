"""One WebSocket while it carries a session: what is taken, what goes out last, how it ends."""

from __future__ import annotations

import asyncio

import pytest

from tests.fakes.memory_pipe import HUNG_UP, MemoryPipe, memory_pipes
from tunnel.attachment import FAREWELL_S, MAX_IN_A_ROW, Attachment
from tunnel.errors import PipeError, ProtocolError, SessionClosed

pytestmark = pytest.mark.looptime

EPOCH = 7


class Owner:
    """A session that says what it is told to say."""

    def __init__(self) -> None:
        self.wake = asyncio.Event()
        self.outgoing: list[bytes] = []
        self.taken: list[tuple[bytes, int]] = []
        self.arrived = asyncio.Event()
        self.faults: list[ProtocolError] = []
        self.fault: ProtocolError | None = None
        self.dead_at = float("inf")

    def take_message(self, message: bytes, *, epoch: int) -> None:
        """Note a message, or find fault with it."""
        if self.fault is not None:
            raise self.fault
        self.taken.append((message, epoch))
        self.arrived.set()

    unsent_limit_bytes = 64 << 10

    def next_message(self) -> bytes | None:
        """Hand out what waits."""
        return self.outgoing.pop(0) if self.outgoing else None

    def has_full_message(self) -> bool:
        """Never: what is sent here is small."""
        return False

    def keep_alive(self) -> float:
        """Be dead from ``dead_at`` on."""
        now = asyncio.get_running_loop().time()
        if now >= self.dead_at:
            raise SessionClosed("no answer to a PING for 10 s")
        return min(self.dead_at - now, 5.0)

    def peer_failed(self, error: ProtocolError) -> None:
        """Note the fault."""
        self.faults.append(error)

    def say(self, message: bytes) -> None:
        """Queue a message."""
        self.outgoing.append(message)
        self.wake.set()


def attach(pipe: MemoryPipe, owner: Owner) -> Attachment:
    """Attach one end of a connection."""
    return Attachment(pipe, epoch=EPOCH, owner=owner, wake=owner.wake)


async def test_messages_pass_both_ways_with_the_epoch() -> None:
    """What arrives is the epoch's own: a late message of an older one can be told from it."""
    ours, theirs = memory_pipes()
    owner = Owner()
    attachment = attach(ours, owner)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(attachment.run())
        owner.say(b"there")
        assert await theirs.receive() == b"there"
        await theirs.send(b"back")
        await owner.arrived.wait()
        attachment.end("enough")
    assert owner.taken == [(b"back", EPOCH)]


async def test_an_ended_attachment_takes_nothing_more() -> None:
    """A takeover detaches the reader before counts are read, or a byte would count twice."""
    ours, theirs = memory_pipes()
    owner = Owner()
    attachment = attach(ours, owner)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(attachment.run())
        await theirs.send(b"too late")
        attachment.end("another connection took over")
    assert owner.taken == []
    assert running.result() == "another connection took over"
    with pytest.raises(SessionClosed, match=HUNG_UP):
        await theirs.receive()


async def test_the_last_messages_go_out_before_the_end() -> None:
    """GOAWAY is the last frame: the peer reads it, then hangs up, and nothing is waited for."""
    ours, theirs = memory_pipes()
    owner = Owner()
    attachment = attach(ours, owner)
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(attachment.run())
        owner.say(b"goodbye")
        attachment.finish("we stop")
        assert await theirs.receive() == b"goodbye"
        theirs.abort()
    assert running.result() == "we stop"
    assert loop.time() < FAREWELL_S


async def test_a_peer_that_does_not_hang_up_is_not_waited_for() -> None:
    """The farewell is bounded."""
    ours, theirs = memory_pipes()
    owner = Owner()
    attachment = attach(ours, owner)
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(attachment.run())
        attachment.finish("we stop")
    assert loop.time() - began <= 2 * FAREWELL_S
    with pytest.raises(SessionClosed):
        await theirs.receive()


async def test_a_fault_of_the_peer_is_the_sessions_to_judge() -> None:
    """The session sends the GOAWAY that says so; until then the WebSocket stays."""
    ours, theirs = memory_pipes()
    owner = Owner()
    owner.fault = PipeError("an ACK of bytes that were never sent")
    attachment = attach(ours, owner)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(attachment.run())
        await theirs.send(b"a lie")
        await asyncio.sleep(0.1)
        assert attachment.reason is None
        attachment.end("judged")
    assert owner.faults == [owner.fault]


async def test_a_dead_peer_costs_the_websocket() -> None:
    """Dead is aborted: a polite close would wait for an answer that cannot come."""
    ours, theirs = memory_pipes()
    owner = Owner()
    owner.dead_at = asyncio.get_running_loop().time() + 12.0
    theirs.stall()
    assert await attach(ours, owner).run() == "no answer to a PING for 10 s"


async def test_cancelling_aborts_the_websocket() -> None:
    """No reader, writer or socket is left behind."""
    ours, theirs = memory_pipes()
    attachment = attach(ours, Owner())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.0):
            await attachment.run()
    await attachment.wait_done()
    with pytest.raises(SessionClosed, match=HUNG_UP):
        await theirs.receive()


async def test_a_full_link_leaves_turns_to_everybody_else() -> None:
    """However much waits: after a few messages the tasks that are ready run."""
    ours, theirs = memory_pipes(room_bytes=1 << 20)
    owner = Owner()
    owner.has_full_message = lambda: True  # type: ignore[method-assign]
    owner.outgoing = [b"full"] * 100
    attachment = attach(ours, owner)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(attachment.run())
        assert await theirs.receive() == b"full"
        assert ours.sent_messages <= MAX_IN_A_ROW
        for _ in range(99):
            assert await theirs.receive() == b"full"
        attachment.end("enough")
