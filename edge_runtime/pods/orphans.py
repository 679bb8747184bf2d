"""Remove what the runtime has of pods that nobody wants.

Absence alone proves nothing: an unknown pod is left alone until a complete list of desired pods
came without it, or the store remembers that it is gone (DESIGN §4, law 2).

Source: kubernetes pkg/kubelet/kubelet_pods.go ``HandlePodCleanups``; pkg/kubelet/kuberuntime/
kuberuntime_gc.go ``evictPodLogsDirectories``.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from edge_runtime.machine.cgroups import CgroupError
from edge_runtime.pods.pod_termination import StillRunning
from edge_runtime.pods.pod_work import FORGOTTEN_GRACE_PERIOD_S
from edge_runtime.runtime.errors import RuntimeServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_runtime.objects.pod import PodUID
    from edge_runtime.pleg.pod_cache import PodCache
    from edge_runtime.pods.pod_termination import PodTermination

# Source: kubernetes pkg/kubelet/kubelet.go ``housekeepingPeriod``.
PERIOD_S = 2.0
# Source: pkg/kubelet/kubelet.go ``ContainerGCPeriod``: folders are looked through less often.
FOLDERS_PERIOD_S = 60.0

logger = logging.getLogger(__name__)


class OrphanRemover:
    """Looks through the cache for pods that are nobody's."""

    def __init__(
        self,
        *,
        cache: PodCache,
        termination: PodTermination,
        is_orphan: Callable[[PodUID], bool],
    ) -> None:
        """Prepare.

        Args:
            cache: What the runtime has.
            termination: Stops and removes.
            is_orphan: Whether it is sure that nobody wants a pod.
        """
        self._cache = cache
        self._termination = termination
        self._is_orphan = is_orphan

    async def run(self) -> None:
        """Remove orphans until cancelled; what fails is tried again."""
        while True:
            await self.remove_folders()
            for _ in range(int(FOLDERS_PERIOD_S / PERIOD_S)):
                await self.remove_all()
                await asyncio.sleep(PERIOD_S)

    async def remove_folders(self) -> None:
        """Remove the folders of pods that are nobody's and of which the runtime has nothing."""
        try:
            found = await self._termination.left_on_disk()
        except OSError as exc:
            logger.warning("the folders of pods cannot be read", extra={"error": str(exc)})
            return
        for each in found:
            if self._is_orphan(each.uid) and self._cache.get(each.uid).is_empty:
                await self._remove_safely(each.uid, namespace=each.namespace, name=each.name)

    async def remove_all(self) -> None:
        """Remove every orphan that the cache shows, one after the other."""
        for uid in self._cache.uids():
            if not self._is_orphan(uid):
                continue
            status = self._cache.get(uid)
            await self._remove_safely(uid, namespace=status.namespace, name=status.name)

    async def _remove_safely(self, uid: PodUID, *, namespace: str, name: str) -> None:
        logger.info("removing a pod that nobody wants", extra={"pod_uid": uid})
        status = self._cache.get(uid)
        try:
            if not status.is_empty:
                await self._termination.kill_all(status, grace_period_s=FORGOTTEN_GRACE_PERIOD_S)
            await self._termination.remove(uid, namespace=namespace, name=name)
        except (RuntimeServiceError, StillRunning, CgroupError, OSError) as exc:
            extra = {"pod_uid": uid, "error": str(exc)}
            logger.warning("an orphan cannot be removed", extra=extra)
