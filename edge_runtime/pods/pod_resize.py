"""Give running containers what is newly allocated to their pod.

    memory, then processors:
        the pod's cgroup, if the pod grows ── its containers, those that shrink first ──
        the pod's cgroup, if the pod shrinks

Source: kubernetes pkg/kubelet/kuberuntime/kuberuntime_manager.go ``doPodResizeAction``,
``validateMemoryResizeAction``.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from edge_runtime.admission.resize import (
    CPU,
    MEMORY,
    container_updates,
    mixed_resources,
    with_current,
)
from edge_runtime.machine.cgroups import CgroupError
from edge_runtime.objects.qos import compute_qos_class
from edge_runtime.objects.quantity import whole_value
from edge_runtime.runtime.cri_resources import container_resources, pod_cgroup_limits
from edge_runtime.runtime.errors import RuntimeServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_runtime.admission.resize import ContainerUpdate
    from edge_runtime.objects.container import ContainerID, Json
    from edge_runtime.objects.pod import Pod, PodUID
    from edge_runtime.objects.runtime_stats import ContainerStats
    from edge_runtime.objects.runtime_status import ContainerResources, PodRuntimeStatus
    from edge_runtime.pleg.pod_cache import PodCache
    from edge_runtime.pods.pod_settings import PodSettings
    from edge_runtime.pods.pod_termination import Refresher
    from edge_runtime.runtime.cri_resources import PodCgroupLimits

logger = logging.getLogger(__name__)


class ResizeFailed(Exception):
    """What is allocated cannot be applied now; the text says why."""


class ResizingRuntime(Protocol):
    """What resizes containers (runtime/cri_client.py); both methods raise RuntimeServiceError."""

    async def update_container_resources(
        self, container_id: ContainerID, resources: ContainerResources
    ) -> None:
        """Change what a running container is confined to."""
        ...

    async def list_container_stats(
        self, *, pod_uid: PodUID | None = None
    ) -> Sequence[ContainerStats]:
        """Return what the containers of a pod use."""
        ...


class Allocations(Protocol):
    """What pods were given (admission/allocation_manager.py)."""

    def actuated(self, uid: PodUID) -> Mapping[str, Json]:
        """Return what running containers have that is not what is allocated, by id."""
        ...

    async def set_actuated(self, pod: Pod, status: PodRuntimeStatus) -> None:
        """Note that all running containers have what is allocated; raises StoreError."""
        ...

    def note_progress(self, pod: Pod, status: PodRuntimeStatus) -> None:
        """Tell of a resize that is over."""
        ...

    def note_error(self, pod: Pod, message: str) -> None:
        """Tell of a resize that cannot be applied now."""
        ...


class PodResizer:
    """Applies resizes; holds nothing of any pod."""

    def __init__(
        self,
        runtime: ResizingRuntime,
        *,
        pleg: Refresher,
        cache: PodCache,
        allocations: Allocations,
        settings: PodSettings,
    ) -> None:
        self._runtime = runtime
        self._pleg = pleg
        self._cache = cache
        self._allocations = allocations
        self._settings = settings

    def restarts(self, pod: Pod, status: PodRuntimeStatus) -> frozenset[ContainerID]:
        """Return the running containers that must start anew to be resized."""
        updates = container_updates(pod, self._allocations.actuated(pod.uid), status)
        return frozenset(each.id for each in updates if each.needs_restart)

    async def resize(self, pod: Pod) -> bool:
        """Give running containers what is allocated; return whether to try again.

        Raises:
            RuntimeServiceError: They have it, but cannot be looked at.
            StoreError: They have it, but that cannot be kept.
        """
        status, actuated = self._cache.get(pod.uid), self._allocations.actuated(pod.uid)
        if not actuated:
            self._allocations.note_progress(pod, status)
            return False
        try:
            await self._resize(pod, container_updates(pod, actuated, status))
        except (RuntimeServiceError, CgroupError, ResizeFailed) as exc:
            self._allocations.note_error(pod, str(exc))
            return True
        await self._allocations.set_actuated(pod, status)
        await self._pleg.refresh(pod.uid)
        return False

    async def _resize(self, pod: Pod, updates: Sequence[ContainerUpdate]) -> None:
        """Apply in the order of the picture above; again from the start after a failure."""
        pids = self._settings.pod_pids_limit
        before = pod_cgroup_limits(with_current(pod, updates), pids=pids)
        wanted = pod_cgroup_limits(pod, pids=pids)
        if wanted.memory_bytes is None:
            # A kubelet does not take a limit away either.
            wanted = replace(wanted, memory_bytes=before.memory_bytes)
        if wanted.cpu_quota_us is None:
            wanted = replace(wanted, cpu_quota_us=before.cpu_quota_us)
        await self._check_memory(pod, updates, before=before, wanted=wanted)
        # What grows does so first: also after a failure half way, when a container may have its new
        # share already and the kernel lets no group have less than those in it.
        grown = replace(
            before,
            cpu_shares=max(before.cpu_shares, wanted.cpu_shares),
            cpu_quota_us=_larger(before.cpu_quota_us, wanted.cpu_quota_us),
        )
        with_memory = replace(grown, memory_bytes=wanted.memory_bytes)
        shrinks = _is_less(wanted.memory_bytes, before.memory_bytes)
        first = grown if shrinks else with_memory
        if first != before:
            await self._ensure(pod, first)
        # Memory, with the processors as they are: each may go the other way.
        memory = [each for each in updates if each.changes(MEMORY)]
        for update in _shrinking_first(memory, MEMORY):
            await self._update(pod, update, keep=CPU)
        if shrinks:
            await self._ensure(pod, with_memory)
        for update in _shrinking_first([each for each in updates if each.changes(CPU)], CPU):
            await self._update(pod, update, keep=None)
        # Also without any change above: containers may have ended, or start anew with more than
        # the pod's cgroup had for them.
        await self._ensure(pod, wanted)

    async def _update(self, pod: Pod, update: ContainerUpdate, *, keep: str | None) -> None:
        """Update one container; ``keep`` names the resource that it still has as before."""
        container = update.desired
        if keep is not None:
            resources = mixed_resources(update.desired, update.current, keep)
            container = replace(container, raw={**container.raw, "resources": resources})
        resources_now = container_resources(pod, container, self._settings.machine)
        await self._runtime.update_container_resources(update.id, resources_now)

    async def _ensure(self, pod: Pod, limits: PodCgroupLimits) -> None:
        parent = self._settings.cgroup_parent(pod.uid, compute_qos_class(pod))
        await self._settings.cgroups.ensure(parent, limits)

    async def _check_memory(
        self,
        pod: Pod,
        updates: Sequence[ContainerUpdate],
        *,
        before: PodCgroupLimits,
        wanted: PodCgroupLimits,
    ) -> None:
        limits = {each.id: _memory_limit(each) for each in updates if _memory_shrinks(each)}
        pod_shrinks = _is_less(wanted.memory_bytes, before.memory_bytes)
        if not limits and not pod_shrinks:
            return
        stats = await self._runtime.list_container_stats(pod_uid=pod.uid)
        used = {each.id: _usage_bytes(each) for each in stats}
        problems = []
        if pod_shrinks and wanted.memory_bytes is not None:
            problems.append(_pod_problem(wanted.memory_bytes, list(used.values())))
        problems += [
            _container_problem(update.desired.name, limits[update.id], used.get(update.id))
            for update in updates
            if update.id in limits
        ]
        problems = [each for each in problems if each]
        if problems:
            # As Go joins errors.
            shown = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
            raise ResizeFailed(f"cannot decrease memory limits: {shown}")


def _shrinking_first(updates: Sequence[ContainerUpdate], resource: str) -> list[ContainerUpdate]:
    return sorted(updates, key=lambda each: each.grows(resource))


def _memory_limit(update: ContainerUpdate) -> int:
    return whole_value(update.desired.limits.get(MEMORY, "0"))


def _memory_shrinks(update: ContainerUpdate) -> bool:
    before = whole_value(update.current.limits.get(MEMORY, "0"))
    return _is_less(_memory_limit(update) or None, before or None)


def _usage_bytes(stats: ContainerStats) -> int | None:
    if stats.memory is None:
        return None
    if stats.memory.usage_bytes is not None:
        return stats.memory.usage_bytes
    return stats.memory.working_set_bytes


def _pod_problem(limit: int, used: Sequence[int | None]) -> str:
    known = [each for each in used if each is not None]
    if not used or len(known) < len(used):
        return "missing pod memory usage"
    if sum(known) < limit:
        return ""
    return f"attempting to set pod memory limit ({limit}) below current usage ({sum(known)})"


def _container_problem(name: str, limit: int, used: int | None) -> str:
    if used is None:
        return f'missing container "{name}" memory usage'
    if used < limit:
        return ""
    return (
        f'attempting to set container "{name}" memory limit ({limit}) below current usage ({used})'
    )


def _is_less(new: int | None, old: int | None) -> bool:
    """Tell whether a limit is lower than another; None is no limit."""
    return new is not None and (old is None or new < old)


def _larger(first: int | None, second: int | None) -> int | None:
    return None if first is None or second is None else max(first, second)
