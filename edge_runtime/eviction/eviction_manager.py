"""EvictionManager: looks every 10 s, reclaims what nobody needs, ends at most one pod.

    1. observe ── 2. advance thresholds, pressures ── 3. pods above their own storage limits
                                                        │ none
    6. wait until the pod is stopped ── 5. end one pod ── 4. reclaim images, dead containers

Source: kubernetes pkg/kubelet/eviction/eviction_manager.go.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from edge_runtime.eviction.messages import THRESHOLD_MET, eviction_message
from edge_runtime.eviction.observations import RESOURCES, observe
from edge_runtime.eviction.ranking import rank_pods
from edge_runtime.eviction.storage_limits import has_storage_limits, storage_excess
from edge_runtime.eviction.thresholds import (
    PRESSURE_TRANSITION_S,
    ThresholdState,
    advance,
    thresholds_met,
)
from edge_runtime.images.image_gc import ImageGCError
from edge_runtime.objects.eviction_thresholds import Signal
from edge_runtime.runtime.errors import RuntimeServiceError
from edge_runtime.store.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from edge_runtime.eviction.observations import Observation, PodUse
    from edge_runtime.machine.usage import MachineUsage
    from edge_runtime.objects.eviction_thresholds import Threshold
    from edge_runtime.objects.pod import Pod, PodUID

# Source: kubernetes pkg/kubelet/kubelet.go ``evictionMonitoringPeriod``.
PERIOD_S = 10.0
# Source: kubernetes pkg/kubelet/eviction/eviction_manager.go.
CLEANUP_TIMEOUT_S = 30.0
CLEANUP_POLL_S = 1.0
IMMEDIATE_GRACE_PERIOD_S = 1
# One look at the machine and its runtime.
LOOK_TIMEOUT_S = 60.0
# All that reclaiming may take; images are removed one by one.
RECLAIM_TIMEOUT_S = 300.0
_RECLAIM_ERRORS = (ImageGCError, RuntimeServiceError, StoreError, OSError, TimeoutError)
_MEASURED_ON_IMAGEFS = (Signal.IMAGEFS_AVAILABLE, Signal.IMAGEFS_INODES_FREE)
_MEASURED_ON_NODEFS = (Signal.NODEFS_AVAILABLE, Signal.NODEFS_INODES_FREE)
_MEASURED_ON_DISKS = (*_MEASURED_ON_IMAGEFS, *_MEASURED_ON_NODEFS)

logger = logging.getLogger(__name__)


class Usage(Protocol):
    """What measures pods (eviction/pod_usage.py)."""

    async def measure(self, pods: Sequence[Pod], *, disks: bool = True) -> Mapping[PodUID, PodUse]:
        """Return what each uses, of disks if asked; raises RuntimeServiceError and OSError."""
        ...


class EvictablePods(Protocol):
    """The pods of this machine, and the way to end one."""

    def running(self) -> Sequence[Pod]:
        """Return the pods that run and do not end yet."""
        ...

    def evict(self, pod: Pod, *, message: str, grace_period_s: int, is_disruption: bool) -> bool:
        """End a pod in phase Failed with reason Evicted; False when it may not be ended."""
        ...

    def is_stopped(self, uid: PodUID) -> bool:
        """Tell whether nothing of a pod runs any more."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EvictionSettings:
    """What the configuration says.

    Attributes:
        thresholds: Hard and soft ones.
        transition_s: How long a pressure is told after it was seen last.
        max_pod_grace_period_s: What a pod gets at most at a soft threshold.
    """

    thresholds: tuple[Threshold, ...]
    transition_s: float = PRESSURE_TRANSITION_S
    max_pod_grace_period_s: int = 0


class EvictionManager:
    """Keeps the machine alive at the cost of its pods."""

    def __init__(
        self,
        settings: EvictionSettings,
        *,
        look: Callable[[], Awaitable[tuple[MachineUsage, bool]]],
        usage: Usage,
        pods: EvictablePods,
        node_event: Callable[[str, str], None],
        reclaim: Iterable[Callable[[], Awaitable[object]]] = (),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is looked at before ``run``.

        Args:
            settings: Of the configuration.
            look: Measures the machine, and tells whether images lie on a filesystem of their own;
                raises RuntimeServiceError and OSError.
            usage: Measures pods.
            pods: The pods.
            node_event: Records a warning about the Node: reason and message.
            reclaim: What frees disk space without ending a pod, in this order; each may raise
                ImageGCError, RuntimeServiceError, StoreError or OSError, which is logged.
            monotonic: Clock, seconds.
        """
        self._settings = settings
        self._look = look
        self._usage = usage
        self._pods = pods
        self._node_event = node_event
        self._reclaim = tuple(reclaim)
        self._monotonic = monotonic
        self._state = ThresholdState()

    @property
    def pressures(self) -> tuple[str, ...]:
        """Types of the Node's pressure conditions that are true."""
        return self._state.pressures

    async def run(self) -> None:
        """Look and act until cancelled; a look that fails is logged and repeated."""
        while True:
            evicted: tuple[Pod, ...] = ()
            try:
                evicted = await self.synchronize()
            except (RuntimeServiceError, OSError, TimeoutError) as exc:
                reason = str(exc) or "the look took too long"
                logger.warning("eviction cannot look at the machine", extra={"reason": reason})
            except Exception:
                # What one pod has written, perhaps a bug of ours, must not end all others' edge.
                logger.exception("eviction failed")
            if evicted:
                await self._wait_until_stopped(evicted)
            else:
                await asyncio.sleep(PERIOD_S)

    async def synchronize(self) -> tuple[Pod, ...]:
        """Look once and act on it; return the pods that were ended.

        Raises:
            RuntimeServiceError: The runtime does not answer.
            OSError: The machine's files cannot be read.
            TimeoutError: A look took longer than LOOK_TIMEOUT_S.
        """
        observations, dedicated_imagefs = await self._observe()
        self._state = advance(
            self._state,
            self._settings.thresholds,
            observations,
            now=self._monotonic(),
            transition_s=self._settings.transition_s,
        )
        running = self._pods.running()
        evicted = await self._enforce_limits(running, dedicated_imagefs=dedicated_imagefs)
        if evicted or not self._state.acted_on:
            return evicted
        threshold = self._state.acted_on[0]
        resource = RESOURCES[threshold.signal]
        logger.warning("a resource runs short", extra={"resource": resource})
        self._node_event(THRESHOLD_MET, f"Attempting to reclaim {resource}")
        if await self._reclaim_node(threshold.signal, dedicated_imagefs=dedicated_imagefs):
            return ()
        # Read again: reclaiming took time, in which pods may have ended.
        running = self._pods.running()
        if not running:
            return ()
        return await self._evict_one(
            threshold, running, observations, dedicated_imagefs=dedicated_imagefs
        )

    async def _observe(self) -> tuple[Mapping[Signal, Observation], bool]:
        async with asyncio.timeout(LOOK_TIMEOUT_S):
            usage, dedicated_imagefs = await self._look()
        return observe(usage), dedicated_imagefs

    async def _measure(self, pods: Sequence[Pod], *, disks: bool) -> Mapping[PodUID, PodUse]:
        async with asyncio.timeout(LOOK_TIMEOUT_S):
            return await self._usage.measure(pods, disks=disks)

    async def _enforce_limits(
        self, running: Sequence[Pod], *, dedicated_imagefs: bool
    ) -> tuple[Pod, ...]:
        # Measuring costs the runtime 4 ms per container: only those that have a limit.
        limited = [pod for pod in running if has_storage_limits(pod)]
        if not limited:
            return ()
        uses = await self._measure(limited, disks=True)
        evicted = []
        for pod in limited:
            use = uses.get(pod.uid)
            if use is None:
                continue
            message = storage_excess(pod, use, dedicated_imagefs=dedicated_imagefs)
            if message is not None and self._evict(pod, message, is_disruption=False):
                evicted.append(pod)
        return tuple(evicted)

    async def _reclaim_node(self, signal: Signal, *, dedicated_imagefs: bool) -> bool:
        """Free what no pod needs; return whether that was enough."""
        on_images = signal in _MEASURED_ON_IMAGEFS
        if not on_images and (dedicated_imagefs or signal not in _MEASURED_ON_NODEFS):
            return False
        if not self._reclaim:
            return False
        for reclaim in self._reclaim:
            try:
                async with asyncio.timeout(RECLAIM_TIMEOUT_S):
                    await reclaim()
            except _RECLAIM_ERRORS as exc:
                logger.warning("nothing was reclaimed", extra={"reason": str(exc)})
        observations, _ = await self._observe()
        return not thresholds_met(self._settings.thresholds, observations, enforce_reclaim=True)

    async def _evict_one(
        self,
        threshold: Threshold,
        running: Sequence[Pod],
        observations: Mapping[Signal, Observation],
        *,
        dedicated_imagefs: bool,
    ) -> tuple[Pod, ...]:
        uses = await self._measure(running, disks=threshold.signal in _MEASURED_ON_DISKS)
        ranked = rank_pods(running, uses, threshold.signal, dedicated_imagefs=dedicated_imagefs)
        for pod in ranked:
            message = eviction_message(
                pod,
                uses.get(pod.uid),
                RESOURCES[threshold.signal],
                thresholds=self._state.acted_on,
                observations=observations,
            )
            grace_period_s = IMMEDIATE_GRACE_PERIOD_S
            if not threshold.is_hard:
                most_s = self._settings.max_pod_grace_period_s
                grace_period_s = min(most_s, pod.termination_grace_period_s)
            if self._evict(pod, message, is_disruption=True, grace_period_s=grace_period_s):
                return (pod,)
        logger.warning("no pod can be evicted")
        return ()

    def _evict(
        self,
        pod: Pod,
        message: str,
        *,
        is_disruption: bool,
        grace_period_s: int = IMMEDIATE_GRACE_PERIOD_S,
    ) -> bool:
        return self._pods.evict(
            pod,
            message=message,
            grace_period_s=grace_period_s,
            is_disruption=is_disruption,
        )

    async def _wait_until_stopped(self, pods: Sequence[Pod]) -> None:
        """Wait for what was ended: until then the next look would see the same shortage."""
        ends_at = self._monotonic() + CLEANUP_TIMEOUT_S
        while self._monotonic() < ends_at:
            await asyncio.sleep(CLEANUP_POLL_S)
            if all(self._pods.is_stopped(pod.uid) for pod in pods):
                return
        logger.warning("evicted pods still end", extra={"pods": len(pods)})
