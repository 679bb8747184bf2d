"""Take away what of a pod is not to go on: kill what runs, remove what is dead.

Source: kubernetes pkg/kubelet/kuberuntime/kuberuntime_manager.go ``SyncPod``, steps 2 and 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edge_runtime.objects.runtime_status import ContainerState
from edge_runtime.pods.container_reset import ContainerResetter
from edge_runtime.pods.deferred_cleaning import is_dead
from edge_runtime.pods.interruption import unless
from edge_runtime.pods.pod_termination import StillRunning

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_runtime.objects.container import ContainerID
    from edge_runtime.objects.pod import Pod, SandboxID
    from edge_runtime.objects.runtime_status import PodRuntimeStatus
    from edge_runtime.pleg.pod_cache import PodCache
    from edge_runtime.pod_actions.pod_actions import PodActions
    from edge_runtime.pods.deferred_cleaning import DeferredCleaning
    from edge_runtime.pods.pod_events import PodEvents
    from edge_runtime.pods.pod_settings import PodSettings
    from edge_runtime.pods.pod_termination import PodTermination, Refresher
    from edge_runtime.pods.sync_memory import SyncMemory


class RemovingRuntime(Protocol):
    """What removes (runtime/cri_client.py); every method raises RuntimeServiceError."""

    async def remove_container(self, container_id: ContainerID) -> None:
        """Remove a dead container."""
        ...

    async def remove_pod_sandbox(self, sandbox_id: SandboxID) -> None:
        """Remove a stopped sandbox."""
        ...


class ContainerRemover:
    """Kills and removes containers and sandboxes of pods that go on; holds nothing of any one."""

    def __init__(
        self,
        runtime: RemovingRuntime,
        *,
        pleg: Refresher,
        cache: PodCache,
        termination: PodTermination,
        cleaning: DeferredCleaning,
        events: PodEvents,
        settings: PodSettings,
    ) -> None:
        self._runtime = runtime
        self._pleg = pleg
        self._cache = cache
        self._termination = termination
        self._resetter = ContainerResetter(
            runtime, termination=termination, cache=cache, settings=settings
        )
        self._cleaning = cleaning
        self._events = events

    async def make_way(
        self, pod: Pod, status: PodRuntimeStatus, actions: PodActions, memory: SyncMemory
    ) -> None:
        """End what was decided to go before anything starts.

        Left early once `memory.ending` is set. Cancelling leaves the rest to the next sync.

        Raises:
            RuntimeServiceError: The runtime does not answer, or refuses.
            StillRunning: A container that was killed still runs.
            OSError: An old log cannot be removed.
        """
        if actions.kill_pod and not status.is_empty:
            await self._replace_sandbox(pod, actions, memory)
        elif actions.reset:
            await self._resetter.reset(pod, actions.reset, memory)
        elif actions.kill:
            await self._kill(pod, actions, memory)

    async def remove_dead(self, pod: Pod, actions: PodActions) -> None:
        """Remove the dead containers and sandboxes that nobody needs, later while pods start.

        Raises:
            RuntimeServiceError: The runtime does not answer, or refuses.
            OSError: An old log cannot be removed.
        """
        if self._cleaning.may_clean:
            await self._remove(pod, actions.remove)
            await self._remove_sandboxes(pod, actions)
        elif actions.remove or actions.remove_sandboxes:
            self._cleaning.wake_later(pod.uid)

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
            await self._termination.remove_container(pod, container_id, by_id.get(container_id))

    async def _remove_sandboxes(self, pod: Pod, actions: PodActions) -> None:
        for sandbox_id in actions.remove_sandboxes:
            await self._runtime.remove_pod_sandbox(sandbox_id)
            self._cache.remove(pod.uid, [sandbox_id])
