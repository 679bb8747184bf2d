"""The end of containers in virtual time: hook, turn, signal, all within one grace period."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from edge_runtime.objects.container import Container, ContainerID
from edge_runtime.objects.pod import Pod
from edge_runtime.pods.container_stop import ContainerStopper, StopTurns
from edge_runtime.pods.hooks import HookFailed
from edge_runtime.pods.pod_events import PodEvents
from edge_runtime.runtime.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from edge_runtime.objects.container import Json

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]


class _Machine:
    """Containers that take their time to end, hooks that take theirs, and a record of it all.

    Attributes:
        ends_after_s: By container: how long after its signal it ends by itself.
        hook_s: By container: how long its hook takes; it breaks off when the container ends.
        signals: When which container got its signal, and how long it was given.
        told: Events.
    """

    def __init__(self) -> None:
        self.ends_after_s: dict[str, float] = {}
        self.hook_s: dict[str, float] = {}
        self.failing: dict[str, Exception] = {}
        self.signals: list[tuple[float, str, int]] = []
        self.ended: dict[str, asyncio.Event] = {}
        self.hooks_ended: dict[str, str] = {}
        self.told: list[tuple[str, str]] = []

    def time(self) -> float:
        return asyncio.get_running_loop().time()

    def record(
        self, pod: Pod, *, event_type: str, reason: str, message: str, container_name: str = ""
    ) -> None:
        self.told.append((reason, container_name))

    async def stop_container(self, container_id: ContainerID, *, timeout_s: int) -> None:
        self.signals.append((self.time(), container_id, timeout_s))
        if container_id in self.failing:
            raise self.failing[container_id]
        await asyncio.sleep(min(self.ends_after_s.get(container_id, 0.0), timeout_s))
        self.ended.setdefault(container_id, asyncio.Event()).set()

    async def run_hook(
        self,
        pod: Pod,
        container: Container,
        container_id: ContainerID,
        handler: Json,
        *,
        timeout_s: float | None,
        ip: str,
    ) -> None:
        ended = self.ended.setdefault(container_id, asyncio.Event())
        try:
            async with asyncio.timeout(self.hook_s.get(container.name, 0.0)):
                await ended.wait()
        except TimeoutError:
            self.hooks_ended[container.name] = "done"
            return
        except asyncio.CancelledError:
            self.hooks_ended[container.name] = "cancelled"
            raise
        self.hooks_ended[container.name] = "failed"
        raise HookFailed("it was killed")

    def stopper(self) -> ContainerStopper:
        return ContainerStopper(self, hooks=self, events=PodEvents(self))


HOOK = {"preStop": {"exec": {"command": ["true"]}}}
SLEEP = {"preStop": {"sleep": {"seconds": 60}}}


async def _stop(
    machine: _Machine, pod: Pod, *, grace_period_s: int, names: str | None = None
) -> None:
    """Stop the containers of a pod, whose ids are their names."""
    running = [each.name for each in pod.all_containers if names is None or each.name in names]
    turns = StopTurns(pod, running)
    stopper = machine.stopper()
    await asyncio.gather(
        *(
            stopper.stop(
                pod,
                container,
                ContainerID(container.name),
                grace_period_s=grace_period_s,
                ip="10.0.0.1",
                turns=turns,
            )
            for container in pod.all_containers
            if container.name in running
        )
    )


def _pod(mains: str = "m", sidecars: str = "", *, hooks: dict[str, Json] | None = None) -> Pod:
    def entry(name: str) -> Json:
        return {"name": name, "lifecycle": (hooks or {}).get(name)}

    spec = {
        "containers": [entry(name) for name in mains],
        "initContainers": [entry(name) | {"restartPolicy": "Always"} for name in sidecars],
    }
    return Pod({"metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": spec})


async def test_main_containers_get_their_signal_at_once() -> None:
    """All of them at the same time, with the whole grace period."""
    machine = _Machine()
    machine.ends_after_s = {"m": 5, "n": 1}
    await _stop(machine, _pod("mn"), grace_period_s=30)
    assert sorted(machine.signals) == [(0.0, "m", 30), (0.0, "n", 30)]
    assert machine.time() == 5.0


async def test_the_hook_comes_first_and_its_time_counts() -> None:
    """7.9 s of 30 leave 23: seconds are cut, as in a kubelet."""
    machine = _Machine()
    machine.hook_s = {"m": 7.9}
    await _stop(machine, _pod(hooks={"m": HOOK}), grace_period_s=30)
    assert machine.signals == [(7.9, "m", 23)]
    assert machine.hooks_ended == {"m": "done"}
    assert machine.told == []


async def test_a_hook_that_takes_too_long_leaves_two_seconds() -> None:
    """It goes on until its container ends, which it is told of, and then it failed."""
    machine = _Machine()
    machine.hook_s = {"m": 100}
    machine.ends_after_s = {"m": 1}
    await _stop(machine, _pod(hooks={"m": HOOK}), grace_period_s=10)
    assert machine.signals == [(10.0, "m", 2)]
    assert machine.hooks_ended == {"m": "failed"}
    assert machine.told == [("FailedPreStopHook", "m")]
    assert machine.time() == 11.0


async def test_a_pause_that_takes_too_long_is_given_up() -> None:
    """Nobody waits for it once its container ended."""
    machine = _Machine()
    machine.hook_s = {"m": 60}
    await _stop(machine, _pod(hooks={"m": SLEEP}), grace_period_s=3)
    assert machine.hooks_ended == {"m": "cancelled"} or machine.hooks_ended == {"m": "failed"}
    assert machine.time() == 3.0


async def test_a_failed_hook_stops_nothing() -> None:
    """It is told, and the container gets its signal all the same."""

    class _Failing(_Machine):
        async def run_hook(self, *args: object, **kwargs: object) -> None:
            raise HookFailed("exited with 1")

    machine = _Failing()
    await _stop(machine, _pod(hooks={"m": HOOK}), grace_period_s=30)
    assert machine.told == [("FailedPreStopHook", "m")]
    assert machine.signals == [(0.0, "m", 30)]


async def test_without_a_grace_period_no_hook_runs() -> None:
    """There is no time for it; the container still gets its 2 s."""
    machine = _Machine()
    await _stop(machine, _pod(hooks={"m": HOOK}), grace_period_s=0)
    assert machine.hooks_ended == {}
    assert machine.signals == [(0.0, "m", 2)]


async def test_sidecars_end_after_the_main_containers_and_backwards() -> None:
    """All share one grace period: what the others took is gone."""
    machine = _Machine()
    machine.ends_after_s = {"m": 4, "n": 6, "s": 3, "t": 2}
    await _stop(machine, _pod("mn", "st"), grace_period_s=30)
    assert sorted(machine.signals) == [
        (0.0, "m", 30),
        (0.0, "n", 30),
        (6.0, "t", 24),
        (8.0, "s", 22),
    ]


async def test_a_sidecar_s_hook_runs_before_its_turn() -> None:
    """At the beginning of the end, like all others."""
    machine = _Machine()
    machine.ends_after_s = {"m": 4}
    machine.hook_s = {"s": 2}
    await _stop(machine, _pod("m", "s", hooks={"s": HOOK}), grace_period_s=30)
    assert sorted(machine.signals) == [(0.0, "m", 30), (4.0, "s", 26)]


async def test_a_stubborn_main_container_leaves_its_sidecars_two_seconds() -> None:
    """The grace period ends for all at once."""
    machine = _Machine()
    machine.ends_after_s = {"m": 100, "s": 100}
    await _stop(machine, _pod("m", "s"), grace_period_s=10)
    assert sorted(machine.signals) == [(0.0, "m", 10), (10.0, "s", 2)]
    assert machine.time() == 12.0


async def test_who_does_not_run_is_not_waited_for() -> None:
    """The sidecar's turn is at once."""
    machine = _Machine()
    await _stop(machine, _pod("mn", "s"), grace_period_s=10, names="s")
    assert machine.signals == [(0.0, "s", 10)]


async def test_a_container_that_is_gone_counts_as_stopped() -> None:
    """And those that wait for it go on."""
    machine = _Machine()
    machine.failing["m"] = NotFound(method="StopContainer", message="gone")
    await _stop(machine, _pod("m", "s"), grace_period_s=10)
    assert machine.signals[-1] == (0.0, "s", 10)


async def test_a_container_that_cannot_be_stopped_is_raised() -> None:
    """Who waits for it does so to the end of the grace period."""
    machine = _Machine()
    machine.failing["m"] = Unavailable(method="StopContainer", message="no")
    with pytest.raises(Unavailable):
        await _stop(machine, _pod(hooks={"m": HOOK}), grace_period_s=10)


async def test_cancelling_gives_the_hook_up_and_sends_no_signal() -> None:
    """Whoever hurries begins anew with less time."""
    machine = _Machine()
    machine.hook_s = {"m": 100}
    async with asyncio.TaskGroup() as group:
        task = group.create_task(_stop(machine, _pod(hooks={"m": HOOK}), grace_period_s=30))
        await asyncio.sleep(5)
        task.cancel()
    assert machine.hooks_ended == {"m": "cancelled"}
    assert machine.signals == []
