"""EvictionManager over virtual time."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from edge_runtime.eviction.eviction_manager import EvictionManager, EvictionSettings
from edge_runtime.eviction.observations import ContainerUse, PodUse
from edge_runtime.machine.usage import FilesystemSpace, MachineUsage
from edge_runtime.objects.eviction_thresholds import Signal, Threshold, ThresholdValue
from edge_runtime.objects.node_stats import DiskUse
from edge_runtime.objects.pod import Pod, PodUID
from edge_runtime.objects.quantity import QuantityError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

GIB = 1 << 30
HARD_MEMORY = Threshold(signal=Signal.MEMORY_AVAILABLE, value=ThresholdValue("1Gi"))
SOFT_MEMORY = Threshold(
    signal=Signal.MEMORY_AVAILABLE, value=ThresholdValue("1Gi"), grace_period_s=25
)
HARD_DISK = Threshold(signal=Signal.NODEFS_AVAILABLE, value=ThresholdValue("10%"))


def pod(name: str, *, limit: str | None = None) -> Pod:
    """A pod of one container."""
    limits = {} if limit is None else {"ephemeral-storage": limit}
    return Pod(
        {
            "metadata": {"name": name, "namespace": "ns", "uid": name},
            "spec": {
                "containers": [{"name": "c", "resources": {"limits": limits}}],
                "terminationGracePeriodSeconds": 30,
            },
        }
    )


@dataclass
class Machine:
    """A machine, its pods, and what became of them."""

    memory: int = 2 * GIB
    disk: int = 50
    uses: dict[str, PodUse] = field(default_factory=dict)
    pods: list[Pod] = field(default_factory=list)
    evicted: list[tuple[float, str, int, str]] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    reclaims: list[str] = field(default_factory=list)
    disk_after_reclaim: int = 0
    stops_after_s: float = 0.5
    critical: set[str] = field(default_factory=set)
    stopped_at: dict[str, float] = field(default_factory=dict)
    measured: list[list[str]] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    looked_at_disks: list[bool] = field(default_factory=list)

    def now(self) -> float:
        """Seconds of virtual time."""
        return asyncio.get_running_loop().time()

    async def look(self) -> tuple[MachineUsage, bool]:
        """What is left; both kinds of files on one filesystem."""
        if self.failures:
            raise self.failures.pop()
        space = FilesystemSpace(
            available_bytes=self.disk, capacity_bytes=100, inodes_free=50, inodes=100
        )
        usage = MachineUsage(
            available_memory_bytes=self.memory,
            memory_bytes=4 * GIB,
            nodefs=space,
            imagefs=space,
            pids=1,
            max_pids=100,
        )
        return usage, False

    async def measure(self, pods: Sequence[Pod], *, disks: bool = True) -> Mapping[PodUID, PodUse]:
        """What pods use."""
        self.looked_at_disks.append(disks)
        self.measured.append([each.name for each in pods])
        return {PodUID(each.uid): self.uses[each.name] for each in pods if each.name in self.uses}

    def running(self) -> list[Pod]:
        """Those that were not ended."""
        return [each for each in self.pods if each.name not in self.stopped_at]

    def evict(self, pod: Pod, *, message: str, grace_period_s: int, is_disruption: bool) -> bool:
        """End one, unless it is critical."""
        if pod.name in self.critical:
            return False
        self.evicted.append((self.now(), pod.name, grace_period_s, message))
        self.stopped_at[pod.name] = self.now() + self.stops_after_s
        assert is_disruption == message.startswith("The node was low")
        return True

    def is_stopped(self, uid: PodUID) -> bool:
        """Whether it ended."""
        return self.now() >= self.stopped_at[uid]

    async def reclaim(self) -> None:
        """Remove images."""
        self.reclaims.append("images")
        self.disk = self.disk_after_reclaim or self.disk

    def names(self) -> list[tuple[float, str]]:
        """Who was ended when."""
        return [(at, name) for at, name, _, _ in self.evicted]


@asynccontextmanager
async def managed(
    machine: Machine, *thresholds: Threshold, max_grace_s: int = 0
) -> AsyncIterator[EvictionManager]:
    """Run the manager meanwhile."""
    manager = EvictionManager(
        EvictionSettings(thresholds=thresholds, max_pod_grace_period_s=max_grace_s),
        look=machine.look,
        usage=machine,
        pods=machine,
        node_event=lambda reason, message: machine.events.append(f"{reason}: {message}"),
        reclaim=[machine.reclaim],
        monotonic=machine.now,
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(manager.run())
        yield manager
        task.cancel()


def memory_use(size_bytes: int) -> PodUse:
    """A pod that uses memory."""
    return PodUse(containers=(ContainerUse(name="c", memory_bytes=size_bytes),))


def disk_use(size_bytes: int) -> PodUse:
    """A pod that writes into its own filesystem."""
    layer = DiskUse(size_bytes=size_bytes, inodes=1)
    return PodUse(containers=(ContainerUse(name="c", writable_layer=layer),))


async def test_one_pod_at_a_time_until_it_stopped() -> None:
    """Then the next look is at once: the machine may still be short."""
    machine = Machine(pods=[pod("small"), pod("large"), pod("third")])
    machine.uses = {"small": memory_use(1), "large": memory_use(9), "third": memory_use(5)}
    async with managed(machine, HARD_MEMORY) as manager:
        await asyncio.sleep(5)
        assert manager.pressures == ()
        machine.memory = GIB // 2
        await asyncio.sleep(5.5)
        assert machine.names() == [(10, "large")]
        assert manager.pressures == ("MemoryPressure",)
        await asyncio.sleep(1)
        assert machine.names() == [(10, "large"), (11, "third")]
        machine.memory = 2 * GIB
        await asyncio.sleep(100)
    assert len(machine.evicted) == 2
    _, _, grace_s, message = machine.evicted[0]
    assert grace_s == 1
    assert message.startswith("The node was low on resource: memory. Threshold quantity: 1Gi")
    assert machine.events[0] == "EvictionThresholdMet: Attempting to reclaim memory"
    assert machine.reclaims == []


async def test_a_pod_that_does_not_stop_is_waited_for() -> None:
    """For half a minute, then the next one goes."""
    machine = Machine(memory=1, pods=[pod("a"), pod("b")], stops_after_s=1000)
    machine.uses = {"a": memory_use(2), "b": memory_use(1)}
    async with managed(machine, HARD_MEMORY):
        await asyncio.sleep(29)
        assert machine.names() == [(0, "a")]
        await asyncio.sleep(2)
    assert machine.names() == [(0, "a"), (30, "b")]


async def test_soft_threshold_gives_pods_what_the_configuration_allows() -> None:
    """Not more than the pod's own grace period, and only after the threshold's."""
    machine = Machine(memory=1, pods=[pod("a")], uses={"a": memory_use(1)})
    async with managed(machine, SOFT_MEMORY, max_grace_s=60):
        await asyncio.sleep(29)
        assert machine.evicted == []
        await asyncio.sleep(2)
    assert [(at, grace) for at, _, grace, _ in machine.evicted] == [(30, 30)]


async def test_images_go_before_pods() -> None:
    """If that is enough, no pod is ended."""
    machine = Machine(disk=5, disk_after_reclaim=50, pods=[pod("a")])
    async with managed(machine, HARD_DISK) as manager:
        await asyncio.sleep(15)
        assert manager.pressures == ("DiskPressure",)
    assert machine.reclaims == ["images"]
    assert machine.evicted == []


async def test_pods_go_when_images_are_not_enough() -> None:
    """The one that wrote most."""
    machine = Machine(disk=5, pods=[pod("a"), pod("b")])
    machine.uses = {"a": disk_use(1), "b": disk_use(2)}
    async with managed(machine, HARD_DISK):
        await asyncio.sleep(0.5)
    assert machine.names() == [(0, "b")]


async def test_disks_are_looked_at_only_when_they_run_short() -> None:
    """A machine without memory has no time to walk through folders."""
    machine = Machine(memory=1, pods=[pod("a")], uses={"a": memory_use(1)})
    async with managed(machine, HARD_MEMORY):
        await asyncio.sleep(0.5)
    assert machine.looked_at_disks == [False]
    machine = Machine(disk=5, pods=[pod("a")], uses={"a": disk_use(1)})
    async with managed(machine, HARD_DISK):
        await asyncio.sleep(0.5)
    assert machine.looked_at_disks == [True]


async def test_critical_pods_stay() -> None:
    """The next one in the order goes; with none left nobody does."""
    machine = Machine(memory=1, pods=[pod("a"), pod("b")], critical={"a"})
    machine.uses = {"a": memory_use(2), "b": memory_use(1)}
    async with managed(machine, HARD_MEMORY):
        await asyncio.sleep(100)
    assert [name for _, name in machine.names()] == ["b"]


async def test_pods_over_their_own_limit_go_without_any_pressure() -> None:
    """All of them at once, and only they are measured."""
    machine = Machine(pods=[pod("a", limit="10"), pod("b"), pod("c", limit="10")])
    machine.uses = {name: disk_use(11) for name in "abc"}
    async with managed(machine, HARD_MEMORY) as manager:
        await asyncio.sleep(0.5)
        assert manager.pressures == ()
    assert machine.names() == [(0, "a"), (0, "c")]
    assert machine.measured == [["a", "c"]]


async def test_a_look_that_fails_is_repeated() -> None:
    """Silence ends no pod."""
    machine = Machine(memory=1, pods=[pod("a")], uses={"a": memory_use(1)})
    machine.failures = [OSError("no such file"), TimeoutError(), QuantityError("no quantity")]
    async with managed(machine, HARD_MEMORY):
        await asyncio.sleep(29)
        assert machine.evicted == []
        await asyncio.sleep(2)
    assert machine.names() == [(30, "a")]
