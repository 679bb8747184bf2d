"""What died is cleared away while no pod starts, and never before what starts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from edge_runtime.objects.pod import Pod, PodUID, SandboxID
from edge_runtime.objects.runtime_status import ContainerState, PodRuntimeStatus
from edge_runtime.pods.deferred_cleaning import CAPACITY, HELD_BACK_S, DeferredCleaning, is_dead
from edge_runtime.runtime.errors import NotFound, Unavailable
from tests.fakes.edge_pods import pod_json
from tests.fakes.runtime_values import container, sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_runtime.objects.container import Json

pytestmark = pytest.mark.looptime


class Runtime:
    """Remembers when which sandbox was stopped; may refuse some."""

    def __init__(self) -> None:
        self.stopped: list[tuple[str, float]] = []
        self.refusals: dict[str, Exception] = {}

    async def stop_pod_sandbox(self, sandbox_id: SandboxID) -> None:
        """Stop it at once."""
        self.stopped.append((sandbox_id, asyncio.get_running_loop().time()))
        if sandbox_id in self.refusals:
            raise self.refusals[sandbox_id]


def status(*sandbox_ids: str) -> PodRuntimeStatus:
    """A pod of which the runtime has only dead sandboxes."""
    sandboxes = tuple(sandbox(each, ready=False) for each in sandbox_ids)
    return PodRuntimeStatus(uid=PodUID("u"), sandboxes=sandboxes, containers=())


async def stops(cleaning: DeferredCleaning, *, for_s: float) -> None:
    """Run the cleaning for a while."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(for_s):
            await cleaning.run()


async def test_nothing_is_stopped_while_a_pod_starts() -> None:
    """Dead sandboxes wait for the last start, and then go one after the other."""
    runtime = Runtime()
    cleaning = DeferredCleaning(runtime, wake=_nobody)
    async with asyncio.TaskGroup() as group:
        group.create_task(stops(cleaning, for_s=20))
        for length_s in (1.0, 3.0):
            group.create_task(_start(cleaning, length_s))
        await asyncio.sleep(0.5)
        assert cleaning.stop_later(status("a", "b"))
        assert not cleaning.may_clean
    assert runtime.stopped == [("a", 3.0), ("b", 3.0)]
    assert cleaning.may_clean


async def test_starts_that_take_long_hold_nothing_back_for_ever() -> None:
    """An old address may be what they wait for."""
    runtime = Runtime()
    cleaning = DeferredCleaning(runtime, wake=_nobody)
    cleaning.stop_later(status("a"))
    async with asyncio.TaskGroup() as group:
        group.create_task(_start(cleaning, 600.0))
        group.create_task(stops(cleaning, for_s=60))
    assert runtime.stopped == [("a", HELD_BACK_S)]


async def test_a_sandbox_that_cannot_be_stopped_keeps_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One that is gone is nothing to tell of, another failure is."""
    runtime = Runtime()
    runtime.refusals = {
        "a": NotFound(method="StopPodSandbox", message="no such sandbox"),
        "b": Unavailable(method="StopPodSandbox", message="away"),
    }
    cleaning = DeferredCleaning(runtime, wake=_nobody)
    cleaning.stop_later(status("a", "b", "c"))
    await stops(cleaning, for_s=1)
    assert [each for each, _ in runtime.stopped] == ["a", "b", "c"]
    assert [each.sandbox_id for each in caplog.records] == ["b"]  # type: ignore[attr-defined]


async def test_pods_are_woken_once_there_is_time() -> None:
    """Each once, after the last start, or when starts take too long."""
    woken: list[tuple[str, float]] = []
    loop = asyncio.get_running_loop()
    cleaning = DeferredCleaning(Runtime(), wake=lambda uid: woken.append((uid, loop.time())))
    async with asyncio.TaskGroup() as group:
        group.create_task(stops(cleaning, for_s=60))
        group.create_task(_start(cleaning, 3.0))
        await asyncio.sleep(0.5)
        cleaning.wake_later(PodUID("a"))
        cleaning.wake_later(PodUID("a"))
        await asyncio.sleep(4.5)
        assert woken == [("a", 3.0)]
        group.create_task(_start(cleaning, 600.0))
        await asyncio.sleep(1)
        cleaning.wake_later(PodUID("b"))
        await asyncio.sleep(20)
        assert woken == [("a", 3.0), ("b", 5.0 + HELD_BACK_S)]


async def test_more_than_there_is_room_for_is_refused() -> None:
    """Whoever asks then stops them itself."""
    cleaning = DeferredCleaning(Runtime(), wake=_nobody)
    assert cleaning.stop_later(status(*(f"s{number}" for number in range(CAPACITY))))
    assert not cleaning.stop_later(status("one more"))


def _cases() -> Iterator[tuple[Json, PodRuntimeStatus, bool]]:
    dead = status("s0")
    ended = container(state=ContainerState.EXITED)
    yield pod_json(), dead, True
    yield pod_json(), PodRuntimeStatus(uid=dead.uid, sandboxes=(), containers=(ended,)), True
    for state in (ContainerState.RUNNING, ContainerState.UNKNOWN):
        each = (container(state=state),)
        yield (
            pod_json(),
            PodRuntimeStatus(uid=dead.uid, sandboxes=dead.sandboxes, containers=each),
            False,
        )
    ready = PodRuntimeStatus(uid=dead.uid, sandboxes=(sandbox(),), containers=())
    yield pod_json(), ready, False
    ports = {"name": "c", "image": "i", "ports": [{"containerPort": 80, "hostPort": 80}]}
    yield pod_json(containers=[ports]), dead, False


@pytest.mark.parametrize(("pod", "found", "expected"), list(_cases()))
def test_only_what_nothing_lives_of_is_dead(
    pod: Json, found: PodRuntimeStatus, *, expected: bool
) -> None:
    """Neither containers, nor a sandbox, nor ports of the machine."""
    assert is_dead(Pod(pod), found) is expected


def _nobody(uid: PodUID) -> None:
    raise AssertionError(f"{uid} did not ask to be woken")


async def _start(cleaning: DeferredCleaning, length_s: float) -> None:
    with cleaning.starting():
        await asyncio.sleep(length_s)
