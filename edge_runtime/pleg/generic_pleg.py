"""Look at the whole runtime every second and tell whose pod changed.

The relist is what is always right: events, where the runtime has them, only make it look sooner.
A relist that fails changes nothing: silence is no death.

Source: kubernetes pkg/kubelet/pleg/generic.go.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Protocol

from edge_runtime.pleg.events import compute_events, record_of, records_of
from edge_runtime.runtime.errors import RuntimeServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge_runtime.objects.pod import PodUID
    from edge_runtime.objects.runtime_status import (
        PodRuntimeStatus,
        RuntimeContainer,
        RuntimeSandbox,
    )
    from edge_runtime.pleg.pod_cache import PodCache

RELIST_PERIOD_S = 1.0
# A runtime that answered no relist for so long makes the Node not ready.
# Source: kubernetes pkg/kubelet/pleg/generic.go ``relistThreshold``.
HEALTHY_S = 180.0
# Pods inspected at one time, so that a restart with many pods does not storm the runtime.
_PARALLEL = 4
_MAX_READS = 5

logger = logging.getLogger(__name__)


class RuntimeReader(Protocol):
    """What the PLEG asks (runtime/cri_client.py); every method raises RuntimeServiceError."""

    async def list_pod_sandboxes(self) -> Sequence[RuntimeSandbox]:
        """Return all sandboxes."""
        ...

    async def list_containers(self) -> Sequence[RuntimeContainer]:
        """Return all containers."""
        ...

    async def pod_status(self, uid: PodUID) -> PodRuntimeStatus:
        """Return all that the runtime has of one pod."""
        ...


class Relisted(Protocol):
    """Who is told of looks at the whole runtime (telemetry/kubelet_metrics.py)."""

    def __call__(self, *, duration_s: float, interval_s: float | None) -> None:
        """Take note of a look; None is the interval of the first one. Never waits."""


class GenericPLEG:
    """Keeps the PodCache true and wakes the pods that changed."""

    def __init__(
        self,
        runtime: RuntimeReader,
        cache: PodCache,
        *,
        wake: Callable[[PodUID], None],
        relist_period_s: float = RELIST_PERIOD_S,
        monotonic: Callable[[], float] = time.monotonic,
        relisted: Relisted = lambda *, duration_s, interval_s: None,
    ) -> None:
        """Prepare; nothing is asked before `run` or `relist`.

        Args:
            runtime: Whom to ask.
            cache: Where the answers go.
            wake: Called with each pod whose status changed other than by its own worker's doing.
            relist_period_s: Seconds between two looks.
            monotonic: Clock, seconds.
            relisted: Told of each look of `run`, whether the runtime answered or not.
        """
        self._relisted = relisted
        self._relist_began_s: float | None = None
        self._runtime = runtime
        self._cache = cache
        self._wake = wake
        self._relist_period_s = relist_period_s
        self._monotonic = monotonic
        self._hints: set[PodUID] = set()
        self._hinted = asyncio.Event()
        self._wants_relist = False
        self._parallel = asyncio.Semaphore(_PARALLEL)
        self._last_relist_s: float | None = None
        self._last_turn_s = monotonic()
        self._started_s = monotonic()
        self._is_failing = False
        # Pods that the runtime has and whose status could not be read yet.
        self._unread: set[PodUID] = set()

    async def run(self) -> None:
        """Relist every period, and follow hints in between, until cancelled."""
        while True:
            began_s, before_s = self._monotonic(), self._relist_began_s
            self._relist_began_s = began_s
            await self._relist_logged()
            self._last_turn_s = self._monotonic()
            self._relisted(
                duration_s=self._last_turn_s - began_s,
                interval_s=None if before_s is None else began_s - before_s,
            )
            next_s = self._monotonic() + self._relist_period_s
            while (left_s := next_s - self._monotonic()) > 0 and not self._wants_relist:
                await self._wait_for_hint(left_s)
                await self._inspect(tuple(self._take_hints()))
            self._wants_relist = False

    def hint(self, uid: PodUID | None) -> None:
        """Ask to look at one pod now, or with None at all of them."""
        if uid is None:
            self._wants_relist = True
        else:
            self._hints.add(uid)
        self._hinted.set()

    def is_looping(self) -> bool:
        """Whether the loop turned within HEALTHY_S, whatever the runtime answered."""
        return self._monotonic() - self._last_turn_s < HEALTHY_S

    def relist_age_s(self) -> float | None:
        """Return for how long no look at the whole runtime succeeded; None if none ever did."""
        last = self._last_relist_s
        return None if last is None else self._monotonic() - last

    def problem(self) -> str | None:
        """Return why the node is not ready: no relist succeeded for HEALTHY_S, nor since the start.

        Source: kubernetes pkg/kubelet/pleg/generic.go ``Healthy``.
        """
        last = self._started_s if self._last_relist_s is None else self._last_relist_s
        if self._monotonic() - last < HEALTHY_S:
            return None
        return f"PLEG is not healthy: no look at the runtime succeeded for {HEALTHY_S:g}s"

    def is_known(self, uid: PodUID) -> bool:
        """Whether the cache can be trusted to hold all that the runtime had of a pod.

        Before the first relist after a start it cannot: whoever acts then would run a pod twice.
        """
        return self._last_relist_s is not None and uid not in self._unread

    async def relist(self) -> None:
        """Look at the whole runtime once.

        Raises:
            RuntimeServiceError: It did not answer; nothing changed.
        """
        sandboxes = await self._runtime.list_pod_sandboxes()
        containers = await self._runtime.list_containers()
        found = records_of(sandboxes, containers)
        self._unread &= found.keys()
        changed = [
            uid
            for uid in {*found, *self._cache.uids()}
            if compute_events(uid, old=record_of(self._cache.get(uid)), new=found.get(uid, {}))
        ]
        await self._inspect(changed)
        self._last_relist_s = self._monotonic()

    async def refresh(self, uid: PodUID) -> PodRuntimeStatus:
        """Read one pod's status into the cache and return what the cache then has.

        Raises:
            RuntimeServiceError: The runtime did not answer; nothing changed.
        """
        for _ in range(_MAX_READS):
            version = self._cache.version(uid)
            if self._cache.replace(await self._runtime.pod_status(uid), version=version):
                break
        self._unread.discard(uid)
        # Written to more often than we can read: what its worker wrote is newer than our answer.
        return self._cache.get(uid)

    async def _relist_logged(self) -> None:
        try:
            await self.relist()
        except RuntimeServiceError as exc:
            if not self._is_failing:
                logger.warning("the container runtime does not answer", extra={"error": str(exc)})
            self._is_failing = True
        else:
            if self._is_failing:
                logger.info("the container runtime answers again")
            self._is_failing = False

    async def _wait_for_hint(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._hinted.wait()
        except TimeoutError:
            return
        self._hinted.clear()

    def _take_hints(self) -> set[PodUID]:
        hints, self._hints = self._hints, set()
        return hints

    async def _inspect(self, uids: Sequence[PodUID]) -> None:
        async with asyncio.TaskGroup() as tg:
            for uid in uids:
                tg.create_task(self._inspect_one(uid))

    async def _inspect_one(self, uid: PodUID) -> None:
        before = self._cache.get(uid)
        async with self._parallel:
            try:
                after = await self.refresh(uid)
            except RuntimeServiceError as exc:
                # The next relist finds the same difference and asks again.
                self._unread.add(uid)
                logger.debug("a pod cannot be inspected", extra={"pod_uid": uid, "error": str(exc)})
                return
        if record_of(before) != record_of(after):
            self._wake(uid)
