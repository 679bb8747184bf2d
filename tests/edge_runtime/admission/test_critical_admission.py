"""Room for critical pods: who is ended for it, and how long it is waited for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_runtime.admission.admission_rules import Rejection
from edge_runtime.admission.critical_admission import CriticalAdmission
from edge_runtime.admission.node_fit import Misfit
from edge_runtime.objects.pod import Pod, PodUID

if TYPE_CHECKING:
    from edge_runtime.objects.pod_failure import PodFailure

VITAL = PodUID("vital")


@dataclass
class Pods:
    """Pods that can be ended, and what was told of them."""

    failed: dict[str, PodFailure] = field(default_factory=dict)
    stopped: set[str] = field(default_factory=set)
    told: list[str] = field(default_factory=list)

    def fail(self, uid: PodUID, failure: PodFailure) -> bool:
        """Note who was ended."""
        self.failed[uid] = failure
        return True

    def is_stopped(self, uid: PodUID) -> bool:
        """Whether it stopped."""
        return uid in self.stopped

    def preempted(self, pod: Pod) -> None:
        """Note the event."""
        self.told.append(pod.name)

    def admission(self) -> CriticalAdmission:
        """What ends them."""
        return CriticalAdmission(lambda: self, events=self)


def pod(name: str, *, cpu: str = "1", **spec: object) -> Pod:
    """A pod that asks for processors."""
    container = {"name": "c", "resources": {"requests": {"cpu": cpu}}}
    metadata = {"name": name, "namespace": "ns", "uid": name}
    return Pod({"metadata": metadata, "spec": {"containers": [container], **spec}})


def lacks(millis: int) -> Rejection:
    """What stands against a pod that lacks processors."""
    misfit = Misfit(reason="OutOfcpu", message="no cpu", resource="cpu", lacking=millis)
    return Rejection(reason="OutOfcpu", message="no cpu", misfits=(misfit,))


CRITICAL = pod("vital", priority=2_000_000_000)


def test_room_is_waited_for_until_the_ended_pods_stopped() -> None:
    """Each of them is told why; others than those stay."""
    pods = Pods()
    critical = pods.admission()
    assert not critical.waits(VITAL)
    others = [pod("a", cpu="2"), pod("b", cpu="500m"), pod("c", cpu="500m")]
    assert critical.make_room(CRITICAL, lacks(2500), others) is None
    assert pods.told == list(pods.failed)
    assert "a" in pods.failed
    assert len(pods.failed) == 2
    failure = pods.failed["a"]
    assert (failure.reason, failure.is_disruption) == ("Preempting", True)
    assert failure.message == "Preempted in order to admit critical pod"
    first, second = pods.failed
    pods.stopped.add(first)
    assert critical.waits(VITAL)
    pods.stopped.add(second)
    assert not critical.waits(VITAL)


def test_pod_that_has_its_room_is_pending_no_more() -> None:
    """Whoever merely waits is let to it then."""
    critical = Pods().admission()
    critical.make_room(CRITICAL, lacks(500), [pod("a")])
    assert list(critical.pending()) == [VITAL]
    critical.forget(VITAL)
    assert not critical.pending()
    assert not critical.waits(VITAL)


def test_nobody_is_ended_in_vain() -> None:
    """The pod is rejected with what would still be missing."""
    pods = Pods()
    critical = pods.admission()
    rejection = critical.make_room(CRITICAL, lacks(1500), [pod("a")])
    assert rejection is not None
    assert (rejection.reason, rejection.message) == (
        "UnexpectedAdmissionError",
        "Unexpected error while attempting to recover from admission failure: preemption: error"
        " finding a set of pods to preempt: no set of running pods found to reclaim resources:"
        " [(res: cpu, q: 500), ]",
    )
    assert (pods.failed, pods.told) == ({}, [])
    assert not critical.pending()
