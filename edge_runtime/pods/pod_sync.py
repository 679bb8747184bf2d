"""Bring one pod one step nearer to what is desired: does what pod_actions decided.

The steps of `PodSync.sync`, in order:

    0. what may not run here ends (admission/supported_fields.py)
    1. what cannot be honoured is not started
    2. a pod that was active for too long ends
    3. probes are set up, then all is decided (pod_actions.py)
    4. volumes are made ready, or brought up to date (pod_volumes.py); without them nothing more is
       done
    5. containers that are not to go on are killed (container_removal.py), or all of them with a
       lost sandbox; of what is dead already the rest is cleared away later (deferred_cleaning.py).
       All of them are removed (container_reset.py) where one's end restarts them all
    6. sandbox, then ephemeral, init and regular containers start (pod_launch.py): each with its
       image (images/), mounts (pod_mounts.py) and postStart hook (lifecycle_hooks.py)
    7. dead containers that nobody needs are removed (container_removal.py)

How soon it is done again is decided by sync_times.py.

Source: kubernetes pkg/kubelet/kubelet.go ``SyncPod``,
pkg/kubelet/kuberuntime/kuberuntime_manager.go ``SyncPod``.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from edge_runtime.admission.supported_fields import unsupported_fields, unsupported_message
from edge_runtime.images.image_manager import format_duration
from edge_runtime.pod_actions.endings import has_ended_since
from edge_runtime.pod_actions.in_place_restart import restarts_all
from edge_runtime.pod_actions.pod_actions import PodActions, compute_pod_actions
from edge_runtime.pod_status.container_status import WaitingReason
from edge_runtime.pods.interruption import unless
from edge_runtime.pods.pod_sandbox import SandboxFailed
from edge_runtime.pods.sync_times import (
    DEADLINE_EXCEEDED,
    compute_active_left_s,
    compute_retry_s,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from edge_runtime.admission.allocation_manager import Verdict
    from edge_runtime.objects.container import ContainerID
    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.pod_failure import PodFailure
    from edge_runtime.objects.runtime_status import PodRuntimeStatus
    from edge_runtime.pleg.pod_cache import PodCache
    from edge_runtime.pods.container_removal import ContainerRemover
    from edge_runtime.pods.deferred_cleaning import DeferredCleaning
    from edge_runtime.pods.pod_events import PodEvents
    from edge_runtime.pods.pod_launch import PodLauncher
    from edge_runtime.pods.pod_volumes import PodVolumes
    from edge_runtime.pods.probers import Probers
    from edge_runtime.pods.status_updater import StatusUpdater
    from edge_runtime.pods.sync_memory import SyncMemory
    from edge_runtime.status.status_manager import StatusManager
    from edge_runtime.store.local_pod_state import LocalPodState

logger = logging.getLogger(__name__)


class Admission(Protocol):
    """Whether a pod may run here, and with what (admission/allocation_manager.py)."""

    async def admit(self, pod: Pod, status: PodRuntimeStatus) -> Verdict:
        """Decide; asked at every sync, the first answer for a pod stays; raises StoreError."""
        ...


class Resizer(Protocol):
    """Applies what is newly allocated to a running pod (pods/pod_resize.py)."""

    def restarts(self, pod: Pod, status: PodRuntimeStatus) -> Collection[ContainerID]:
        """Return the running containers that must start anew to be resized."""
        ...

    async def resize(self, pod: Pod) -> bool:
        """Resize what runs; return whether to try again; RuntimeServiceError, StoreError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncResult:
    """What is next.

    Attributes:
        is_finished: All containers ended for good.
        failure: The pod may not go on: it ends in phase Failed.
        again_in_s: Sync again after so long at the latest; None leaves it to the resync.
    """

    is_finished: bool = False
    failure: PodFailure | None = None
    again_in_s: float | None = None


class PodSync:
    """Syncs pods; holds nothing of any single one."""

    def __init__(
        self,
        *,
        cache: PodCache,
        remover: ContainerRemover,
        launcher: PodLauncher,
        cleaning: DeferredCleaning,
        admission: Admission,
        resizer: Resizer,
        volumes: PodVolumes,
        probers: Probers,
        status: StatusUpdater,
        statuses: StatusManager,
        records: LocalPodState,
        events: PodEvents,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._cache = cache
        self._remover = remover
        self._launcher = launcher
        self._cleaning = cleaning
        self._admission = admission
        self._resizer = resizer
        self._volumes = volumes
        self._probers = probers
        self._status = status
        self._statuses = statuses
        self._records = records
        self._events = events
        self._now = now

    async def sync(self, pod: Pod, memory: SyncMemory) -> SyncResult:
        """Bring a pod that is to run one step nearer to what is desired.

        Nothing is started once `memory.ending` is set. Of calls to the runtime only those that may
        hang or take long are given up half way then: making a sandbox, pulling an image, stopping a
        container, running a hook. Cancelling leaves the rest to the next look at the runtime.

        Raises:
            RuntimeServiceError: The runtime does not answer, or refuses; try again later.
            StillRunning: A container that was killed still runs; try again later.
            OSError: The log folders cannot be made.
            StoreError: The disk refuses.
        """
        status = self._cache.get(pod.uid)
        verdict = await self._admission.admit(pod, status)
        if verdict.failure is not None:
            self._reject(pod, verdict.failure, has_run=not status.is_empty)
            return SyncResult(failure=verdict.failure)
        if not verdict.is_admitted:
            return SyncResult(again_in_s=verdict.again_in_s)
        # From here on it is the pod with what is allocated to it.
        pod = verdict.pod
        fields = unsupported_fields(pod)
        if fields:
            self._refuse(pod, fields, memory, has_run=not status.is_empty)
            if status.is_empty:
                return SyncResult()
        left_s = self._left_s(pod)
        if left_s is not None and left_s <= 0:
            self._events.deadline_exceeded(pod, DEADLINE_EXCEEDED.message)
            return SyncResult(failure=DEADLINE_EXCEEDED)
        self._probers.add_pod(pod)
        actions = compute_pod_actions(
            pod,
            status,
            records=self._records.containers(pod.uid),
            probes=self._probers.view(pod.uid),
            now_s=self._now().timestamp(),
            resized=self._resizer.restarts(pod, status),
            restarting=restarts_all(pod, status, self._statuses.get(pod.uid) or pod.status),
        )
        self._note_back_offs(pod, actions, memory)
        self._status.update(pod, memory.waiting, is_terminal=actions.is_finished)
        if actions.is_finished:
            return SyncResult(is_finished=True)
        wait_s = await self._go_on(pod, status, actions, memory)
        return SyncResult(again_in_s=_soonest([wait_s, verdict.again_in_s]))

    async def _go_on(
        self, pod: Pod, status: PodRuntimeStatus, actions: PodActions, memory: SyncMemory
    ) -> float | None:
        """Mount, then do what was decided; return how long to wait before the next sync."""
        volumes = await unless(memory.ending, self._volumes.prepare(pod, memory))
        if volumes is None:
            return None
        waits_s = [volumes.again_in_s]
        if volumes.is_ready:
            has_sandbox = await self._act(pod, status, actions, memory)
            waits_s.append(
                compute_retry_s(
                    pod,
                    actions,
                    waiting=memory.waiting,
                    resize_failed=memory.resize_failed,
                    has_sandbox=has_sandbox,
                    now_s=self._now().timestamp(),
                )
            )
            if has_sandbox and has_ended_since(status, self._cache.get(pod.uid)):
                # Seen here first, so no PLEG tells of it.
                waits_s.append(0.0)
        left_s = self._left_s(pod)
        if left_s is not None:
            waits_s.append(max(left_s, 0.0))
        return _soonest(waits_s)

    def _reject(self, pod: Pod, failure: PodFailure, *, has_run: bool) -> None:
        extra = {"pod": pod.full_name, "reason": failure.reason, "error": failure.message}
        logger.warning("a pod is rejected", extra=extra)
        self._events.rejected(pod, failure)
        if not has_run:
            self._status.reject(pod, failure)

    def _refuse(
        self, pod: Pod, fields: tuple[str, ...], memory: SyncMemory, *, has_run: bool
    ) -> None:
        message = unsupported_message(fields)
        reason = WaitingReason(reason="UnsupportedByEdgelet", message=message)
        # Told once per worker and message: a pod that already runs is not stopped for it.
        if memory.waiting.get("") == reason:
            return
        self._events.unsupported(pod, message)
        memory.waiting[""] = reason
        if not has_run:
            memory.waiting.update({each.name: reason for each in pod.all_containers})
            self._status.update(pod, memory.waiting)

    def _note_back_offs(self, pod: Pod, actions: PodActions, memory: SyncMemory) -> None:
        for each in actions.back_off:
            where = f"pod={pod.name}_{pod.namespace}({pod.uid})"
            delay = format_duration(each.delay_s)
            message = f"back-off {delay} restarting failed container={each.name} {where}"
            self._events.back_off(pod, each.name)
            memory.waiting[each.name] = WaitingReason(reason="CrashLoopBackOff", message=message)

    def _left_s(self, pod: Pod) -> float | None:
        status = self._statuses.get(pod.uid) or pod.status
        return compute_active_left_s(pod, status, now=self._now())

    async def _act(
        self, pod: Pod, status: PodRuntimeStatus, actions: PodActions, memory: SyncMemory
    ) -> bool:
        """Do what was decided; return whether there is a sandbox."""
        try:
            await self._remover.make_way(pod, status, actions, memory)
            if memory.ending.is_set():
                # The pod's end stops what still runs, perhaps with less patience.
                return True
            memory.resize_failed = await self._resizer.resize(pod)
            if actions.start or actions.create_sandbox:
                with self._cleaning.starting():
                    await self._launcher.launch(
                        pod,
                        actions,
                        memory,
                        changed=lambda: self._status.update(
                            pod, memory.waiting, unshown=memory.in_post_start
                        ),
                    )
            await self._remover.remove_dead(pod, actions)
        except SandboxFailed:
            return False
        finally:
            self._status.update(pod, memory.waiting)
        return True


def _soonest(waits_s: Iterable[float | None]) -> float | None:
    return min((each for each in waits_s if each is not None), default=None)
