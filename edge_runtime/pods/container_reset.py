"""Take all containers of a pod away so that it starts anew in the sandbox that it has.

Source: kubernetes pkg/kubelet/kuberuntime/kuberuntime_manager.go ``SyncPod`` (ContainersToReset).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from edge_runtime.pod_actions.container_kills import ContainerKill, KillReason
from edge_runtime.pods.interruption import unless
from edge_runtime.pods.pod_files import remove_logs_before

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_runtime.objects.container import ContainerID
    from edge_runtime.objects.pod import Pod
    from edge_runtime.pleg.pod_cache import PodCache
    from edge_runtime.pod_actions.in_place_restart import ContainerReset
    from edge_runtime.pods.pod_settings import PodSettings
    from edge_runtime.pods.pod_termination import PodTermination
    from edge_runtime.pods.sync_memory import SyncMemory

# What a kubelet's event says of a container that goes for it.
KILLING = "killing"


class ResetRuntime(Protocol):
    """What removes containers (runtime/cri_client.py)."""

    async def remove_container(self, container_id: ContainerID) -> None:
        """Remove a container; idempotent; raises RuntimeServiceError."""
        ...


class ContainerResetter:
    """Resets containers; holds nothing of any single pod."""

    def __init__(
        self,
        runtime: ResetRuntime,
        *,
        termination: PodTermination,
        cache: PodCache,
        settings: PodSettings,
    ) -> None:
        self._runtime = runtime
        self._termination = termination
        self._cache = cache
        self._settings = settings

    async def reset(self, pod: Pod, resets: Iterable[ContainerReset], memory: SyncMemory) -> None:
        """Stop and remove containers one after the other, without a grace period of their own.

        The log of the newest attempt stays for whoever collects logs, until the next one goes: a
        kubelet keeps them all, which is no bound on a small disk. Left early once `memory.ending`
        is set. Cancelling leaves the rest to the next sync.

        Raises:
            RuntimeServiceError: The runtime does not answer, or refuses.
            OSError: An old log cannot be removed.
        """
        for each in resets:
            if each.kill:
                kill = ContainerKill(
                    id=each.id,
                    name=each.name,
                    message=KILLING,
                    reason=KillReason.RESTART_ALL_CONTAINERS,
                )
                await unless(memory.ending, self._termination.kill_container(pod, kill))
            if memory.ending.is_set():
                return
            await self._runtime.remove_container(each.id)
            self._cache.remove(pod.uid, [each.id])
            # Why it could not start before says nothing of the start to come.
            memory.waiting.pop(each.name, None)
            await asyncio.to_thread(
                remove_logs_before, self._settings, pod, each.name, attempt=each.attempt
            )
