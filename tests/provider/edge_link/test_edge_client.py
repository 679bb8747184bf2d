"""What the front doors know of the edge: offline at once, interrupted for a moment, or there."""

from __future__ import annotations

import asyncio
import datetime
from typing import TYPE_CHECKING

import pytest

from provider.edge_link.edge_client import MAX_CALLS, EdgeClient, SiteOffline
from tests.fakes.edge import connected_edge
from tunnel.errors import SessionClosed
from tunnel.identity import parse_site_name
from tunnel.protocol import RequestHead, ResponseHead

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunnel.stream import Stream

SITE = parse_site_name("site-a")
HEAD = RequestHead(method="GET", path="/pods")
NOON = datetime.datetime(2026, 1, 2, 12, 0, tzinfo=datetime.UTC)


class NoCalls:
    """A session that takes no calls."""

    open_streams = 0

    async def open(self, head: RequestHead) -> Stream:
        """Wait without end."""
        del head
        await asyncio.Event().wait()
        raise AssertionError


async def echo(stream: Stream) -> None:
    """Answer with 200."""
    await stream.respond(ResponseHead(status=200), end=True)


@pytest.mark.looptime
async def test_an_edge_that_never_came_is_offline_at_once() -> None:
    """No call waits for somebody who was never there."""
    loop = asyncio.get_running_loop()
    client = EdgeClient(site=SITE, now=lambda: NOON)
    with pytest.raises(SiteOffline) as caught:
        await client.open(HEAD)
    assert loop.time() == 0
    assert str(caught.value) == (
        "site site-a is offline since 2026-01-02T12:00:00Z "
        "(last error: it has not connected since the provider started)"
    )


@pytest.mark.looptime
async def test_a_call_waits_five_seconds_from_the_loss() -> None:
    """An edge that was just lost is mostly back soon; the wait counts from the loss."""
    loop = asyncio.get_running_loop()
    client, session = EdgeClient(site=SITE, now=lambda: NOON), NoCalls()
    client.session_attached(session, session_id_hash="x")
    client.session_ended(session, error="the connection was lost")
    await asyncio.sleep(2)
    with pytest.raises(SiteOffline, match=r"\(last error: the connection was lost\)$"):
        await client.open(HEAD)
    assert loop.time() == 5
    with pytest.raises(SiteOffline):
        await client.open(HEAD)
    assert loop.time() == 5


async def test_a_call_goes_on_when_the_edge_comes_back_in_time() -> None:
    """A short interruption costs a call nothing but time."""
    client, lost = EdgeClient(site=SITE), NoCalls()
    client.session_attached(lost, session_id_hash="x")
    client.session_ended(lost, error="lost")
    async with connected_edge(echo) as edge, asyncio.TaskGroup() as tasks:
        call = tasks.create_task(client.open(HEAD))
        await asyncio.sleep(0)
        client.session_attached(edge.session, session_id_hash="y")
        stream = await call
        await stream.close_write()
        assert (await stream.response()).status == 200


@pytest.mark.looptime
async def test_a_session_without_a_free_stream_is_told_after_five_seconds() -> None:
    """All streams in use is another story than offline."""
    client = EdgeClient(site=SITE)
    client.session_attached(NoCalls(), session_id_hash="x")
    with pytest.raises(SiteOffline, match="takes no more calls now"):
        await client.open(HEAD)
    assert asyncio.get_running_loop().time() == 5


async def test_the_end_of_a_replaced_session_changes_nothing() -> None:
    """The new session is there before the old one has ended."""
    client, old, new = EdgeClient(site=SITE), NoCalls(), NoCalls()
    client.session_attached(old, session_id_hash="old")
    client.session_attached(new, session_id_hash="new")
    client.session_ended(old, error="replaced")
    assert client.state.connected
    assert client.state.session_id_hash == "new"


async def test_changes_are_seen_by_everyone_who_waits() -> None:
    """Conditions and events wait for the same change; a state is compared by value."""
    client, session = EdgeClient(site=SITE, now=lambda: NOON), NoCalls()
    before = client.state
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(client.changed()) for _ in range(2)]
        connected = tasks.create_task(client.wait_connected())
        await asyncio.sleep(0)
        client.session_attached(session, session_id_hash="x")
    assert connected.done()
    states = [task.result() for task in waiting]
    assert states[0] == states[1] == client.state != before


async def test_answers_needs_the_edge_runtime_itself() -> None:
    """A tunnel alone does not renew a Lease."""
    status = 200

    async def health(stream: Stream) -> None:
        await stream.respond(ResponseHead(status=status))
        await stream.write(b"text")
        await stream.close_write()

    async with connected_edge(health) as edge:
        assert await edge.client.answers(timeout_s=1)
        status = 500
        assert not await edge.client.answers(timeout_s=1)
        edge.pipe.cut()
        await edge.client.changed()
        assert not await edge.client.answers(timeout_s=0.1)


@pytest.mark.looptime
async def test_answers_gives_up_in_time() -> None:
    """An edge that hangs does not answer."""
    hung = asyncio.Event()

    async def hang(stream: Stream) -> None:
        await stream.wait_closed()
        hung.set()

    async with connected_edge(hang) as edge:
        assert not await edge.client.answers(timeout_s=3)
        assert asyncio.get_running_loop().time() == pytest.approx(3)
        await hung.wait()


class BusySession(NoCalls):
    """A session with many streams."""

    def __init__(self, open_streams: int) -> None:
        self.open_streams = open_streams
        self.takes_calls = False
        self.on_open: Callable[[], None] | None = None

    async def open(self, head: RequestHead) -> Stream:
        """Say that it got here."""
        if self.takes_calls:
            return await super().open(head)
        if self.on_open is not None:
            self.on_open()
        raise SessionClosed("this end of the tunnel is stopping")


@pytest.mark.looptime
async def test_calls_leave_streams_for_the_provider_itself() -> None:
    """Many followed logs make the node neither NotReady nor blind."""
    client = EdgeClient(site=SITE)
    client.session_attached(BusySession(MAX_CALLS), session_id_hash="x")
    with pytest.raises(SiteOffline, match=f"^site site-a takes no more calls now: {MAX_CALLS} are"):
        await client.open_call(HEAD)
    with pytest.raises(SiteOffline, match=r"is stopping$"):
        await client.open(HEAD)
    assert asyncio.get_running_loop().time() == 0


@pytest.mark.looptime
async def test_calls_that_waited_together_do_not_all_pass_the_limit() -> None:
    """The edge comes back: of those that waited, as many go on as there is room for."""
    client = EdgeClient(site=SITE)
    session = BusySession(MAX_CALLS - 2)
    session.takes_calls = True
    client.session_attached(session, session_id_hash="x")
    client.session_interrupted(session, error="cut")
    async with asyncio.TaskGroup() as tasks:
        calls = [tasks.create_task(refused_by(client)) for _ in range(5)]
        await asyncio.sleep(1)
        client.session_attached(session, session_id_hash="x")
        await asyncio.sleep(0)
    refusals = [call.result() for call in calls]
    assert sum("takes no more calls now: 248 are running" in text for text in refusals) == 3
    assert asyncio.get_running_loop().time() == 5


@pytest.mark.looptime
async def test_each_call_waits_for_an_interrupted_session_however_long_it_has_been() -> None:
    """It may be resumed at any moment; people read since when it is away."""
    client, session = EdgeClient(site=SITE, now=lambda: NOON), NoCalls()
    client.session_attached(session, session_id_hash="x")
    client.session_interrupted(session, error="cut")
    assert client.state.interrupted
    await asyncio.sleep(60)
    with pytest.raises(SiteOffline, match=r"^site site-a is offline since .* \(last error: cut\)$"):
        await client.open(HEAD)
    assert asyncio.get_running_loop().time() == 65
    client.session_ended(session, error="cut, and not resumed")
    assert not client.state.interrupted
    with pytest.raises(SiteOffline, match="not resumed"):
        await client.open(HEAD)
    assert asyncio.get_running_loop().time() == 65


@pytest.mark.looptime
async def test_a_call_goes_to_the_next_session_when_the_present_one_ends_meanwhile() -> None:
    """Nothing of it was sent yet."""
    client, old, new = EdgeClient(site=SITE), BusySession(0), NoCalls()
    client.session_attached(old, session_id_hash="old")
    old.on_open = lambda: client.session_attached(new, session_id_hash="new")
    with pytest.raises(SiteOffline, match=r"takes no more calls now$"):
        await client.open(HEAD)
    assert asyncio.get_running_loop().time() == 5


async def refused_by(client: EdgeClient) -> str:
    """Make a call and return how it was refused."""
    with pytest.raises(SiteOffline) as caught:
        await client.open_call(HEAD)
    return str(caught.value)


@pytest.mark.looptime
async def test_a_session_that_drains_is_not_called_offline() -> None:
    """The time of its beginning would be told as that of its end."""
    client = EdgeClient(site=SITE)
    client.session_attached(BusySession(0), session_id_hash="x")
    with pytest.raises(SiteOffline) as caught:
        await client.open_call(HEAD)
    assert str(caught.value) == (
        "site site-a takes no more calls now: this end of the tunnel is stopping"
    )
