"""Many sites lose their cloud and find it again, all in one loop."""

from __future__ import annotations

import asyncio
import collections
import random
import sys

import pytest

from edge_runtime.uplink.dialer import Dialer
from tests.fakes.memory_site import MemoryLink, MemoryProvider
from tests.fakes.session_pair import echo

SITES = 1000
OUTAGE_S = 40.0
BACK_WITHIN_S = 60.0
# Of all sites, in any half second: dials that come together are what a cloud that has just started
# cannot bear.
MAX_BURST = SITES // 3


class Site:
    """One site: whatever serves it now, and the time at which it was back."""

    def __init__(self, number: int, tasks: asyncio.TaskGroup) -> None:
        chance = random.Random(number)  # noqa: S311 - reproducible
        self._tasks = tasks
        self._provider = MemoryProvider()
        self.link = MemoryLink(self._provider, tasks)
        self._dialer = Dialer(
            dial=self.link.dial_as(f"{number:032x}"),
            handler=echo,
            clock=asyncio.get_running_loop().time,
            chance=chance.random,
        )
        self._running = [
            tasks.create_task(self._provider.site_session.run()),
            tasks.create_task(self._dialer.run()),
        ]

    async def connected(self) -> float:
        """Wait for the session and return the time of it."""
        await self._provider.client.wait_connected()
        return asyncio.get_running_loop().time()

    def lose(self) -> None:
        """Kill the provider: nobody answers any more."""
        self.link.is_down = True
        self.link.cut()
        self._running.pop(0).cancel()

    def restart(self) -> None:
        """Start the provider again; it knows nothing."""
        self._provider = MemoryProvider()
        self._running.append(self._tasks.create_task(self._provider.site_session.run()))
        self.link.provider = self._provider
        self.link.is_down = False

    def end(self) -> None:
        """Stop both."""
        for task in self._running:
            task.cancel()
        for near, far in self.link.pipes:
            near.cut()
            far.cut()


@pytest.mark.looptime
async def test_a_thousand_sites_are_back_within_a_minute_and_not_at_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """All were cut in the same instant, and their cloud is back in the same instant."""
    async with asyncio.TaskGroup() as tasks:
        sites = [Site(number, tasks) for number in range(SITES)]
        await asyncio.gather(*(site.connected() for site in sites))
        for site in sites:
            site.lose()
        await asyncio.sleep(OUTAGE_S)
        for site in sites:
            site.restart()
        healed_at = asyncio.get_running_loop().time()
        back = sorted(
            at - healed_at for at in await asyncio.gather(*(s.connected() for s in sites))
        )
        for site in sites:
            site.end()
    bursts = collections.Counter(int(after * 2) for after in back)
    rows = [f"  back after {half / 2:4.1f} s: {bursts[half]:4}" for half in range(max(bursts) + 1)]
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(rows) + "\n")
    assert back[-1] < BACK_WITHIN_S
    assert max(bursts.values()) <= MAX_BURST
