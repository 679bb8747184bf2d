"""One step with one pod: synced while it is to run, stopped when it ends, cleared away after that.

    SYNC         sync        pod_sync.py; its end begins once that finds it finished or failed
    TERMINATING  terminate   pod_termination.py, then the last status, on disk
    TERMINATED   clear       volumes; once the pod is unwanted, all that is left of it

Who takes which step when, and what becomes of others by it, is decided by pod_workers.py.

Source: kubernetes pkg/kubelet/kubelet.go ``SyncPod``, ``SyncTerminatingPod``,
``SyncTerminatedPod``.
"""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING

from edge_runtime.objects.runtime_status import ContainerState
from edge_runtime.pods.interruption import unless
from edge_runtime.pods.pod_work import MIN_GRACE_PERIOD_S, PodWork, WorkState
from edge_runtime.store.errors import StoreError

if TYPE_CHECKING:
    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.pod_failure import PodFailure
    from edge_runtime.objects.runtime_status import PodRuntimeStatus
    from edge_runtime.pleg.pod_cache import PodCache
    from edge_runtime.pods.pod_sync import PodSync
    from edge_runtime.pods.pod_termination import PodTermination
    from edge_runtime.pods.pod_worker import PodWorker
    from edge_runtime.pods.probers import Probers
    from edge_runtime.pods.status_updater import StatusUpdater
    from edge_runtime.status.status_manager import StatusManager
    from edge_runtime.store.local_pod_state import LocalPodState

# Source: KubeletConfiguration syncFrequency, pkg/kubelet/pod_workers.go.
RESYNC_S = 60.0
RESYNC_JITTER = 0.5

logger = logging.getLogger(__name__)


class PodSteps:
    """Takes the steps; holds nothing of any single pod.

    Every step raises RuntimeServiceError, StillRunning, CgroupError, StoreError and OSError when
    it has to be tried again.
    """

    def __init__(
        self,
        *,
        sync: PodSync,
        termination: PodTermination,
        probers: Probers,
        cache: PodCache,
        status: StatusUpdater,
        statuses: StatusManager,
        records: LocalPodState,
        rng: random.Random | None = None,
    ) -> None:
        self._sync = sync
        self._termination = termination
        self._probers = probers
        self._cache = cache
        self._status = status
        self._statuses = statuses
        self._records = records
        self._rng = rng or random.Random()  # noqa: S311  # spreads syncs, guards nothing

    async def sync(self, worker: PodWorker) -> float | None:
        """Bring a pod nearer to what is desired; return how long to wait before the next step."""
        result = await self._sync.sync(worker.work.pod, worker.memory)
        if result.failure is not None:
            worker.take(worker.work.failed(result.failure))
            return 0.0
        if result.is_finished:
            if not worker.work.is_ending:
                worker.take(worker.work.finished())
            return 0.0
        if worker.work.is_ending:
            return 0.0
        resync_s = RESYNC_S * (1 + RESYNC_JITTER * self._rng.random())
        return resync_s if result.again_in_s is None else min(resync_s, result.again_in_s)

    async def terminate(self, worker: PodWorker) -> None:
        """Stop a pod and advance it to TERMINATED; given up half way once it is to end faster."""
        pod = worker.work.pod
        worker.hurried.clear()
        grace_period_s = worker.work.grace_period_s
        if grace_period_s is None:
            raise AssertionError("a pod that ends has a grace period")
        if worker.work.failure is not None:
            await self._keep_failure(pod, worker.work.failure)
        self._probers.stop_liveness(pod.uid)
        await unless(worker.hurried, self._termination.kill(pod, grace_period_s=grace_period_s))
        if worker.hurried.is_set():
            return
        self._probers.remove_pod(pod.uid)
        self._status.finish(pod, worker.work.failure)
        await self._statuses.persist(pod.uid)
        worker.take(worker.work.advanced(WorkState.TERMINATED))

    async def _keep_failure(self, pod: Pod, failure: PodFailure) -> None:
        try:
            await self._records.put_failure(pod.uid, failure)
        except StoreError as exc:
            # Perhaps it ends for a full disk: it MUST NOT wait for room that only its end makes.
            logger.warning(
                "why a pod ends is not kept", extra={"pod_uid": pod.uid, "error": str(exc)}
            )

    async def clear(self, work: PodWork) -> None:
        """Clear away what a pod that ended does not need, of an unwanted one all there is."""
        pod = work.pod
        if work.is_unwanted:
            await self._termination.remove(pod.uid, namespace=pod.namespace, name=pod.name)
            return
        # A call that was given up may have gone through after the pod was stopped.
        if _is_up(self._cache.get(pod.uid)):
            await self._termination.kill(pod, grace_period_s=MIN_GRACE_PERIOD_S)
        # While its object stays: what was in memory is free, and no secret lies about.
        await self._termination.remove_volumes(pod.uid)


def _is_up(status: PodRuntimeStatus) -> bool:
    is_running = any(each.state is ContainerState.RUNNING for each in status.containers)
    return is_running or bool(status.ready_sandboxes)
