"""The sync stream and its outbox."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from provider.pods.sync_stream import SyncOutbox, run_sync_stream
from tests.fakes.fake_edge import FakeEdge, make_hello
from tests.fakes.reports import make_report
from tunnel.errors import SessionClosed, SyncError, TunnelError
from tunnel.sync import (
    Desired,
    EventAck,
    FromEdge,
    FromProvider,
    Hello,
    NodePut,
    NodeReport,
    ObjectPut,
    PodForget,
    PodPut,
    ServicesPut,
    StatusAck,
    StatusWant,
    TokenPut,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

pytestmark = pytest.mark.looptime


def put(uid: str, revision: str) -> PodPut:
    """Return a PodPut."""
    return PodPut(uid=uid, revision=revision, pod={})


async def drain(outbox: SyncOutbox) -> list[FromProvider]:
    """Return all that waits."""
    messages = []
    with contextlib.suppress(TimeoutError):
        while True:
            async with asyncio.timeout(0.01):
                messages.append(await outbox.get())
    return messages


async def test_the_newest_of_a_subject_is_sent() -> None:
    """At the place of the first; a PodForget makes a PodPut void."""
    outbox = SyncOutbox()
    outbox.open()
    for message in (put("a", "1"), put("b", "1"), put("a", "2"), PodForget(uid="b")):
        outbox.put(message)
    assert await drain(outbox) == [put("a", "2"), PodForget(uid="b")]


async def test_different_subjects_never_replace_each_other() -> None:
    """One of each kind of message, all about "x"."""
    outbox = SyncOutbox()
    outbox.open()
    messages: list[FromProvider] = [
        put("x", "1"),
        StatusAck(uid="x", sequence=1),
        StatusWant(uid="x"),
        EventAck(id="x"),
        NodePut(revision="x", name="x"),
        Desired(pods={}, complete=True),
        ObjectPut(kind="x", namespace="x", name="x", revision="x", object=None),
        ServicesPut(namespace="x", services=[], complete=True),
        TokenPut(key="x", token="x", expiry="x"),
    ]
    for message in messages:
        outbox.put(message)
    assert await drain(outbox) == messages


async def test_nothing_is_kept_without_a_session() -> None:
    """The next session begins with a comparison of everything."""
    outbox = SyncOutbox()
    outbox.put(put("a", "1"))
    outbox.open()
    outbox.put(put("b", "1"))
    outbox.close()
    outbox.open()
    assert await drain(outbox) == []


class Session:
    """What run_sync_stream told."""

    def __init__(self) -> None:
        self.edge = FakeEdge()
        self.outbox = SyncOutbox()
        self.hellos: list[Hello] = []
        self.messages: list[FromEdge] = []

    async def run(self) -> None:
        """Run one stream."""
        await run_sync_stream(
            self.edge,
            self.outbox,
            on_hello=self.hellos.append,
            on_message=self.messages.append,
        )


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[tuple[Session, asyncio.Task[None]]]:
    """Run one stream on a connected edge."""
    session = Session()
    session.edge.connect()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(session.run())
        try:
            yield session, task
        finally:
            task.cancel()


async def test_messages_go_both_ways() -> None:
    """In order, also one of many fragments."""
    async with running() as (session, task):
        side = await session.edge.accept()
        side.send(make_report(images=[{"names": ["x" * 300_000]}]))
        side.send(make_report())
        await asyncio.sleep(0.1)
        assert [type(message) for message in session.messages] == [NodeReport, NodeReport]
        large = PodPut(uid="u", revision="r", pod={"x": "y" * 300_000})
        session.outbox.put(large)
        session.outbox.put(PodForget(uid="v"))
        assert await side.receive() == large
        assert await side.receive() == PodForget(uid="v")
        side.end()
        await asyncio.sleep(0.1)
        assert task.done()
    assert len(session.hellos) == 1


async def _catch(session: Session) -> Exception:
    """Return what the stream raised."""
    try:
        await session.run()
    except (TunnelError, TimeoutError) as exc:
        return exc
    return AssertionError("it ended well")


async def _other_version(session: Session) -> None:
    await session.edge.accept(make_hello(protocol=2))


async def _second_hello(session: Session) -> None:
    side = await session.edge.accept()
    side.send(make_hello())


async def _torn(session: Session) -> None:
    side = await session.edge.accept()
    side._stream.to_provider += b"\x00\x00\x00\x09\x00abc"
    side.end()


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (_other_version, "version 2"),
        (_second_hello, "twice"),
        (_torn, "within a message"),
    ],
)
async def test_what_a_wrong_edge_says_ends_the_stream(
    act: Callable[[Session], Awaitable[None]], words: str
) -> None:
    """Another version, a second Hello, a torn message."""
    session = Session()
    session.edge.connect()
    async with asyncio.TaskGroup() as tasks:
        inner = tasks.create_task(_catch(session))
        await act(session)
    assert isinstance(inner.result(), SyncError)
    assert words in str(inner.result())


async def test_a_lost_session_is_one_error() -> None:
    """Reader and writer fail together; the caller sees one of them, and the outbox is closed."""
    session = Session()
    session.edge.connect()
    async with asyncio.TaskGroup() as tasks:
        inner = tasks.create_task(_catch(session))
        await session.edge.accept()
        await asyncio.sleep(0.1)
        session.edge.cut("gone")
    assert isinstance(inner.result(), SessionClosed)
    session.outbox.put(put("a", "1"))
    session.outbox.open()
    assert await drain(session.outbox) == []


async def test_a_silent_edge_is_given_up() -> None:
    """No Hello within fifteen seconds."""
    session = Session()
    session.edge.connect()
    start = asyncio.get_running_loop().time()
    assert isinstance(await _catch(session), TimeoutError)
    assert asyncio.get_running_loop().time() - start == pytest.approx(15, abs=0.1)


async def test_a_bug_of_ours_does_not_hide() -> None:
    """Not behind the loss that comes with it."""
    session = Session()
    session.edge.connect()

    def fail(_: FromEdge) -> None:
        session.edge.cut("at the same moment")
        raise ZeroDivisionError

    async with asyncio.TaskGroup() as tasks:

        async def act() -> None:
            side = await session.edge.accept()
            side.send(make_report())

        tasks.create_task(act())
        with pytest.raises(ZeroDivisionError):
            await run_sync_stream(
                session.edge, session.outbox, on_hello=session.hellos.append, on_message=fail
            )


async def test_a_cancellation_is_not_lost_in_a_loss() -> None:
    """The stream is lost in the moment of the stop: whoever cancelled must not wait for ever."""
    session = Session()
    session.edge.connect()
    async with asyncio.TaskGroup() as tasks:
        stopped = tasks.create_task(session.run())
        await session.edge.accept()
        await asyncio.sleep(0.1)
        session.edge.cut("gone")
        await asyncio.sleep(0)  # the reader has met the loss, and the writer's end is waited for
        assert not stopped.done()
        stopped.cancel()
    assert stopped.cancelled()
