"""A connection that outlived its cut and says nothing, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from tests.fakes.memory_site import memory_site
from tests.fakes.session_pair import GET, echo, read_all
from tunnel.liveness import PING_EVERY_S

pytestmark = pytest.mark.looptime


def now() -> float:
    """Return the virtual time."""
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("cut_s", [3.5, 6.3, 8.0, 9.9])
async def test_a_connection_that_stays_silent_after_the_heal_is_replaced(cut_s: float) -> None:
    """TCP would repeat seconds later, PINGs are patient for ten: a call is back well before."""
    async with memory_site(echo, tries_port=True) as site:
        stream = await site.client.open(GET)
        await stream.response()
        site.link.is_down = True
        site.link.stall()
        await asyncio.sleep(cut_s)
        site.link.is_down = False
        healed_at = now()
        await stream.write(b"still there")
        await stream.close_write()
        assert await read_all(stream) == b"still there"
        # What is missing of a PING interval and three seconds of silence, then one dial.
        assert now() - healed_at < max(PING_EVERY_S + 3 - cut_s, 0) + 2.6
        assert len(site.link.dials) == 2


async def test_a_silent_connection_is_kept_while_the_provider_cannot_be_reached() -> None:
    """A cut that ends before the PINGs' patience costs no new connection."""
    async with memory_site(echo, tries_port=True) as site:
        site.link.is_down = True
        for pipe in site.link.pipes[-1]:
            pipe.stall()
        await asyncio.sleep(7)
        for pipe in site.link.pipes[-1]:
            pipe.resume()
        site.link.is_down = False
        await asyncio.sleep(30)
        assert len(site.link.dials) == 1


async def test_an_idle_connection_is_left_alone() -> None:
    """It owes nothing."""
    async with memory_site(echo, tries_port=True) as site:
        await asyncio.sleep(600)
        assert len(site.link.dials) == 1
