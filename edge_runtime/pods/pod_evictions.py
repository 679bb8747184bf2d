"""The pods that eviction may end, and how it ends one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edge_runtime.admission.node_fit import is_critical
from edge_runtime.events.reasons import EVICTED
from edge_runtime.objects.pod_failure import PodFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_runtime.objects.pod import Pod, PodUID
    from edge_runtime.pods.pod_events import PodEvents


class EndedPods(Protocol):
    """What ends pods (pods/pod_workers.py)."""

    def running(self) -> Sequence[Pod]:
        """Return the pods that are to run and do not end yet."""
        ...

    def fail(self, uid: PodUID, failure: PodFailure) -> bool:
        """End a pod in phase Failed; False when it ended before."""
        ...

    def is_stopped(self, uid: PodUID) -> bool:
        """Tell whether nothing of a pod runs any more."""
        ...

    def ended(self) -> Sequence[Pod]:
        """Return the pods of which nothing runs any more, for good, and that are still there."""
        ...


class Remover(Protocol):
    """What removes what is left of pods (pods/pod_termination.py)."""

    async def remove_containers(self, pod: Pod) -> None:
        """Remove the dead containers of a pod that ended; raises RuntimeServiceError, OSError."""
        ...


class PodEvictions:
    """Ends pods for the eviction manager (eviction/eviction_manager.py)."""

    def __init__(self, pods: EndedPods, *, remover: Remover, events: PodEvents) -> None:
        self._pods = pods
        self._remover = remover
        self._events = events

    async def remove_ended(self) -> None:
        """Remove the dead containers of all pods that ended: else an evicted one frees no disk.

        Source: kubernetes pkg/kubelet/eviction/helpers.go
        ``buildSignalToNodeReclaimFuncs``, ``DeleteAllUnusedContainers``.

        Raises:
            RuntimeServiceError: The runtime does not answer, or refuses.
            OSError: A file cannot be removed.
        """
        for pod in self._pods.ended():
            await self._remover.remove_containers(pod)

    def running(self) -> Sequence[Pod]:
        """Return the pods that are to run and do not end yet."""
        return self._pods.running()

    def evict(self, pod: Pod, *, message: str, grace_period_s: int, is_disruption: bool) -> bool:
        """End a pod in phase Failed with reason Evicted; False when it may not be ended.

        Source: kubernetes pkg/kubelet/eviction/eviction_manager.go ``evictPod``.
        """
        if is_critical(pod):
            return False
        failure = PodFailure(
            reason=EVICTED,
            message=message,
            grace_period_s=grace_period_s,
            is_disruption=is_disruption,
        )
        if not self._pods.fail(pod.uid, failure):
            return False
        self._events.evicted(pod, message)
        return True

    def is_stopped(self, uid: PodUID) -> bool:
        """Tell whether nothing of a pod runs any more."""
        return self._pods.is_stopped(uid)
