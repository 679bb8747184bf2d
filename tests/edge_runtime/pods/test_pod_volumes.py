"""edge_runtime/pods/pod_volumes.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_runtime.objects.pod import Pod, PodUID
from edge_runtime.objects.volume import MountedVolume, VolumeProblem, VolumesNotReady
from edge_runtime.pods.pod_events import PodEvents
from edge_runtime.pods.pod_volumes import PodVolumes, VolumesVerdict
from edge_runtime.pods.sync_memory import SyncMemory

if TYPE_CHECKING:
    from collections.abc import Mapping

POD = Pod({"metadata": {"name": "p", "uid": "u"}})


class Machine:
    """Volumes that fail as told, a clock, and the events."""

    def __init__(self) -> None:
        self.problems: tuple[VolumeProblem, ...] = ()
        self.ready: dict[str, MountedVolume] = {}
        self.now_s = 100.0
        self.events: list[tuple[str, str, str]] = []
        self.memory = SyncMemory()
        self._volumes = PodVolumes(self, events=PodEvents(self), monotonic=lambda: self.now_s)

    async def mount(self, pod: Pod) -> None:
        """Fail as told."""
        assert pod is POD
        if self.problems:
            raise VolumesNotReady(self.problems)

    def mounted(self, uid: PodUID) -> Mapping[str, MountedVolume]:
        """Return what was ready once."""
        assert uid == POD.uid
        return self.ready

    def record(
        self, pod: Pod, *, event_type: str, reason: str, message: str, container_name: str = ""
    ) -> None:
        """Keep an event."""
        assert (pod, container_name) == (POD, "")
        self.events.append((event_type, reason, message))

    def fail(self, *names: str, is_lasting: bool = False) -> None:
        """Have these volumes fail, and no others."""
        self.problems = tuple(
            VolumeProblem(
                volume_name=name, message=f'secret "{name}" not found', is_lasting=is_lasting
            )
            for name in names
        )

    async def prepare(self) -> VolumesVerdict:
        """Look at the pod's volumes once."""
        return await self._volumes.prepare(POD, self.memory)


@pytest.fixture
def machine() -> Machine:
    """A machine."""
    return Machine()


async def test_all_are_ready(machine: Machine) -> None:
    """Nothing is told, nothing is to be tried again."""
    assert await machine.prepare() == VolumesVerdict(is_ready=True)
    assert machine.events == []


async def test_a_failure_is_told_and_tried_again_ever_later(machine: Machine) -> None:
    """From half a second, doubled each time, to two minutes."""
    machine.fail("s")
    waits_s = []
    for _ in range(11):
        verdict = await machine.prepare()
        assert not verdict.is_ready
        assert verdict.again_in_s is not None
        waits_s.append(verdict.again_in_s)
        machine.now_s += verdict.again_in_s
    assert waits_s == [0.5, 1, 2, 4, 8, 16, 32, 64, 122, 122, 122]
    message = 'MountVolume.SetUp failed for volume "s" : secret "s" not found'
    assert machine.events == [("Warning", "FailedMount", message)] * 11


async def test_looks_in_between_are_not_told(machine: Machine) -> None:
    """The pod is looked at whenever anything of it changes."""
    machine.fail("s")
    await machine.prepare()
    machine.now_s += 0.2
    verdict = await machine.prepare()
    assert verdict.again_in_s == pytest.approx(0.3)
    assert len(machine.events) == 1


async def test_another_failure_is_told_at_once(machine: Machine) -> None:
    """It is news."""
    machine.fail("s")
    await machine.prepare()
    machine.fail("s", "t")
    await machine.prepare()
    told = [message for _, _, message in machine.events]
    assert [each.count('volume "t"') for each in told] == [0, 0, 1]


async def test_success_forgets_the_wait(machine: Machine) -> None:
    """The next failure starts anew."""
    machine.fail("s")
    for _ in range(3):
        await machine.prepare()
        machine.now_s += 10
    machine.problems = ()
    assert (await machine.prepare()).is_ready
    machine.fail("s")
    assert (await machine.prepare()).again_in_s == 0.5


async def test_a_pod_that_runs_goes_on(machine: Machine) -> None:
    """Its volume was ready once: what it holds is old, and that is told."""
    machine.fail("s")
    machine.ready["s"] = MountedVolume(name="s", host_path="/s")
    assert await machine.prepare() == VolumesVerdict(is_ready=True, again_in_s=0.5)
    assert len(machine.events) == 1
    machine.fail("s", "t")
    assert not (await machine.prepare()).is_ready


async def test_what_cannot_be_helped_is_not_hurried(machine: Machine) -> None:
    """The next look comes with the next sync, whenever that is."""
    machine.fail("s", is_lasting=True)
    assert await machine.prepare() == VolumesVerdict(is_ready=False)
    assert len(machine.events) == 1
