"""Bring one pod one step nearer to what is desired: does what pod_actions decided.

The steps of `PodSync.sync`, in order:

    0. what may not run here ends (admission/supported_fields.py)
    1. what cannot be honoured is not started
    2. a pod that was active for too long ends
    3. probes are set up, then all is decided (pod_actions.py)
    4. volumes are made ready, or brought up to date (pod_volumes.py); without them nothing more is
       done
    5. containers that are not to go on are killed, or all of them with a lost sandbox; of what is
       dead already the rest is cleared away later (deferred_cleaning.py). All of them are removed
       (container_reset.py) where one's end restarts them all
    6. sandbox, then ephemeral, init and regular containers start (pod_launch.py): each with its
       image (images/), mounts (pod_mounts.py) and postStart hook (lifecycle_hooks.py)
    7. dead containers that nobody needs are removed

Source: kubernetes pkg/kubelet/kubelet.go ``SyncPod``,
pkg/kubelet/kuberuntime/kuberuntime_manager.go ``SyncPod``.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from edge_runtime.admission.supported_fields import unsupported_fields, unsupported_message
from edge_runtime.images.image_manager import format_duration
from edge_runtime.objects.pod import parse_time
from edge_runtime.objects.pod_failure import PodFailure
from edge_runtime.objects.runtime_status import ContainerState
from edge_runtime.pod_actions.endings import has_ended_since
from edge_runtime.pod_actions.in_place_restart import restarts_all
from edge_runtime.pod_actions.pod_actions import PodActions, compute_pod_actions
from edge_runtime.pod_status.container_status import WaitingReason
from edge_runtime.pods.container_reset import ContainerResetter
from edge_runtime.pods.container_start import POST_START_HOOK_ERROR
from edge_runtime.pods.deferred_cleaning import is_dead
from edge_runtime.pods.interruption import unless
from edge_runtime.pods.pod_files import remove_log
from edge_runtime.pods.pod_sandbox import SandboxFailed
from edge_runtime.pods.pod_termination import StillRunning

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from edge_runtime.admission.allocation_manager import Verdict
    from edge_runtime.objects.container import ContainerID
    from edge_runtime.objects.pod import Pod, SandboxID
    from edge_runtime.objects.runtime_status import PodRuntimeStatus
    from edge_runtime.pleg.pod_cache import PodCache
    from edge_runtime.pods.deferred_cleaning import DeferredCleaning
    from edge_runtime.pods.pod_events import PodEvents
    from edge_runtime.pods.pod_launch import PodLauncher
    from edge_runtime.pods.pod_settings import PodSettings
    from edge_runtime.pods.pod_termination import PodTermination, Refresher
    from edge_runtime.pods.pod_volumes import PodVolumes
    from edge_runtime.pods.probers import Probers
    from edge_runtime.pods.status_updater import StatusUpdater
    from edge_runtime.pods.sync_memory import SyncMemory
    from edge_runtime.status.status_manager import StatusManager
    from edge_runtime.store.local_pod_state import LocalPodState

# After a container could not be started, unless its back-off says when.
# Source: kubernetes pkg/kubelet/kubelet.go ``backOffPeriod``.
RETRY_S = 10.0
# After that in a new sandbox: a kubelet's PLEG finds the sandbox and has it looked at once more.
# Source: kubernetes pkg/kubelet/kubelet.go ``genericPlegRelistPeriod``.
NEW_SANDBOX_RETRY_S = 1.0
# Source: kubernetes pkg/kubelet/active_deadline.go.
DEADLINE_EXCEEDED = PodFailure(
    reason="DeadlineExceeded",
    message="Pod was active on the node longer than the specified deadline",
)

# Reasons of a container that is there and ended: its back-off decides, and the first restart is
# immediate.
_ENDED = {"RunContainerError", POST_START_HOOK_ERROR}

logger = logging.getLogger(__name__)


class RemovingRuntime(Protocol):
    """What removes (runtime/cri_client.py); every method raises RuntimeServiceError."""

    async def remove_container(self, container_id: ContainerID) -> None:
        """Remove a dead container."""
        ...

    async def remove_pod_sandbox(self, sandbox_id: SandboxID) -> None:
        """Remove a stopped sandbox."""
        ...


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
        runtime: RemovingRuntime,
        *,
        pleg: Refresher,
        cache: PodCache,
        launcher: PodLauncher,
        termination: PodTermination,
        cleaning: DeferredCleaning,
        admission: Admission,
        resizer: Resizer,
        volumes: PodVolumes,
        probers: Probers,
        status: StatusUpdater,
        statuses: StatusManager,
        records: LocalPodState,
        events: PodEvents,
        settings: PodSettings,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._runtime = runtime
        self._pleg = pleg
        self._cache = cache
        self._launcher = launcher
        self._termination = termination
        self._resetter = ContainerResetter(
            runtime, termination=termination, cache=cache, settings=settings
        )
        self._cleaning = cleaning
        self._admission = admission
        self._resizer = resizer
        self._volumes = volumes
        self._probers = probers
        self._status = status
        self._statuses = statuses
        self._records = records
        self._events = events
        self._settings = settings
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
        waits_s = [each for each in (wait_s, verdict.again_in_s) if each is not None]
        return SyncResult(again_in_s=min(waits_s, default=None))

    async def _go_on(
        self, pod: Pod, status: PodRuntimeStatus, actions: PodActions, memory: SyncMemory
    ) -> float | None:
        """Mount, then do what was decided; return how long to wait before the next sync."""
        volumes = await unless(memory.ending, self._volumes.prepare(pod, memory))
        if volumes is None:
            return None
        waits_s = [] if volumes.again_in_s is None else [volumes.again_in_s]
        if not volumes.is_ready:
            return self._until_deadline(pod, waits_s)
        has_sandbox = await self._act(pod, status, actions, memory)
        again_in_s = self._next(pod, actions, memory, has_sandbox=has_sandbox)
        if again_in_s is not None:
            waits_s.append(again_in_s)
        if has_sandbox and has_ended_since(status, self._cache.get(pod.uid)):
            # Seen here first, so no PLEG tells of it.
            waits_s.append(0.0)
        return min(waits_s, default=None)

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
        """Return how long a pod may still be active, None for ever."""
        started_at = (self._statuses.get(pod.uid) or pod.status).get("startTime")
        if pod.active_deadline_s is None or not started_at:
            return None
        active_s = (self._now() - parse_time(str(started_at))).total_seconds()
        return pod.active_deadline_s - active_s

    async def _act(
        self, pod: Pod, status: PodRuntimeStatus, actions: PodActions, memory: SyncMemory
    ) -> bool:
        """Do what was decided; return whether there is a sandbox."""
        try:
            if actions.kill_pod and not status.is_empty:
                await self._replace_sandbox(pod, actions, memory)
            elif actions.reset:
                await self._resetter.reset(pod, actions.reset, memory)
            elif actions.kill:
                await self._kill(pod, actions, memory)
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
            if self._cleaning.may_clean:
                await self._remove(pod, actions.remove)
                await self._remove_sandboxes(pod, actions)
            elif actions.remove or actions.remove_sandboxes:
                self._cleaning.wake_later(pod.uid)
        except SandboxFailed:
            return False
        finally:
            self._status.update(pod, memory.waiting)
        return True

    async def _replace_sandbox(self, pod: Pod, actions: PodActions, memory: SyncMemory) -> None:
        if actions.sandbox_id is not None:
            self._events.sandbox_changed(pod)
        status = self._cache.get(pod.uid)
        if not (is_dead(pod, status) and self._cleaning.stop_later(status)):
            stopping = self._termination.kill(pod, grace_period_s=pod.termination_grace_period_s)
            await unless(memory.ending, stopping)
        if not memory.ending.is_set():
            await self._remove(pod, actions.purge)

    async def _kill(self, pod: Pod, actions: PodActions, memory: SyncMemory) -> None:
        for kill in actions.kill:
            await unless(memory.ending, self._termination.kill_container(pod, kill))
        if memory.ending.is_set():
            return
        # What was killed is seen before its successor starts, whatever the PLEG saw.
        left = await self._pleg.refresh(pod.uid)
        killed = {each.id for each in actions.kill}
        running = (ContainerState.RUNNING, ContainerState.UNKNOWN)
        names = [
            each.name for each in left.containers if each.id in killed and each.state in running
        ]
        if names:
            raise StillRunning(f"{', '.join(names)} still runs")

    async def _remove(self, pod: Pod, container_ids: Iterable[ContainerID]) -> None:
        by_id = {each.id: each for each in self._cache.get(pod.uid).containers}
        for container_id in container_ids:
            await self._runtime.remove_container(container_id)
            self._cache.remove(pod.uid, [container_id])
            dead = by_id.get(container_id)
            if dead is not None:
                await asyncio.to_thread(
                    remove_log, self._settings, pod, dead.name, dead.id, attempt=dead.restart_count
                )

    async def _remove_sandboxes(self, pod: Pod, actions: PodActions) -> None:
        for sandbox_id in actions.remove_sandboxes:
            await self._runtime.remove_pod_sandbox(sandbox_id)
            self._cache.remove(pod.uid, [sandbox_id])

    def _next(
        self, pod: Pod, actions: PodActions, memory: SyncMemory, *, has_sandbox: bool
    ) -> float | None:
        now_s = self._now().timestamp()
        waits_s = [max(each.until_s - now_s, 0.0) for each in actions.back_off]
        failed = [memory.waiting.get(each.name) for each in actions.start]
        reasons = {each.reason for each in failed if each is not None}
        if memory.resize_failed:
            waits_s.append(RETRY_S)
        if not has_sandbox:
            waits_s.append(RETRY_S)
        elif actions.reset or reasons & _ENDED:
            waits_s.append(0.0)
        elif reasons:
            waits_s.append(NEW_SANDBOX_RETRY_S if actions.create_sandbox else RETRY_S)
        if _lets_others_start(pod, actions, memory):
            waits_s.append(0.0)
        return self._until_deadline(pod, waits_s)

    def _until_deadline(self, pod: Pod, waits_s: list[float]) -> float | None:
        """Return the shortest wait, none longer than the pod may be active."""
        left_s = self._left_s(pod)
        return min([*waits_s, *([] if left_s is None else [max(left_s, 0.0)])], default=None)


def _lets_others_start(pod: Pod, actions: PodActions, memory: SyncMemory) -> bool:
    """Whether a sidecar was started: who comes after it may start now, and no PLEG tells of it.

    The cache knew of the start before the PLEG saw it.
    """
    names = {each.name for each in actions.start if each.name not in memory.waiting}
    return any(each.name in names for each in pod.sidecars)
