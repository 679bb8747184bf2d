"""A thousand sites after a long outage of their cloud: how they come back, in virtual time.

Dialers and site sessions are the real ones, over memory pipes. A site has its own provider; the
restart gives each a new one, which knows no session. After so long the delays between dials are at
their longest, and nobody knows any more when the others were cut.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import random
from typing import TYPE_CHECKING

import pytest

from edge_runtime.uplink.backoff import MAX_DELAY_S
from edge_runtime.uplink.dialer import Dialer
from tests.fakes.memory_site import MemoryLink, MemoryProvider
from tests.fakes.session_pair import GET, echo, read_all

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

SITES = 1000
OUTAGE_S = 900.0
BACK_WITHIN_S = 60.0
BUCKET_S = 0.1
STEP_S = 2.0

# Of the many timers none needs the forty idle turns of the loop that looptime gives each.
pytestmark = [pytest.mark.looptime(noop_cycles=2), pytest.mark.timeout(240)]


class Site:
    """One edge, its link, and the provider that serves it now."""

    def __init__(self, number: int, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        self.provider = MemoryProvider()
        self.serving = tasks.create_task(self.provider.site_session.run())
        self.link = MemoryLink(self.provider, tasks)
        dialer = Dialer(
            dial=self.link.dial_as(f"{number:032x}"),
            handler=echo,
            clock=asyncio.get_running_loop().time,
            chance=random.Random(number).random,  # noqa: S311 - reproducible
        )
        self.dialling = tasks.create_task(dialer.run())

    def lose_the_cloud(self) -> None:
        """Let the provider vanish; dials get no answer."""
        self.link.is_down = True
        self.link.cut()
        self.serving.cancel()

    async def come_back(self) -> float:
        """Start a new provider, and return when its edge was there, on the loop's clock."""
        self.provider = self.link.provider = MemoryProvider()
        self.serving = self._tasks.create_task(self.provider.site_session.run())
        self.link.is_down = False
        await self.provider.client.wait_connected()
        return now()

    def stop(self) -> None:
        """End both processes."""
        self.serving.cancel()
        self.dialling.cancel()
        for pipes in self.link.pipes:
            for pipe in pipes:
                pipe.cut()


def now() -> float:
    """Return the virtual time."""
    return asyncio.get_running_loop().time()


@contextlib.asynccontextmanager
async def many_sites() -> AsyncIterator[list[Site]]:
    """Run all sites, connected, until the block is left."""
    async with asyncio.TaskGroup() as tasks:
        sites = [Site(number, tasks) for number in range(SITES)]
        try:
            for site in sites:
                await site.provider.client.wait_connected()
            yield sites
        finally:
            for site in sites:
                site.stop()


def busiest(times: Iterable[float]) -> int:
    """Return how many fell into the fullest tenth of a second."""
    return max(collections.Counter(int(at / BUCKET_S) for at in times).values())


def histogram(times: list[float], *, begin: float) -> str:
    """Return one line for each step with how many fell into it."""
    counts = collections.Counter(int((at - begin) / STEP_S) for at in times)
    return "\n".join(
        f"{step * STEP_S:6.1f} s {counts[step]:4d} {'#' * (counts[step] // 4)}"
        for step in range(max(counts) + 1)
    )


def show(config: pytest.Config, *lines: str) -> None:
    """Print to the terminal, also when the test passes."""
    capture = config.pluginmanager.getplugin("capturemanager")
    terminal = config.pluginmanager.getplugin("terminalreporter")
    with capture.global_and_fixture_disabled():
        for line in ("", *lines):
            terminal.write_line(line)


async def test_all_are_back_within_a_minute_and_not_at_once(pytestconfig: pytest.Config) -> None:
    """No tenth of a second has more than three times its share, and every site takes calls."""
    async with many_sites() as sites:
        for site in sites:
            site.lose_the_cloud()
        await asyncio.sleep(OUTAGE_S)
        began = now()
        async with asyncio.TaskGroup() as tasks:
            waiting = [tasks.create_task(site.come_back()) for site in sites]
        back = [task.result() for task in waiting]
        dials = [at for site in sites for at in site.link.dials if began - MAX_DELAY_S < at]
        show(
            pytestconfig,
            f"{SITES} sites back after {OUTAGE_S:g} s without a cloud:",
            histogram(back, begin=began),
            f"busiest {BUCKET_S:g} s: {busiest(dials)} dials, {busiest(back)} back",
        )
        assert max(back) - began <= BACK_WITHIN_S
        share = SITES * BUCKET_S / (MAX_DELAY_S / 2)
        assert busiest(dials) <= 3 * share
        assert busiest(back) <= 3 * share
        for site in sites[:: SITES // 20]:
            stream = await site.provider.client.open(GET)
            await stream.write(b"still here?")
            await stream.close_write()
            assert await read_all(stream) == b"still here?"
