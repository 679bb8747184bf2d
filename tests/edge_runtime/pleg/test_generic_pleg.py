"""The relist: sees every change within a period, and takes silence for nothing."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from typing import TYPE_CHECKING

import pytest

from edge_runtime.objects.pod import PodUID
from edge_runtime.objects.runtime_status import ContainerState, PodListing, PodRuntimeStatus
from edge_runtime.pleg.generic_pleg import HEALTHY_S, GenericPLEG
from edge_runtime.pleg.newcomers import OWN_DOING_S
from edge_runtime.pleg.pod_cache import PodCache
from edge_runtime.runtime.errors import Unavailable
from tests.fakes.runtime_values import container, sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edge_runtime.objects.runtime_status import ContainerStatus, SandboxStatus

UID = PodUID("u")
pytestmark = pytest.mark.looptime


class Runtime:
    """A runtime in memory."""

    def __init__(self) -> None:
        self.sandboxes: list[SandboxStatus] = []
        self.containers: list[ContainerStatus] = []
        self.is_away = False
        self.reads = 0
        self.during_read = asyncio.Event()
        self.may_read = asyncio.Event()
        self.may_read.set()

    async def list_pod_sandboxes(self) -> list[SandboxStatus]:
        """Return all."""
        self._check()
        return list(self.sandboxes)

    async def list_containers(self) -> list[ContainerStatus]:
        """Return all."""
        self._check()
        return list(self.containers)

    async def pod_status(
        self, uid: PodUID, *, listed: PodListing | None = None
    ) -> PodRuntimeStatus:
        """Return what was there when the read began."""
        del listed
        self._check()
        self.reads += 1
        status = PodRuntimeStatus(
            uid=uid, sandboxes=tuple(self.sandboxes), containers=tuple(self.containers)
        )
        self.during_read.set()
        await self.may_read.wait()
        return status

    def _check(self) -> None:
        if self.is_away:
            raise Unavailable(method="List", message="away")

    def exit(self) -> None:
        """Let every container exit."""
        self.containers = [
            dataclasses.replace(each, state=ContainerState.EXITED) for each in self.containers
        ]


class Scene:
    """A PLEG over that runtime, on the loop's own clock."""

    def __init__(self) -> None:
        self.runtime = Runtime()
        self.cache = PodCache()
        self.woken: asyncio.Queue[PodUID] = asyncio.Queue()
        self.pleg = GenericPLEG(
            self.runtime,
            self.cache,
            wake=self.woken.put_nowait,
            monotonic=asyncio.get_running_loop().time,
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the PLEG meanwhile."""
        async with asyncio.TaskGroup() as tg:
            task = tg.create_task(self.pleg.run())
            yield
            task.cancel()


async def test_change_is_seen_within_a_period() -> None:
    """Without any event."""
    scene = Scene()
    scene.runtime.containers = [container()]
    scene.runtime.sandboxes = [sandbox()]
    loop = asyncio.get_running_loop()
    async with scene.running():
        assert await scene.woken.get() == UID
        scene.runtime.exit()
        started_s = loop.time()
        assert await scene.woken.get() == UID
        assert loop.time() - started_s <= 1.0
    latest = scene.cache.get(UID).latest("c")
    assert latest is not None
    assert latest.state is ContainerState.EXITED


async def test_own_doing_wakes_nobody_and_costs_no_read() -> None:
    """A worker that put what it did is not told of it again."""
    scene = Scene()
    scene.runtime.containers = [container()]
    scene.runtime.sandboxes = [sandbox()]
    scene.cache.put_sandbox(UID, sandbox())
    scene.cache.put_container(UID, container())
    await scene.pleg.relist()
    assert scene.woken.empty()
    assert scene.runtime.reads == 0


async def test_who_needs_a_pod_at_the_start_waits_for_the_first_look() -> None:
    """It is read once, by the relist; its worker acts on that and is not woken for it."""
    scene = Scene()
    scene.runtime.containers = [container()]
    scene.runtime.may_read.clear()
    async with scene.running(), asyncio.TaskGroup() as tg:
        await asyncio.sleep(0)
        other = tg.create_task(scene.pleg.know(PodUID("nothing of it is there")))
        knows = tg.create_task(scene.pleg.know(UID))
        await other
        assert not knows.done()
        assert not scene.pleg.is_known(UID)
        scene.runtime.may_read.set()
        await knows
        assert scene.cache.get(UID).latest("c") is not None
        assert scene.runtime.reads == 1
        assert scene.woken.empty()


async def test_who_waits_for_a_first_look_that_fails_is_told() -> None:
    """It asks on its own then."""
    scene = Scene()
    scene.runtime.is_away = True
    async with scene.running():
        with pytest.raises(Unavailable):
            await scene.pleg.know(UID)
        scene.runtime.is_away = False
        await scene.pleg.know(UID)
        assert scene.runtime.reads == 1


async def test_what_a_worker_just_made_is_not_read() -> None:
    """Unless it stays unknown, as what nobody here made."""
    scene = Scene()
    loop = asyncio.get_running_loop()
    async with scene.running():
        await asyncio.sleep(0.5)
        scene.runtime.sandboxes = [sandbox()]
        await asyncio.sleep(3)
        assert scene.runtime.reads == 0
        assert await scene.woken.get() == UID
        assert 1.0 + OWN_DOING_S <= loop.time() <= 2.0 + OWN_DOING_S
    assert scene.cache.uids() == (UID,)


async def test_silence_is_no_death() -> None:
    """A runtime that does not answer leaves every container as it was."""
    scene = Scene()
    scene.runtime.containers = [container()]
    await scene.pleg.relist()
    scene.runtime.is_away = True
    async with scene.running():
        await asyncio.sleep(10)
        latest = scene.cache.get(UID).latest("c")
        assert latest is not None
        assert latest.state is ContainerState.RUNNING
        assert scene.pleg.problem() is None
        await asyncio.sleep(HEALTHY_S)
        assert "PLEG is not healthy" in (scene.pleg.problem() or "")
        assert scene.pleg.is_looping()
        scene.runtime.is_away = False
        await asyncio.sleep(1)
        assert scene.pleg.problem() is None


async def test_hint_is_followed_at_once() -> None:
    """An exit is seen when its event comes, not at the next relist."""
    scene = Scene()
    scene.runtime.containers = [container()]
    loop = asyncio.get_running_loop()
    async with scene.running():
        await scene.woken.get()
        started_s = loop.time()
        scene.runtime.exit()
        scene.pleg.hint(UID)
        await scene.woken.get()
        assert loop.time() == started_s
        scene.runtime.containers = []
        scene.pleg.hint(None)
        await scene.woken.get()
        assert loop.time() == started_s
    assert scene.cache.uids() == ()


async def test_read_that_a_worker_overtook_is_done_again() -> None:
    """What the worker started meanwhile stays."""
    scene = Scene()
    scene.runtime.may_read.clear()
    async with asyncio.TaskGroup() as tg:
        reading = tg.create_task(scene.pleg.refresh(UID))
        await scene.runtime.during_read.wait()
        scene.runtime.containers = [container()]
        scene.cache.put_container(UID, container())
        scene.runtime.may_read.set()
    assert reading.result().latest("c") is not None
    assert scene.runtime.reads == 2


async def test_vanished_pod_leaves_the_cache() -> None:
    """And its worker is told."""
    scene = Scene()
    scene.runtime.containers = [container()]
    await scene.pleg.relist()
    scene.runtime.containers = []
    await scene.pleg.relist()
    assert scene.cache.uids() == ()
    assert scene.woken.qsize() == 2
