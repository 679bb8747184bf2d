"""A connection that carries one way only is noticed by both ends, each by itself, in real time."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import TYPE_CHECKING

from edge_runtime.uplink.dial import ProviderDial
from edge_runtime.uplink.dialer import Dialer
from tests.fakes.edge_port import SITE, edge_port
from tests.fakes.session_pair import GET, echo
from tests.fakes.simulated_link import simulated_link
from tests.fakes.site_pki import SitePki

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOTICED_WITHIN_S = 20.0


def dialer(pki: SitePki, port: int) -> Dialer:
    """Make the real dialer."""
    dial = ProviderDial(
        server=("127.0.0.1", port), credentials=pki.credentials(), instance_id="a" * 32
    )
    return Dialer(dial=dial, handler=echo)


async def seconds_until(condition: Callable[[], bool]) -> float:
    """Return after how many seconds it came true, by looking often."""
    began = time.monotonic()
    async with asyncio.timeout(2 * NOTICED_WITHIN_S):
        while True:
            if condition():
                return time.monotonic() - began
            await asyncio.sleep(0.05)


async def test_both_ends_notice_and_go_on_after_the_heal(tmp_path: Path) -> None:
    """Either direction, idle and busy; no dial gets through that would tell the provider."""
    async with asyncio.TaskGroup() as tasks:
        for direction, is_busy in itertools.product(("up", "down"), (False, True)):
            pki = SitePki(tmp_path / f"{direction}-{is_busy}", site=SITE)
            tasks.create_task(_half_open(pki, direction, is_busy=is_busy))


async def _half_open(pki: SitePki, direction: str, *, is_busy: bool) -> None:
    async with (
        edge_port(pki) as port,
        simulated_link(port.listener.port) as link,
        asyncio.TaskGroup() as tasks,
    ):
        edge = dialer(pki, link.port)
        dialling = tasks.create_task(edge.run())
        await port.client.wait_connected()
        stream = await port.client.open(GET)
        await stream.write(b"before")
        assert await stream.read() == b"before"
        await link.do("half_open", direction=direction, dials="silent")
        if is_busy:
            await stream.write(bytes(50_000))
        async with asyncio.TaskGroup() as waiting:
            provider = waiting.create_task(seconds_until(lambda: not port.client.state.connected))
            here = waiting.create_task(seconds_until(lambda: not edge.is_attached))
        assert provider.result() <= NOTICED_WITHIN_S
        assert here.result() <= NOTICED_WITHIN_S
        await link.do("heal")
        async with asyncio.timeout(5):
            await port.client.wait_connected()
        await stream.write(b"after")
        received = 0
        while received < (50_000 if is_busy else 0) + 5:
            received += len(await stream.read())
        dialling.cancel()
