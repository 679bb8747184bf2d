"""Both ends in one loop, in virtual time: what cuts, restarts and second edges do to calls."""

from __future__ import annotations

import asyncio
import hashlib
import random
from typing import TYPE_CHECKING

import pytest

from edge_runtime.uplink.backoff import MAX_DELAY_S
from edge_runtime.uplink.dial import DIAL_TIMEOUT_S
from edge_runtime.uplink.dialer import CONNECTION_LOST, NETWORK_CHANGED, PROVIDER_DRAINS, Dialer
from provider.edge_link.edge_client import SiteOffline
from provider.edge_link.site_session import DUPLICATE_SITE
from tests.fakes.memory_site import MemoryProvider, MemorySite, NetworkSwitch, memory_site
from tests.fakes.session_pair import GET, echo, read_all
from tunnel.errors import SessionClosed
from tunnel.protocol import ResponseHead
from tunnel.session import Limits

if TYPE_CHECKING:
    from tunnel.stream import Stream

pytestmark = pytest.mark.looptime
GRACE_S = 120.0


def now() -> float:
    """Return the virtual time."""
    return asyncio.get_running_loop().time()


async def copied(stream: Stream, size: int) -> tuple[str, str]:
    """Send bytes through an echo and return the digests of what went and what came back."""
    data = random.Random(7).randbytes(size)  # noqa: S311 - reproducible

    async def send() -> None:
        await stream.write(data)
        await stream.close_write()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(send())
        received = tasks.create_task(read_all(stream))
    return hashlib.sha256(data).hexdigest(), hashlib.sha256(received.result()).hexdigest()


async def cut_for(site: MemorySite, seconds: float) -> None:
    """Cut the connection, and let no dial through meanwhile."""
    site.link.is_down = True
    site.link.cut()
    await asyncio.sleep(seconds)
    site.link.is_down = False


@pytest.mark.parametrize("seed", range(100))
async def test_a_call_goes_on_through_cuts_byte_for_byte(seed: int) -> None:
    """Random cuts of 0.1 to 60 s: every byte once, and the session is back within 5 s."""
    chance = random.Random(seed)  # noqa: S311 - reproducible
    async with memory_site(echo) as site, asyncio.TaskGroup() as tasks:
        stream = await site.client.open(GET)
        copying = tasks.create_task(copied(stream, 3 << 20))
        for _ in range(3):
            await asyncio.sleep(chance.uniform(0, 0.5))
            await cut_for(site, chance.uniform(0.1, 60))
            healed_at = now()
            await site.client.wait_connected()
            assert now() - healed_at < 5
        sent, received = await copying
        assert sent == received
        assert site.provider.metrics.reconnects == {"resumed": 3}
        assert site.edge_metrics.reconnects == {CONNECTION_LOST: 3}


async def test_answers_to_dials_that_are_lost_do_not_confuse_the_ends() -> None:
    """The provider went on with the session, and the edge never heard of it."""
    async with memory_site(echo) as site, asyncio.TaskGroup() as tasks:
        stream = await site.client.open(GET)
        copying = tasks.create_task(copied(stream, 1 << 20))
        await asyncio.sleep(0.1)
        site.link.loses_answers = 2
        site.link.cut()
        sent, received = await copying
        assert sent == received


async def test_a_new_call_waits_for_the_session_at_most_five_seconds() -> None:
    """Then it is told since when and why; one that is resumed in time costs only time."""
    async with memory_site(echo) as site:
        site.link.is_down = True
        site.link.cut()
        await asyncio.sleep(20)
        asked_at = now()
        with pytest.raises(SiteOffline, match=r"is offline since .* \(last error: the connection"):
            await site.client.open(GET)
        assert now() - asked_at == pytest.approx(5)
        assert site.client.state.interrupted
        site.link.is_down = False
        stream = await site.client.open(GET)
        await stream.close_write()
        assert (await stream.response()).status == 200


async def test_a_session_that_is_not_resumed_ends_its_calls_with_the_reason() -> None:
    """On both ends, and not before its time."""
    ended: list[str] = []

    async def hold(stream: Stream) -> None:
        await stream.respond(ResponseHead(status=200))
        try:
            await stream.read()
        except SessionClosed as exc:
            ended.append(exc.reason)

    async with memory_site(hold) as site:
        stream = await site.client.open(GET)
        await stream.response()
        cut_at = now()
        site.link.is_down = True
        site.link.cut()
        with pytest.raises(SessionClosed, match=r"was not resumed within 120 s$"):
            await stream.read()
        assert now() - cut_at == pytest.approx(GRACE_S, abs=1)
        assert not site.client.state.interrupted
        with pytest.raises(SiteOffline, match=r"was not resumed within 120 s\)$"):
            await site.client.open(GET)
        await asyncio.sleep(1)
        assert len(ended) == 1
        site.link.is_down = False
        healed_at = now()
        await site.client.wait_connected()
        # A dial that began before the heal, the longest delay, and the dial that succeeds.
        assert now() - healed_at < DIAL_TIMEOUT_S + MAX_DELAY_S + 1


async def test_dials_are_quick_while_the_session_can_be_resumed_and_slow_after() -> None:
    """A cap of 2 s between dials, then one of 30 s."""
    async with memory_site(echo) as site:
        site.link.is_down = True
        site.link.cut()
        await asyncio.sleep(1000)
        gaps = [b - a for a, b in zip(site.link.dials[1:], site.link.dials[2:], strict=False)]
        early = [
            gap for at, gap in zip(site.link.dials[1:], gaps, strict=False) if at < GRACE_S - 4
        ]
        assert max(early) <= 4.01  # 2 s for the dial itself
        assert 10 < max(gaps) <= 32.01


async def test_a_provider_that_was_restarted_ends_the_calls_at_once() -> None:
    """It knows no session: there is nothing to resume."""
    async with memory_site(echo) as site:
        stream = await site.client.open(GET)
        await stream.response()
        restarted = MemoryProvider()
        serving = site.tasks.create_task(restarted.site_session.run())
        site.link.provider = restarted
        site.link.cut()
        await restarted.client.wait_connected()
        call = await restarted.client.open(GET)
        await call.close_write()
        assert await read_all(call) == b""
        assert site.dialer.is_attached
        serving.cancel()


async def test_an_edge_that_was_restarted_replaces_its_silent_predecessor() -> None:
    """Its calls end; the newcomer is asked for by nobody's PING for longer than two seconds."""
    async with memory_site(echo) as site:
        stream = await site.client.open(GET)
        await stream.response()
        site.link.is_down = True
        site.link.cut()
        await asyncio.sleep(1)
        newcomer = Dialer(
            dial=site.link.dial_as("b" * 32), handler=echo, clock=asyncio.get_running_loop().time
        )
        site.link.is_down = False
        # The old process is gone, and with it its dials.
        await site.dialer.drain(deadline_s=0)
        started = now()
        dialling = site.tasks.create_task(newcomer.run())
        with pytest.raises(SessionClosed, match="another edge process took the silent one's place"):
            await stream.read()
        await site.client.wait_connected()
        assert now() - started < 6
        assert site.provider.metrics.reconnects == {"new instance": 1}
        dialling.cancel()


async def test_a_second_edge_is_refused_while_the_first_answers_or_comes_back() -> None:
    """Also when the first one is being carried over to its next connection at that moment."""
    async with memory_site(echo) as site:
        stream = await site.client.open(GET)
        second = Dialer(
            dial=site.link.dial_as("b" * 32), handler=echo, clock=asyncio.get_running_loop().time
        )
        dialling = site.tasks.create_task(second.run())
        for _ in range(5):
            site.link.pipes[0][0].cut() if len(site.link.pipes) == 1 else site.link.cut()
            await asyncio.sleep(3)
            assert not second.is_attached
        await stream.close_write()
        assert await read_all(stream) == b""
        assert site.provider.events == [DUPLICATE_SITE]
        dialling.cancel()


async def test_a_provider_that_drains_hands_the_edge_to_the_next() -> None:
    """New calls go there at once; the old one's calls get their time, then end."""
    async with memory_site(echo) as site:
        old, following = site.provider, MemoryProvider()
        serving = site.tasks.create_task(following.site_session.run())
        stream = await old.client.open(GET)
        await stream.response()
        site.link.provider = following
        draining = site.tasks.create_task(old.site_session.drain(deadline_s=10))
        async with asyncio.timeout(1):
            await following.client.wait_connected()
        call = await following.client.open(GET)
        await call.close_write()
        assert await read_all(call) == b""
        await stream.write(b"still there")
        assert await stream.read() == b"still there"
        with pytest.raises(SessionClosed):
            await stream.read()
        await draining
        assert following.client.state.connected
        assert site.edge_metrics.reconnects == {PROVIDER_DRAINS: 1}
        serving.cancel()


async def test_a_change_of_the_network_dials_at_once() -> None:
    """Where a dial was waited for, and where a connection is silent; one that answers stays."""
    network = NetworkSwitch()
    async with memory_site(echo, network=network) as site:
        stream = await site.client.open(GET)
        await stream.response()
        network.change()
        await asyncio.sleep(5)
        assert len(site.link.dials) == 1
        # The address is gone: nothing arrives any more, and nobody says so.
        for pipe in site.link.pipes[-1]:
            pipe.stall()
        changed_at = now()
        network.change()
        await site.client.changed()
        assert now() - changed_at < 3
        await stream.write(b"goes on")
        assert await stream.read() == b"goes on"
        assert site.link.dials[1] - changed_at == pytest.approx(2, abs=0.1)
        assert site.edge_metrics.reconnects == {NETWORK_CHANGED: 1}


async def test_a_half_open_connection_is_noticed_within_twenty_seconds() -> None:
    """On both ends; and then the session goes on."""
    async with memory_site(echo) as site:
        stream = await site.client.open(GET)
        await stream.response()
        for pipe in site.link.pipes[-1]:
            pipe.stall()
        stalled_at = now()
        await site.client.changed()
        assert now() - stalled_at < 20
        await site.client.wait_connected()
        await stream.write(b"goes on")
        assert await stream.read() == b"goes on"


async def test_a_stopping_provider_ends_an_interrupted_session_at_once() -> None:
    """Nobody can carry it on: its calls need not wait for that."""
    async with memory_site(echo) as site:
        stream = await site.client.open(GET)
        await stream.response()
        site.link.is_down = True
        site.link.cut()
        await asyncio.sleep(1)
        stopped_at = now()
        await site.provider.site_session.drain(deadline_s=10)
        assert now() - stopped_at < 1
        with pytest.raises(SessionClosed, match="the provider is stopping"):
            await stream.read()


async def test_a_short_grace_is_kept() -> None:
    """It is configured."""
    async with memory_site(echo, limits=Limits(resume_timeout_s=3)) as site:
        stream = await site.client.open(GET)
        await stream.response()
        site.link.is_down = True
        site.link.cut()
        with pytest.raises(SessionClosed, match="within 3 s"):
            await stream.read()
