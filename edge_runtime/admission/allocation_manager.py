"""AllocationManager: which pods may run here, and how much of the machine each of them has.

    a new pod ──admission_rules──> admitted, on disk ──> never asked again
    a resized one ── the same rules ──> allocated, on disk ──> pod_resize.py applies it
                          └── not now ──> PodResizePending, tried again once something is free

A kubelet asks its admission again after each restart; this one remembers, since a pod that ran
must go on where the Node's labels or the configuration changed while the cloud was away.

Source: kubernetes pkg/kubelet/allocation/allocation_manager.go, pkg/kubelet/kubelet.go
``HandlePodAdditions``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from edge_runtime.admission.admission_rules import (
    AdmissionContext,
    AdmissionSettings,
    Rejection,
    rejection_of,
)
from edge_runtime.admission.critical_admission import CriticalAdmission, PreemptionEvents, Victims
from edge_runtime.admission.node_fit import is_critical
from edge_runtime.admission.resize import (
    POD_CGROUP,
    container_updates,
    resizable_resources,
    running_resources,
    same_resources,
    with_resources,
)
from edge_runtime.admission.resize_progress import ResizeEvents, ResizeProgress
from edge_runtime.admission.resize_queue import asks_for_less, rejection_in_turn
from edge_runtime.events import reasons
from edge_runtime.objects.node import initial_node
from edge_runtime.objects.pod_failure import REJECTED, PodFailure
from edge_runtime.store.allocation_store import AllocationStore, PodAllocation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edge_runtime.objects.container import Json
    from edge_runtime.objects.node import Node
    from edge_runtime.objects.pod import Pod, PodUID
    from edge_runtime.objects.runtime_status import PodRuntimeStatus
    from edge_runtime.policy.edge_policy import EdgePolicy

# How long a pod waits for labels of its Node that may have come to the scheduler before us.
NODE_WAIT_S = 2.0
AGAIN_S = 0.5
# A pod whose resize waits is looked at again so often, whatever `retry_resizes` is told.
# Source: kubernetes pkg/kubelet/allocation/allocation_manager.go ``retryDelay``.
PENDING_AGAIN_S = 180.0


class HeldPods(Victims, Protocol):
    """The pods of this machine (pods/pod_workers.py)."""

    def active(self) -> Sequence[Pod]:
        """Return the pods that run, will run, or still end."""
        ...

    def wake(self, uid: PodUID) -> None:
        """Look at a pod again now; never waits."""
        ...


class AllocationEvents(ResizeEvents, PreemptionEvents, Protocol):
    """Where events go (pods/pod_events.py)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a pod may run now.

    Attributes:
        pod: The pod with what is allocated to it; work with this one.
        failure: Why it may not run; it ends.
        again_in_s: Not decided yet, or a resize waits: ask again after so long.
        is_admitted: Whether anything may be started.
    """

    pod: Pod
    failure: PodFailure | None = None
    again_in_s: float | None = None
    is_admitted: bool = True


class AllocationManager:
    """Asked at every sync of every pod; the first answer for a pod stays."""

    def __init__(
        self,
        store: AllocationStore,
        *,
        settings: AdmissionSettings,
        policy: EdgePolicy,
        pods: Callable[[], HeldPods],
        node: Callable[[], Node | None],
        pressures: Callable[[], Sequence[str]],
        events: AllocationEvents,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._settings = settings
        self._policy = policy
        self._held_pods = pods
        self._node = node
        self._pressures = pressures
        self._monotonic = monotonic
        # Pods whose admission is decided and on its way to the disk.
        self._admitting: dict[PodUID, Mapping[str, Json]] = {}
        self._waiting_since: dict[PodUID, float] = {}
        self._critical = CriticalAdmission(pods, events=events)
        self._resizes = ResizeProgress(events, monotonic=monotonic, now=now)

    async def admit(self, pod: Pod, status: PodRuntimeStatus) -> Verdict:
        """Decide whether a pod may run, and with which resources.

        Raises:
            StoreError: The decision cannot be kept; nothing was decided.
            QuantityError: A request is no quantity.
        """
        # What the machine's owner forbids ends, also where it ran before that was forbidden.
        forbidden = self._policy.pod_refusal(pod)
        if forbidden is not None:
            return _failed(pod, reasons.FORBIDDEN_BY_POLICY, forbidden)
        allocation = self._store.get(pod.uid)
        if allocation is not None:
            return await self._resized(pod, allocation, status)
        # What runs was admitted: by an edgelet that did not remember it.
        if status.is_empty:
            verdict = self._decide(pod)
            if verdict is not None:
                return verdict
        await self._admit(pod)
        return Verdict(pod=pod)

    def allocated(self, pod: Pod) -> Pod:
        """Return the pod with what is allocated to it; as it is, if nothing is."""
        allocation = self._store.get(pod.uid)
        return pod if allocation is None else with_resources(pod, allocation.allocated)

    def actuated(self, uid: PodUID) -> Mapping[str, Json]:
        """Return what running containers have that is not what is allocated, by id."""
        allocation = self._store.get(uid)
        return {} if allocation is None else allocation.actuated

    async def set_actuated(self, pod: Pod, status: PodRuntimeStatus) -> None:
        """Note that all running containers have what is allocated.

        Raises:
            StoreError: The disk refuses.
        """
        allocation = self._store.get(pod.uid)
        if allocation is not None and allocation.actuated:
            await self._store.put(pod.uid, PodAllocation(allocated=allocation.allocated))
        self.note_progress(pod, status)

    def note_progress(self, pod: Pod, status: PodRuntimeStatus) -> None:
        """Tell of a resize that is over: no running container lacks what is allocated."""
        if container_updates(pod, self.actuated(pod.uid), status):
            self._resizes.goes_on(pod)
        else:
            self._resizes.completed(pod)

    def note_error(self, pod: Pod, message: str) -> None:
        """Tell of a resize that cannot be applied now; it is tried again."""
        self._resizes.failed(pod, message)

    def conditions(self, uid: PodUID) -> tuple[Json, ...]:
        """Return the conditions PodResizePending and PodResizeInProgress, as far as they hold."""
        return self._resizes.conditions(uid)

    def retry_resizes(self) -> None:
        """Look again at the pods that wait for room, since there may be some; never waits.

        Source: kubernetes pkg/kubelet/allocation/allocation_manager.go ``RetryPendingResizes``.
        """
        for uid in {*self._resizes.waiting_since(), *self._critical.pending()}:
            self._pods.wake(uid)

    def forget(self, uid: PodUID) -> None:
        """Drop what is known of a pod that is gone."""
        self._store.forget(uid)
        self._resizes.forget(uid)
        self._critical.forget(uid)
        self._admitting.pop(uid, None)
        self._waiting_since.pop(uid, None)

    @property
    def _pods(self) -> HeldPods:
        return self._held_pods()

    # Admission.

    def _decide(self, pod: Pod) -> Verdict | None:
        """Return what stands against a new pod, None when it may run."""
        if self._critical.waits(pod.uid):
            return Verdict(pod=pod, again_in_s=AGAIN_S, is_admitted=False)
        rejection = rejection_of(pod, self._context(pod))
        if rejection is None:
            return None
        now = self._monotonic()
        waited_s = now - self._waiting_since.setdefault(pod.uid, now)
        if rejection.may_be_outdated and waited_s < NODE_WAIT_S:
            return Verdict(pod=pod, again_in_s=AGAIN_S, is_admitted=False)
        if rejection.lacking and is_critical(pod):
            failure = self._critical.make_room(pod, rejection, self._others(pod))
            if failure is not None:
                return _failed(pod, failure.reason, failure.message)
            return Verdict(pod=pod, again_in_s=AGAIN_S, is_admitted=False)
        return _failed(pod, rejection.reason, rejection.message)

    async def _admit(self, pod: Pod) -> None:
        held = resizable_resources(pod)
        # Before the first await: the next pod that is decided on must see this one.
        self._admitting[pod.uid] = held
        try:
            await self._store.put(pod.uid, PodAllocation(allocated=held))
        finally:
            self._admitting.pop(pod.uid, None)
        self._waiting_since.pop(pod.uid, None)
        self._critical.forget(pod.uid)

    def _context(self, pod: Pod) -> AdmissionContext:
        return AdmissionContext(
            node=self._node() or initial_node(architecture=self._settings.architecture),
            others=self._others(pod),
            allocatable=self._settings.allocatable,
            sysctls=self._settings.sysctls,
            pressures=self._pressures(),
            supplemental_groups_policy=self._settings.supplemental_groups_policy,
            apparmor_problem=self._settings.apparmor_problem,
        )

    def _others(self, pod: Pod) -> list[Pod]:
        """Return the other admitted pods with what they hold."""
        return [
            self.allocated(each)
            for each in self._pods.active()
            if each.uid != pod.uid
            and (each.uid in self._admitting or self._store.get(each.uid) is not None)
        ]

    # Resize.

    async def _resized(
        self, pod: Pod, allocation: PodAllocation, status: PodRuntimeStatus
    ) -> Verdict:
        wanted = resizable_resources(pod)
        held = with_resources(pod, allocation.allocated)
        if same_resources(wanted, allocation.allocated):
            self._critical.forget(pod.uid)
            if self._resizes.waits_no_more(pod.uid):
                # It no longer goes before those that come after it.
                self.retry_resizes()
            return Verdict(pod=held)
        if self._critical.waits(pod.uid):
            return Verdict(pod=held, again_in_s=AGAIN_S)
        rejection = self._resize_rejection(pod)
        if rejection is not None and rejection.lacking and is_critical(pod):
            rejection = self._critical.make_room(pod, rejection, self._others(pod))
            if rejection is None:
                return Verdict(pod=held, again_in_s=AGAIN_S)
        if rejection is not None:
            self._resizes.waits(pod, rejection)
            return Verdict(pod=held, again_in_s=PENDING_AGAIN_S)
        self._critical.forget(pod.uid)
        actuated = running_resources(status, allocation.allocated, allocation.actuated)
        # The pod's own cgroup lacks it too, also where nothing runs.
        actuated[POD_CGROUP] = {}
        await self._store.put(pod.uid, PodAllocation(allocated=wanted, actuated=actuated))
        self._resizes.started(pod)
        if asks_for_less(pod, held):
            self.retry_resizes()
        return Verdict(pod=pod)

    def _resize_rejection(self, pod: Pod) -> Rejection | None:
        """Say what stands against a resize, after those that come before it have had theirs."""
        since, preempting = self._resizes.waiting_since(), self._critical.pending()
        # Whoever ended others for its own room has it before those who merely wait.
        waiting = [
            each
            for each in self._pods.active()
            if each.uid in since or (each.uid in preempting and self._store.get(each.uid))
        ]
        held = {each.uid: self.allocated(each) for each in (*waiting, pod)}
        return rejection_in_turn(pod, waiting, held, since, self._context(pod))


def _failed(pod: Pod, reason: str, message: str) -> Verdict:
    failure = PodFailure(reason=reason, message=f"{REJECTED}{message}")
    return Verdict(pod=pod, failure=failure, is_admitted=False)
