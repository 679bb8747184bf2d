"""When a container that is to run starts, and as which attempt; pure.

Source: kubernetes pkg/kubelet/kuberuntime/kuberuntime_manager.go ``doBackOff``,
kuberuntime_container.go ``startContainer``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_runtime.objects.container import ContainerKind
from edge_runtime.objects.runtime_status import ContainerState
from edge_runtime.pod_actions.crash_backoff import (
    CrashBackoff,
    backoff_key,
    backoff_until,
    next_backoff,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_runtime.objects.container import Container
    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.runtime_status import ContainerStatus, PodRuntimeStatus
    from edge_runtime.store.local_pod_state import ContainerRecord

# Source: containerd pkg/cri/server ``unknownExitReason``: no process was there at its start.
UNSEEN_END = "Unknown"
_NS = 1_000_000_000
_STATUSES = {
    ContainerKind.INIT: "initContainerStatuses",
    ContainerKind.REGULAR: "containerStatuses",
    ContainerKind.EPHEMERAL: "ephemeralContainerStatuses",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerStart:
    """Start a container.

    Attributes:
        attempt: Its restart count.
        backoff: What to keep if it ends again; None for a first start.
    """

    name: str
    attempt: int
    backoff: CrashBackoff | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerBackOff:
    """Do not start a container before `until_s`, seconds since the epoch."""

    name: str
    delay_s: float
    until_s: float


class StartPlanner:
    """Plans starts of one pod's containers at one moment."""

    def __init__(
        self,
        pod: Pod,
        status: PodRuntimeStatus,
        *,
        records: Mapping[str, ContainerRecord],
        now_s: float,
    ) -> None:
        """Prepare.

        Args:
            pod: The pod.
            status: What the runtime has of it.
            records: What is remembered of its containers, by name.
            now_s: Seconds since the epoch.
        """
        self._pod = pod
        self._status = status
        self._records = records
        self._now_s = now_s

    def plan(self, container: Container) -> ContainerStart | ContainerBackOff:
        """Return how a container that is to run starts: now, or once its back-off is over."""
        record = self._records.get(container.name)
        attempts = self._status.containers_named(container.name)
        attempt = self._next_attempt(container, attempts, record)
        kept = _kept_backoff(record)
        # A container that is killed now has no end yet: the one before it counts, as at a kubelet.
        ended = next((each for each in attempts if each.state is ContainerState.EXITED), None)
        if ended is None or self._was_lost(ended):
            return ContainerStart(name=container.name, attempt=attempt, backoff=kept)
        key, finished_at_s = backoff_key(container), ended.finished_at_ns / _NS
        until_s = backoff_until(kept, key=key, finished_at_s=finished_at_s)
        if kept is not None and until_s is not None and until_s > self._now_s:
            return ContainerBackOff(name=container.name, delay_s=kept.delay_s, until_s=until_s)
        backoff = next_backoff(kept, key=key, finished_at_s=finished_at_s, now_s=self._now_s)
        return ContainerStart(name=container.name, attempt=attempt, backoff=backoff)

    def _was_lost(self, ended: ContainerStatus) -> bool:
        """Whether a container and its sandbox went together and nobody saw why: a power cut.

        It did not crash, so it neither waits nor waits longer the next time. A kubelet keeps its
        back-offs in memory alone, where a reboot drops them.
        """
        return ended.reason == UNSEEN_END and not self._status.ready_sandboxes

    def _next_attempt(
        self,
        container: Container,
        attempts: tuple[ContainerStatus, ...],
        record: ContainerRecord | None,
    ) -> int:
        """Return one more than any attempt that runtime, edge or API know of."""
        known = [each.restart_count for each in attempts]
        if record is not None:
            known.append(record.attempt)
        # Only where a container was: a waiting one shows a count as well.
        known += [
            int(each.get("restartCount") or 0)
            for each in self._pod.status.get(_STATUSES[container.kind]) or ()
            if each.get("name") == container.name and each.get("containerID")
        ]
        return max(known, default=-1) + 1


def _kept_backoff(record: ContainerRecord | None) -> CrashBackoff | None:
    if record is None or not record.backoff_key:
        return None
    return CrashBackoff(
        key=record.backoff_key,
        delay_s=record.backoff_s,
        updated_at_s=record.backoff_updated_at_s,
    )
