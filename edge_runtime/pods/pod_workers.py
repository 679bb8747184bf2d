"""One worker per pod UID: the newest update wins, a failure stays with its pod.

Source: kubernetes pkg/kubelet/pod_workers.go.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Protocol, assert_never

from edge_runtime.machine.cgroups import CgroupError
from edge_runtime.pod_status.pod_phase import TERMINAL_PHASES
from edge_runtime.pods.pod_termination import StillRunning
from edge_runtime.pods.pod_work import PodWork, WorkState
from edge_runtime.pods.pod_worker import PodWorker
from edge_runtime.runtime.errors import RuntimeServiceError
from edge_runtime.store.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from edge_runtime.objects.pod import Pod, PodUID
    from edge_runtime.objects.pod_failure import PodFailure
    from edge_runtime.objects.runtime_status import PodRuntimeStatus
    from edge_runtime.pods.pod_events import PodEvents
    from edge_runtime.pods.pod_steps import PodSteps
    from edge_runtime.pods.status_updater import StatusUpdater
    from edge_runtime.status.status_manager import StatusManager
    from edge_runtime.store.local_pod_state import LocalPodState

FIRST_RETRY_S = 1.0
MAX_RETRY_S = 10.0
# As a kubelet's metrics name what is done with a pod.
_OPERATIONS = {
    WorkState.SYNC: "sync",
    WorkState.TERMINATING: "kill",
    WorkState.TERMINATED: "terminated",
    WorkState.GONE: "terminated",
}

logger = logging.getLogger(__name__)


class Inspector(Protocol):
    """Knows what the runtime has (pleg/generic_pleg.py)."""

    async def know(self, uid: PodUID) -> None:
        """Return once the cache holds all that the runtime had of a pod; RuntimeServiceError."""
        ...

    async def refresh(self, uid: PodUID) -> PodRuntimeStatus:
        """Look at one pod; raises RuntimeServiceError."""
        ...


class Worked(Protocol):
    """Who is told of work on pods (telemetry/kubelet_metrics.py)."""

    def __call__(self, operation: str, *, duration_s: float) -> None:
        """Take note of a step; never waits."""


class PodWorkers:
    """The workers of all pods.

    Attributes:
        on_stopped: Called when nothing of a pod runs any more: what it held is free.
    """

    def __init__(
        self,
        *,
        steps: PodSteps,
        pleg: Inspector,
        status: StatusUpdater,
        statuses: StatusManager,
        records: LocalPodState,
        events: PodEvents,
        worked: Worked = lambda _operation, *, duration_s: None,
    ) -> None:
        self._steps = steps
        self._pleg = pleg
        self._status = status
        self._statuses = statuses
        self._records = records
        self._events = events
        self._worked = worked
        self._workers: dict[PodUID, PodWorker] = {}
        # Pods of which no step was taken yet, since `run`.
        self._untouched: set[PodUID] = set()
        self._all_touched = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None
        self._gone: Callable[[PodWork], Awaitable[None]] | None = None
        self.on_stopped: Callable[[], None] = lambda: None

    async def run(self, gone: Callable[[PodWork], Awaitable[None]]) -> None:
        """Work on all pods until cancelled.

        Args:
            gone: Called once nothing of an unwanted pod is left; called again if it raises.
        """
        self._gone = gone
        self._untouched = set(self._workers)
        self._note_touched(None)
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for worker in self._workers.values():
                    group.create_task(self._run_worker(worker))
                # A group without tasks would end at once.
                await asyncio.Event().wait()
        finally:
            self._group = None

    async def first_steps(self) -> None:
        """Wait until `run` took one step with each pod that was there when it began.

        For a pod that is to start this is its start, or what keeps it from that; a pull of an
        image or a hook may take long.
        """
        await self._all_touched.wait()

    def update(self, pod: Pod) -> None:
        """Take a newer desired pod; never waits."""
        worker = self._workers.get(pod.uid)
        if worker is not None:
            worker.take(worker.work.updated(pod))
            return
        work = PodWork(pod=pod).updated(pod)
        status = self._statuses.get(pod.uid) or pod.status
        failure = self._records.failure(pod.uid)
        if status.get("phase") in TERMINAL_PHASES:
            # It ended before this process started: a terminal phase never changes.
            work = work.finished()
        elif failure is not None:
            work = work.failed(failure)
        self._add(work)

    def forget(self, pod: Pod) -> None:
        """Stop a pod whose object vanished, fast; never waits."""
        worker = self._workers.get(pod.uid)
        if worker is not None:
            worker.take(worker.work.forgotten())
        else:
            self._add(PodWork(pod=pod).forgotten())

    def fail(self, uid: PodUID, failure: PodFailure) -> bool:
        """End a pod in phase Failed, whatever its containers' exit codes; never waits.

        `is_stopped` tells when nothing of it runs any more.

        Returns:
            Whether that is still to come: False for an unknown pod and for one that ended before.
        """
        worker = self._workers.get(uid)
        if worker is None or worker.is_stopped:
            return False
        worker.take(worker.work.failed(failure))
        return True

    def is_stopped(self, uid: PodUID) -> bool:
        """Whether nothing of a pod runs any more, for good; so it is of an unknown one."""
        worker = self._workers.get(uid)
        return worker is None or worker.is_stopped

    def active(self) -> list[Pod]:
        """Return the pods that hold what they were given: all of which something may run."""
        return [each.work.pod for each in self._workers.values() if not each.is_stopped]

    def running(self) -> list[Pod]:
        """Return the pods that are to run and do not end yet."""
        return [each.work.pod for each in self._workers.values() if not each.work.is_ending]

    def ended(self) -> list[Pod]:
        """Return the pods of which nothing runs any more, for good, and that are still there."""
        workers = self._workers.values()
        return [each.work.pod for each in workers if each.work.state is WorkState.TERMINATED]

    def wake(self, uid: PodUID) -> None:
        """Look at a pod again now; an unknown one is nobody's."""
        worker = self._workers.get(uid)
        if worker is not None:
            worker.changed.set()

    def probed(self, uid: PodUID) -> None:
        """Show what a probe found, also while the pod is worked on, and act on it; never waits.

        Of a container whose postStart hook still runs nothing is shown: a kubelet changes what a
        probe is about, and tells of new containers once they count as running.

        Source: kubernetes pkg/kubelet/status/status_manager.go ``SetContainerReadiness``.
        """
        worker = self._workers.get(uid)
        if worker is None or worker.is_stopped:
            return
        memory = worker.memory
        waiting = {} if worker.work.is_ending else memory.waiting
        self._status.update(worker.work.pod, waiting, unshown=memory.in_post_start)
        worker.changed.set()

    def is_known(self, uid: PodUID) -> bool:
        """Whether a pod has a worker."""
        return uid in self._workers

    def state(self, uid: PodUID) -> WorkState | None:
        """Return where a pod stands, None without a worker."""
        worker = self._workers.get(uid)
        return worker.work.state if worker is not None else None

    def _add(self, work: PodWork) -> None:
        worker = PodWorker(work=work)
        if work.is_ending:
            worker.memory.ending.set()
        self._workers[work.pod.uid] = worker
        if self._group is not None:
            self._group.create_task(self._run_worker(worker))

    async def _run_worker(self, worker: PodWorker) -> None:
        while not worker.is_gone:
            worker.changed.clear()
            wait_s = await self._step_safely(worker)
            self._note_touched(worker.work.pod.uid)
            if not worker.is_gone:
                await _wait(worker.changed, wait_s)
        del self._workers[worker.work.pod.uid]
        self._wake_successors(worker)

    def _note_touched(self, uid: PodUID | None) -> None:
        self._untouched -= {uid}
        if not self._untouched:
            self._all_touched.set()

    async def _step_safely(self, worker: PodWorker) -> float | None:
        """Take one step; return how long to wait at most before the next."""
        uid, state, began_s = worker.work.pod.uid, worker.work.state, time.monotonic()
        try:
            wait_s = await self._step(worker)
        except (RuntimeServiceError, StillRunning, CgroupError, StoreError, OSError) as exc:
            logger.warning("a pod cannot be worked on", extra={"pod_uid": uid, "error": str(exc)})
            if worker.work.state is WorkState.TERMINATING:
                self._events.kill_failed(worker.work.pod, str(exc))
        except Exception:
            # One pod's fault, perhaps a bug of ours, must not stop the others.
            logger.exception("working on a pod failed", extra={"pod_uid": uid})
        else:
            worker.failures = 0
            return wait_s
        finally:
            self._worked(_OPERATIONS[state], duration_s=time.monotonic() - began_s)
        worker.failures += 1
        return min(FIRST_RETRY_S * 2.0 ** (worker.failures - 1), MAX_RETRY_S)

    async def _step(self, worker: PodWorker) -> float | None:
        state = worker.work.state
        match state:
            case WorkState.SYNC:
                return await self._step_sync(worker)
            case WorkState.TERMINATING:
                return await self._step_terminating(worker)
            case WorkState.TERMINATED:
                return await self._step_terminated(worker)
            case WorkState.GONE:
                return None
            case _:
                assert_never(state)

    async def _step_sync(self, worker: PodWorker) -> float | None:
        pod = worker.work.pod
        # A step that failed may have made something that it could not look at any more: without a
        # look it would be made twice.
        if worker.failures:
            await self._pleg.refresh(pod.uid)
        else:
            await self._pleg.know(pod.uid)
        if self._has_running_predecessor(worker):
            # Woken once it stopped.
            self._status.update(pod, {})
            return None
        return await self._steps.sync(worker)

    async def _step_terminating(self, worker: PodWorker) -> float | None:
        await self._steps.terminate(worker)
        if worker.is_stopped:
            self._wake_successors(worker)
            self.on_stopped()
        return 0.0

    async def _step_terminated(self, worker: PodWorker) -> float | None:
        work = worker.work
        await self._steps.clear(work)
        if work.is_unwanted:
            if self._gone is None:
                raise AssertionError("workers run only within run()")
            await self._gone(worker.work)
            worker.take(worker.work.advanced(WorkState.GONE))
        return None

    def _has_running_predecessor(self, worker: PodWorker) -> bool:
        """Whether an older pod of the same name still runs: it is stopped first."""
        for other in self._workers.values():
            if other is worker:
                return False
            if other.work.pod.full_name == worker.work.pod.full_name and not other.is_stopped:
                return True
        return False

    def _wake_successors(self, worker: PodWorker) -> None:
        for other in self._workers.values():
            if other.work.pod.full_name == worker.work.pod.full_name:
                other.changed.set()


async def _wait(event: asyncio.Event, timeout_s: float | None) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return
