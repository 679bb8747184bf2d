"""Make one pod's sandbox and containers as desired: does what pod_actions decided.

Source: kubernetes pkg/kubelet/kuberuntime/kuberuntime_manager.go ``SyncPod``.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from edge_runtime.images.image_manager import ImageError, format_duration
from edge_runtime.pods.admission import unsupported_fields, unsupported_message
from edge_runtime.pods.container_status import WaitingReason
from edge_runtime.pods.interruption import outcome_of, unless
from edge_runtime.pods.pod_actions import PodActions, compute_pod_actions
from edge_runtime.pods.pod_files import remove_log
from edge_runtime.pods.pod_sandbox import SandboxFailed, SandboxMaker
from edge_runtime.pods.pod_start import ContainerStarter, StartedIn, StartError
from edge_runtime.pods.pod_status import (
    StatusContext,
    compute_pod_status,
    compute_rejected_status,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_runtime.objects.container import Container, ContainerID
    from edge_runtime.objects.pod import Pod, PodUID, SandboxID
    from edge_runtime.objects.probe_results import ProbeView
    from edge_runtime.objects.runtime_config import ResolvedImage, SandboxConfig
    from edge_runtime.objects.runtime_status import PodRuntimeStatus
    from edge_runtime.pleg.pod_cache import PodCache
    from edge_runtime.pods.pod_events import PodEvents
    from edge_runtime.pods.pod_failure import PodFailure
    from edge_runtime.pods.pod_settings import PodSettings
    from edge_runtime.pods.pod_termination import PodTermination
    from edge_runtime.status.status_manager import StatusManager
    from edge_runtime.store.local_pod_state import LocalPodState

# After a container could not be started, unless its back-off says when.
# Source: kubernetes pkg/kubelet/kubelet.go ``backOffPeriod``.
RETRY_S = 10.0

logger = logging.getLogger(__name__)


class RemovingRuntime(Protocol):
    """What removes (runtime/cri_client.py); every method raises RuntimeServiceError."""

    async def remove_container(self, container_id: ContainerID) -> None:
        """Remove a dead container."""
        ...

    async def remove_pod_sandbox(self, sandbox_id: SandboxID) -> None:
        """Remove a stopped sandbox."""
        ...


class Images(Protocol):
    """Where images come from (images/image_manager.py)."""

    async def ensure_image(
        self, pod: Pod, container: Container, *, sandbox: SandboxConfig | None = None
    ) -> ResolvedImage:
        """Return a container's image; raises ImageError."""
        ...


class Probers(Protocol):
    """What probes containers (prober/prober_manager.py); no method waits."""

    def add_pod(self, pod: Pod) -> None:
        """Probe the containers of a pod from now on; called before each start, idempotent."""
        ...

    def view(self, uid: PodUID, status: PodRuntimeStatus) -> ProbeView:
        """Return what the probes found of the containers that the runtime has."""
        ...

    def stop_liveness(self, uid: PodUID) -> None:
        """End liveness and startup probes of a pod that ends; readiness goes on; idempotent."""
        ...

    def remove_pod(self, uid: PodUID) -> None:
        """End all probes of a pod of which nothing runs any more; idempotent."""
        ...


class Admission(Protocol):
    """Whether a pod may run here (pods/admission.py); asked at every sync, decides at once."""

    def refusal(self, pod: Pod, *, has_run: bool) -> PodFailure | None:
        """Return why a pod may not run here, None when it may.

        Args:
            pod: The pod.
            has_run: The runtime has something of it: what is only asked of new pods is not asked.
        """
        ...


@dataclass(slots=True)
class SyncMemory:
    """What one pod's worker remembers between syncs.

    Attributes:
        waiting: Why containers could not be started, by name.
        ending: Set once the pod is to end: nothing more is started.
    """

    waiting: dict[str, WaitingReason]
    ending: asyncio.Event


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
        cache: PodCache,
        images: Images,
        sandboxes: SandboxMaker,
        starter: ContainerStarter,
        termination: PodTermination,
        admission: Admission,
        probers: Probers,
        statuses: StatusManager,
        records: LocalPodState,
        events: PodEvents,
        settings: PodSettings,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._runtime = runtime
        self._cache = cache
        self._images = images
        self._sandboxes = sandboxes
        self._starter = starter
        self._termination = termination
        self._admission = admission
        self._probers = probers
        self._statuses = statuses
        self._records = records
        self._events = events
        self._settings = settings
        self._now = now

    async def sync(self, pod: Pod, memory: SyncMemory) -> SyncResult:
        """Bring a pod that is to run one step nearer to what is desired.

        Nothing is started once `memory.ending` is set. Of calls to the runtime only pulls of images
        and stops of containers are given up half way then, for both may take long; cancelling
        leaves the rest to the next look at the runtime.

        Raises:
            RuntimeServiceError: The runtime does not answer, or refuses; try again later.
            OSError: The log folders cannot be made.
            StoreError: The disk refuses.
        """
        status = self._cache.get(pod.uid)
        # 0. What may not run here ends, also where it ran before that was forbidden.
        refusal = self._admission.refusal(pod, has_run=not status.is_empty)
        if refusal is not None:
            self._reject(pod, refusal, has_run=not status.is_empty)
            return SyncResult(failure=refusal)
        # 1. What cannot be honoured is not started at all.
        fields = unsupported_fields(pod)
        if fields:
            self._refuse(pod, fields, memory, has_run=not status.is_empty)
            if status.is_empty:
                return SyncResult()
        # 2. Decide.
        now_s = self._now().timestamp()
        actions = compute_pod_actions(
            pod,
            status,
            records=self._records.containers(pod.uid),
            probes=self._probers.view(pod.uid, status),
            now_s=now_s,
        )
        self._note_back_offs(pod, actions, memory)
        self.update_status(pod, memory.waiting, is_terminal=actions.is_finished)
        if actions.is_finished:
            return SyncResult(is_finished=True)
        # 3. Do.
        self._probers.add_pod(pod)
        try:
            has_failed = await self._act(pod, status, actions, memory)
        except SandboxFailed:
            return SyncResult(again_in_s=RETRY_S)
        finally:
            self.update_status(pod, memory.waiting)
        return SyncResult(again_in_s=self._next(actions, memory, has_failed=has_failed))

    def update_status(
        self,
        pod: Pod,
        waiting: Mapping[str, WaitingReason],
        *,
        is_terminal: bool = False,
        failure: PodFailure | None = None,
    ) -> None:
        """Compute the pod's status from what the cache holds, and keep it."""
        context = self.context(pod, waiting, is_terminal=is_terminal, failure=failure)
        old = self._statuses.get(pod.uid)
        runtime_status = self._cache.get(pod.uid)
        self._statuses.set(pod.uid, compute_pod_status(pod, runtime_status, old, context))

    def context(
        self,
        pod: Pod,
        waiting: Mapping[str, WaitingReason],
        *,
        is_terminal: bool = False,
        failure: PodFailure | None = None,
    ) -> StatusContext:
        """Return what a status depends on beside the pod and the runtime."""
        return StatusContext(
            now=self._now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            host_ips=self._settings.host_ips(),
            waiting=waiting,
            is_terminal=is_terminal,
            runtime_name=self._settings.runtime_name,
            probes=self._probers.view(pod.uid, self._cache.get(pod.uid)),
            failure=failure,
        )

    def _reject(self, pod: Pod, failure: PodFailure, *, has_run: bool) -> None:
        extra = {"pod": pod.full_name, "reason": failure.reason, "error": failure.message}
        logger.warning("a pod is rejected", extra=extra)
        self._events.rejected(pod, failure)
        if not has_run:
            old = self._statuses.get(pod.uid)
            status = compute_rejected_status(pod, old, self.context(pod, {}), failure)
            self._statuses.set(pod.uid, status)

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
            memory.waiting.update({each.name: reason for each in pod.containers})
            self.update_status(pod, memory.waiting)

    def _note_back_offs(self, pod: Pod, actions: PodActions, memory: SyncMemory) -> None:
        for each in actions.back_off:
            where = f"pod={pod.name}_{pod.namespace}({pod.uid})"
            delay = format_duration(each.delay_s)
            message = f"back-off {delay} restarting failed container={each.name} {where}"
            self._events.back_off(pod, each.name)
            memory.waiting[each.name] = WaitingReason(reason="CrashLoopBackOff", message=message)

    async def _act(
        self, pod: Pod, status: PodRuntimeStatus, actions: PodActions, memory: SyncMemory
    ) -> bool:
        """Do what was decided; return whether a container could not be started."""
        if actions.kill_pod and not status.is_empty:
            if actions.sandbox_id is not None:
                self._events.sandbox_changed(pod)
            stopping = self._termination.kill(pod, grace_period_s=pod.termination_grace_period_s)
            await unless(memory.ending, stopping)
        for kill in actions.kill:
            self._events.killing(pod, kill.name, kill.message)
            stopping = self._termination.stop_container(
                pod.uid, kill.id, grace_period_s=pod.termination_grace_period_s
            )
            await unless(memory.ending, stopping)
        if memory.ending.is_set():
            # The pod's end stops what still runs, perhaps with less patience.
            return False
        has_failed = False
        if actions.start or actions.create_sandbox:
            has_failed = await self._start_all(pod, actions, memory)
        await self._remove(pod, actions)
        return has_failed

    async def _start_all(self, pod: Pod, actions: PodActions, memory: SyncMemory) -> bool:
        config = await self._sandboxes.config(pod, attempt=actions.sandbox_attempt)
        # Images are looked for, and pulled, while the sandbox gets its network.
        async with asyncio.TaskGroup() as group:
            sandbox = group.create_task(outcome_of(self._sandbox(pod, actions, config)))
            images = group.create_task(
                outcome_of(unless(memory.ending, self._ensure_images(pod, actions, memory)))
            )
            sandbox.add_done_callback(
                lambda done: done.cancelled() or done.result().error is None or images.cancel()
            )
        place = StartedIn(id=sandbox.result().get(), config=config)
        found = images.result().get()
        if found is None:
            return False
        return await self._start_containers(pod, actions, memory, place, found)

    async def _start_containers(
        self,
        pod: Pod,
        actions: PodActions,
        memory: SyncMemory,
        sandbox: StartedIn,
        images: Mapping[str, ResolvedImage],
    ) -> bool:
        has_failed = False
        for start in actions.start:
            container = pod.container(start.name)
            if memory.ending.is_set() or container is None:
                break
            image = images.get(start.name)
            if image is None:
                has_failed = True
                continue
            try:
                await self._starter.start(pod, container, start, sandbox=sandbox, image=image)
            except StartError as exc:
                memory.waiting[start.name] = WaitingReason(reason=exc.reason, message=exc.message)
                has_failed = True
            else:
                memory.waiting.pop(start.name, None)
        return has_failed

    async def _ensure_images(
        self, pod: Pod, actions: PodActions, memory: SyncMemory
    ) -> dict[str, ResolvedImage]:
        found: dict[str, ResolvedImage] = {}
        for start in actions.start:
            container = pod.container(start.name)
            if container is None:
                continue
            try:
                found[start.name] = await self._images.ensure_image(pod, container)
            except ImageError as exc:
                memory.waiting[start.name] = WaitingReason(reason=exc.reason, message=exc.message)
                # A pull takes long: what failed is shown before the next one.
                self.update_status(pod, memory.waiting)
        return found

    async def _sandbox(self, pod: Pod, actions: PodActions, config: SandboxConfig) -> SandboxID:
        if not actions.create_sandbox and actions.sandbox_id is not None:
            return actions.sandbox_id
        return await self._sandboxes.make(pod, config)

    async def _remove(self, pod: Pod, actions: PodActions) -> None:
        by_id = {each.id: each for each in self._cache.get(pod.uid).containers}
        for container_id in actions.remove:
            await self._runtime.remove_container(container_id)
            self._cache.remove(pod.uid, [container_id])
            dead = by_id.get(container_id)
            if dead is not None:
                await asyncio.to_thread(
                    remove_log, self._settings, pod, dead.name, dead.id, attempt=dead.restart_count
                )
        for sandbox_id in actions.remove_sandboxes:
            await self._runtime.remove_pod_sandbox(sandbox_id)
            self._cache.remove(pod.uid, [sandbox_id])

    def _next(self, actions: PodActions, memory: SyncMemory, *, has_failed: bool) -> float | None:
        now_s = self._now().timestamp()
        waits_s = [max(each.until_s - now_s, 0.0) for each in actions.back_off]
        starts = [memory.waiting.get(each.name) for each in actions.start]
        reasons = {each.reason for each in starts if each is not None}
        if "RunContainerError" in reasons:
            # It is there and ended: its back-off decides, and the first restart is immediate.
            waits_s.append(0.0)
        elif has_failed:
            waits_s.append(RETRY_S)
        return min(waits_s, default=None)
