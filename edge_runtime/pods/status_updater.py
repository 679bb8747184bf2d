"""Computes statuses of pods from what is known right now, and keeps them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from edge_runtime.pod_status.pod_phase import held_back
from edge_runtime.pod_status.pod_status import (
    StatusContext,
    compute_final_status,
    compute_pod_status,
    compute_rejected_status,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edge_runtime.objects.container import Json
    from edge_runtime.objects.pod import Pod, PodUID
    from edge_runtime.objects.pod_failure import PodFailure
    from edge_runtime.pleg.pod_cache import PodCache
    from edge_runtime.pod_status.container_status import WaitingReason
    from edge_runtime.pods.pod_settings import PodSettings
    from edge_runtime.pods.probers import Probers
    from edge_runtime.status.status_manager import StatusManager


_ALL_SHOWN: Mapping[str, int] = MappingProxyType({})


class Allocations(Protocol):
    """What pods were given (admission/allocation_manager.py)."""

    def allocated(self, pod: Pod) -> Pod:
        """Return the pod with what is allocated to it."""
        ...

    def conditions(self, uid: PodUID) -> Sequence[Json]:
        """Return the conditions of a resize."""
        ...


class StatusUpdater:
    """Writes the statuses of all pods; no method waits."""

    def __init__(
        self,
        *,
        cache: PodCache,
        statuses: StatusManager,
        probers: Probers,
        allocations: Allocations,
        settings: PodSettings,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._cache = cache
        self._statuses = statuses
        self._probers = probers
        self._allocations = allocations
        self._settings = settings
        self._now = now

    def update(
        self,
        pod: Pod,
        waiting: Mapping[str, WaitingReason],
        *,
        is_terminal: bool = False,
        unshown: Mapping[str, int] = _ALL_SHOWN,
    ) -> None:
        """Take over what cache and probes show of a pod; a terminal phase waits for `finish`.

        Args:
            pod: The pod.
            waiting: Why containers could not be started, by name.
            is_terminal: Its containers will not be restarted.
            unshown: Attempts that do not count as running yet, by the container's name.
        """
        self._update(pod, self._context(pod, waiting, is_terminal=is_terminal), unshown)
        self._probers.trigger_readiness(pod.uid)

    def finish(self, pod: Pod, failure: PodFailure | None) -> None:
        """Take over the end of a pod of which nothing runs any more: always a terminal phase."""
        context = self._context(pod, {}, is_terminal=True, failure=failure)
        # In one step: between two, others would see a terminal phase with a sandbox that is ready.
        self._statuses.set(
            pod.uid, compute_final_status(pod, self._computed(pod, context), context)
        )

    def reject(self, pod: Pod, failure: PodFailure) -> None:
        """Show that a pod of which the runtime has nothing may not run here."""
        old = self._statuses.get(pod.uid)
        status = compute_rejected_status(pod, old, self._context(pod, {}), failure)
        self._statuses.set(pod.uid, status)

    def _update(self, pod: Pod, context: StatusContext, unshown: Mapping[str, int]) -> None:
        before = self._statuses.get(pod.uid) or pod.status
        self._statuses.set(pod.uid, held_back(self._computed(pod, context, unshown), before))

    def _computed(
        self, pod: Pod, context: StatusContext, unshown: Mapping[str, int] = _ALL_SHOWN
    ) -> Json:
        old, status = self._statuses.get(pod.uid), self._cache.get(pod.uid)
        if unshown:
            shown = [
                each for each in status.containers if unshown.get(each.name) != each.restart_count
            ]
            status = replace(status, containers=tuple(shown))
        held = self._allocations.allocated(pod)
        return compute_pod_status(held, status, old, context)

    def _context(
        self,
        pod: Pod,
        waiting: Mapping[str, WaitingReason],
        *,
        is_terminal: bool = False,
        failure: PodFailure | None = None,
    ) -> StatusContext:
        return StatusContext(
            now=self._now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            host_ips=self._settings.host_ips(),
            waiting=waiting,
            is_terminal=is_terminal,
            runtime_name=self._settings.runtime_name,
            probes=self._probers.view(pod.uid),
            failure=failure,
            resize=self._allocations.conditions(pod.uid),
        )
