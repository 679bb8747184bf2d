"""Admission once per pod, preemption, and resizes that wait for room."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from edge_runtime.admission.admission_rules import AdmissionSettings
from edge_runtime.admission.allocation_manager import NODE_WAIT_S, AllocationManager, Verdict
from edge_runtime.objects.node import Node
from edge_runtime.objects.pod import Pod, PodUID
from edge_runtime.objects.pod_resources import parse_resources
from edge_runtime.objects.runtime_status import PodRuntimeStatus
from edge_runtime.objects.sysctls import sysctl_allowlist
from edge_runtime.policy.edge_policy import FORBIDS_NOTHING
from edge_runtime.store.allocation_store import AllocationStore
from edge_runtime.store.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge_runtime.objects.pod_failure import PodFailure


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database of the test's own."""
    opened = Database(tmp_path / "edgelet.db")
    yield opened
    opened.close()


@dataclass
class Pods:
    """The pods of a machine with two processors, and what was told of them."""

    known: dict[str, Pod] = field(default_factory=dict)
    failed: dict[str, PodFailure] = field(default_factory=dict)
    stopped: set[str] = field(default_factory=set)
    told: list[str] = field(default_factory=list)
    woken: list[str] = field(default_factory=list)
    node: Node = field(default_factory=lambda: Node(name="edge", labels={"zone": "a"}))
    now: float = 0.0
    pressures: tuple[str, ...] = ()

    def active(self) -> list[Pod]:
        """Those that did not stop."""
        return [each for uid, each in self.known.items() if uid not in self.stopped]

    def fail(self, uid: PodUID, failure: PodFailure) -> bool:
        """Note who was ended."""
        self.failed[uid] = failure
        return True

    def is_stopped(self, uid: PodUID) -> bool:
        """Whether it stopped."""
        return uid in self.stopped

    def wake(self, uid: PodUID) -> None:
        """Note who is looked at again."""
        self.woken.append(uid)

    def preempted(self, pod: Pod) -> None:
        """Note the event."""
        self.told.append(f"Preempting {pod.name}")

    def resize(self, pod: Pod, *, reason: str, message: str, is_warning: bool) -> None:
        """Note the event."""
        del message, is_warning
        self.told.append(f"{reason} {pod.name}")

    def manager(self, store: AllocationStore | Database) -> AllocationManager:
        """A process's manager; give a second one a store that was loaded for a restart."""
        return AllocationManager(
            AllocationStore(store) if isinstance(store, Database) else store,
            settings=AdmissionSettings(
                allocatable=parse_resources({"cpu": "2", "memory": "1Gi", "pods": "10"}),
                sysctls=sysctl_allowlist(kernel_version="6.1", unsafe=()),
                architecture="amd64",
            ),
            policy=FORBIDS_NOTHING,
            pods=lambda: self,
            node=lambda: self.node,
            pressures=lambda: self.pressures,
            events=self,
            monotonic=lambda: self.now,
        )

    async def admit(self, manager: AllocationManager, pod: Pod) -> Verdict:
        """Ask for a pod of which nothing runs."""
        self.known[pod.uid] = pod
        return await manager.admit(pod, PodRuntimeStatus(uid=pod.uid))


def pod(name: str, cpu: str, *, generation: int = 1, **spec: Any) -> Pod:  # noqa: ANN401  # JSON
    """A pod that asks for processors."""
    resources = {"requests": {"cpu": cpu}}
    return Pod(
        {
            "metadata": {"name": name, "namespace": "ns", "uid": name, "generation": generation},
            "spec": {"containers": [{"name": "c", "resources": resources}], **spec},
        }
    )


def reason(verdict: Verdict) -> str | None:
    """Why a pod may not run."""
    return verdict.failure.reason if verdict.failure is not None else None


async def test_pods_hold_what_they_were_given_until_they_stop(database: Database) -> None:
    """One that is only known, not admitted, holds nothing."""
    pods = Pods(known={"later": pod("later", "2")})
    manager = pods.manager(database)
    assert reason(await pods.admit(manager, pod("a", "1500m"))) is None
    rejected = await pods.admit(manager, pod("b", "1"))
    assert rejected.failure is not None
    assert rejected.failure.message == (
        "Pod was rejected: Node didn't have enough resource: cpu, requested: 1000, used: 1500,"
        " capacity: 2000"
    )
    pods.stopped.add("a")
    assert reason(await pods.admit(manager, pod("c", "1"))) is None


async def test_admitted_pod_is_never_asked_again(database: Database) -> None:
    """Whatever changed meanwhile, and also after a restart."""
    pods = Pods()
    wanted = pod("a", "1", nodeSelector={"zone": "a"})
    assert reason(await pods.admit(pods.manager(database), wanted)) is None
    pods.node, pods.pressures = Node(name="edge"), ("DiskPressure",)
    store = AllocationStore(database)
    await store.load()
    restarted = pods.manager(store)
    assert reason(await pods.admit(restarted, wanted)) is None
    other = await pods.admit(restarted, pod("b", "1"))
    assert other.failure is not None
    assert other.failure.message == "Pod was rejected: The node had condition: [DiskPressure]. "


async def test_labels_that_are_on_their_way_are_waited_for(database: Database) -> None:
    """The scheduler may know them before the edge does."""
    pods = Pods()
    manager = pods.manager(database)
    wanted = pod("a", "1", nodeSelector={"zone": "b"})
    verdict = await pods.admit(manager, wanted)
    assert (verdict.is_admitted, verdict.failure) == (False, None)
    pods.now = NODE_WAIT_S / 2
    pods.node = Node(name="edge", labels={"zone": "b"})
    assert (await pods.admit(manager, wanted)).is_admitted
    never = pod("never", "0", nodeSelector={"zone": "c"})
    await pods.admit(manager, never)
    pods.now += NODE_WAIT_S
    assert reason(await pods.admit(manager, never)) == "NodeAffinity"


async def test_critical_pod_makes_room_and_waits_for_it(database: Database) -> None:
    """Nobody else is ended while it waits."""
    pods = Pods()
    manager = pods.manager(database)
    for name in ("a", "b"):
        await pods.admit(manager, pod(name, "1"))
    critical = pod("critical", "1", priority=2_000_000_000)
    assert not (await pods.admit(manager, critical)).is_admitted
    assert not (await pods.admit(manager, critical)).is_admitted
    (victim,) = pods.failed
    assert pods.failed[victim].reason == "Preempting"
    assert pods.told == [f"Preempting {victim}"]
    pods.stopped.add(victim)
    assert (await pods.admit(manager, critical)).is_admitted


async def test_resize_waits_for_room_in_order_of_priority(database: Database) -> None:
    """Until then the pod has what it had, and says so."""
    pods = Pods()
    manager = pods.manager(database)
    for each in (pod("low", "500m"), pod("high", "500m", priority=9), pod("other", "1")):
        await pods.admit(manager, each)
    low, high = pod("low", "1", generation=2), pod("high", "1", generation=2, priority=9)
    held = await pods.admit(manager, low)
    assert held.pod.containers[0].requests == {"cpu": "500m"}
    assert held.again_in_s is not None
    await pods.admit(manager, high)
    (pending,) = manager.conditions(PodUID("low"))
    assert (pending["type"], pending["reason"]) == ("PodResizePending", "Deferred")
    assert pending["message"].startswith("Node didn't have enough resource: cpu")
    pods.known["other"] = pod("other", "500m", generation=2)
    await pods.admit(manager, pods.known["other"])
    # There is room for one of them.
    assert (await pods.admit(manager, low)).pod.containers[0].requests == {"cpu": "500m"}
    assert (await pods.admit(manager, high)).pod.containers[0].requests == {"cpu": "1"}
    assert pods.told == [
        "ResizeDeferred low",
        "ResizeDeferred high",
        "ResizeStarted other",
        "ResizeStarted high",
    ]
    pods.stopped.add("other")
    assert (await pods.admit(manager, low)).pod.containers[0].requests == {"cpu": "1"}


async def test_reverted_resize_no_longer_waits(database: Database) -> None:
    """What is asked for again is what the pod has."""
    pods = Pods()
    manager = pods.manager(database)
    await pods.admit(manager, pod("a", "1"))
    await pods.admit(manager, pod("a", "3", generation=2))
    assert manager.conditions(PodUID("a"))
    await pods.admit(manager, pod("a", "1000m", generation=3))
    assert manager.conditions(PodUID("a")) == ()


async def test_resizes_that_wait_are_looked_at_once_something_is_free(database: Database) -> None:
    """A pod that gives back, one that no longer waits, one that ended; and slowly without."""
    pods = Pods()
    manager = pods.manager(database)
    for each in (pod("a", "500m"), pod("b", "1500m")):
        await pods.admit(manager, each)
    manager.retry_resizes()
    assert pods.woken == []
    assert (await pods.admit(manager, pod("a", "1", generation=2))).again_in_s == 180.0
    await pods.admit(manager, pod("b", "1400m", generation=2))
    assert pods.woken == ["a"]
    await pods.admit(manager, pod("b", "1500m", generation=3))
    assert pods.woken == ["a"], "more for one is nothing for another"
    await pods.admit(manager, pod("b", "9", generation=4))
    await pods.admit(manager, pod("b", "1500m", generation=5))
    assert pods.woken == ["a", "a"], "what would have gone first does not any more"
    pods.stopped.add("b")
    manager.retry_resizes()
    assert pods.woken == ["a"] * 3
    grown = await pods.admit(manager, pod("a", "1", generation=2))
    assert grown.pod.containers[0].requests == {"cpu": "1"}
    manager.retry_resizes()
    assert pods.woken == ["a"] * 3


async def test_critical_pod_makes_room_for_its_resize(database: Database) -> None:
    """As for its admission; whoever merely waits does not take what was freed."""
    pods = Pods()
    manager = pods.manager(database)
    critical = {"priority": 2_000_000_000}
    for each in (pod("vital", "500m", **critical), pod("a", "1"), pod("b", "500m", priority=9)):
        await pods.admit(manager, each)
    vital = pod("vital", "1500m", generation=2, **critical)
    held = await pods.admit(manager, vital)
    assert held.is_admitted
    assert held.pod.containers[0].requests == {"cpu": "500m"}
    assert list(pods.failed) == ["a"]
    assert pods.told == ["Preempting a"]
    greedy = pod("b", "1", generation=2, priority=9)
    await pods.admit(manager, greedy)
    pods.stopped.add("a")
    manager.retry_resizes()
    assert {*pods.woken} == {"vital", "b"}
    assert (await pods.admit(manager, greedy)).pod.containers[0].requests == {"cpu": "500m"}
    assert (await pods.admit(manager, vital)).pod.containers[0].requests == {"cpu": "1500m"}
    assert list(pods.failed) == ["a"]


async def test_critical_resize_that_nothing_makes_room_for_waits(database: Database) -> None:
    """Nobody is ended in vain."""
    pods = Pods()
    manager = pods.manager(database)
    critical = {"priority": 2_000_000_000}
    for each in (pod("vital", "500m", **critical), pod("a", "1")):
        await pods.admit(manager, each)
    held = await pods.admit(manager, pod("vital", "3", generation=2, **critical))
    assert held.is_admitted
    assert pods.failed == {}
    (pending,) = manager.conditions(PodUID("vital"))
    assert "error finding a set of pods to preempt" in pending["message"]
