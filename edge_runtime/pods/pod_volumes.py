"""PodVolumes: a pod's volumes are ready before anything of it starts, and followed while it runs.

Source: kubernetes pkg/kubelet/volumemanager/volume_manager.go ``WaitForAttachAndMount``,
pkg/volume/util/operationexecutor ``GenerateMountVolumeFunc``, pkg/util/goroutinemap/
exponentialbackoff.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from edge_runtime.objects.volume import VolumesNotReady

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_runtime.objects.pod import Pod, PodUID
    from edge_runtime.objects.volume import MountedVolume, VolumeProblem
    from edge_runtime.pods.pod_events import PodEvents
    from edge_runtime.pods.sync_memory import SyncMemory

# Source: ``initialDurationBeforeRetry`` and ``maxDurationBeforeRetry``.
FIRST_RETRY_S = 0.5
MAX_RETRY_S = 122.0


class Volumes(Protocol):
    """What mounts (volumes/volume_manager.py)."""

    async def mount(self, pod: Pod) -> None:
        """Make all volumes of a pod ready, or bring them up to date; raises VolumesNotReady."""
        ...

    def mounted(self, uid: PodUID) -> Mapping[str, MountedVolume]:
        """Return a pod's volumes that are ready, also those that could not be updated."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeRetry:
    """What one pod's worker remembers of volumes that are not ready.

    Attributes:
        names: Theirs.
        delay_s: How long it waits after the last failure that was told.
        until_s: When the wait is over, monotonic.
    """

    names: frozenset[str]
    delay_s: float
    until_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumesVerdict:
    """Whether the pod may go on.

    Attributes:
        is_ready: Containers may start: every volume was ready once, however old its contents are.
        again_in_s: When to try again what failed, None where nothing did or trying cannot help.
    """

    is_ready: bool
    again_in_s: float | None = None


class PodVolumes:
    """Mounts, tells what failed, and says when to try again; holds nothing of any single pod."""

    def __init__(
        self,
        volumes: Volumes,
        *,
        events: PodEvents,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._volumes = volumes
        self._events = events
        self._monotonic = monotonic

    async def prepare(self, pod: Pod, memory: SyncMemory) -> VolumesVerdict:
        """Make a pod's volumes ready, or bring them up to date; cancelling is safe.

        A failure is told by an event once per wait, however often the pod is looked at meanwhile.
        """
        try:
            await self._volumes.mount(pod)
        except VolumesNotReady as exc:
            problems = exc.problems
        else:
            memory.volume_retry = None
            return VolumesVerdict(is_ready=True)
        now_s = self._monotonic()
        retry = self._note(pod, problems, memory, now_s)
        mounted = self._volumes.mounted(pod.uid)
        can_help = not all(each.is_lasting for each in problems)
        return VolumesVerdict(
            is_ready=all(each.volume_name in mounted for each in problems),
            again_in_s=max(retry.until_s - now_s, 0.0) if can_help else None,
        )

    def _note(
        self,
        pod: Pod,
        problems: tuple[VolumeProblem, ...],
        memory: SyncMemory,
        now_s: float,
    ) -> VolumeRetry:
        names = frozenset(each.volume_name for each in problems)
        last = memory.volume_retry
        if last is not None and last.names == names and now_s < last.until_s:
            return last
        for each in problems:
            self._events.volume_failed(pod, each.volume_name, each.message)
        delay_s = FIRST_RETRY_S if last is None else min(last.delay_s * 2, MAX_RETRY_S)
        memory.volume_retry = VolumeRetry(names=names, delay_s=delay_s, until_s=now_s + delay_s)
        return memory.volume_retry
