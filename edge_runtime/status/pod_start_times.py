"""How long pods take from when they are first seen to when they run."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_runtime.objects.pod import PodUID


class PodStartTimes:
    """Follows the phases of pods that this process saw first; no method waits.

    Source: kubernetes pkg/kubelet/kubelet.go ``SyncPod`` (PodStartDuration).

    Args:
        started: Told how long a start took, in seconds.
        monotonic: A clock, in seconds.
    """

    def __init__(
        self,
        started: Callable[[float], None],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._started = started
        self._monotonic = monotonic
        self._seen_at_s: dict[PodUID, float] = {}

    def first_seen(self, uid: PodUID) -> None:
        """Note a pod that has no status yet."""
        self._seen_at_s[uid] = self._monotonic()

    def in_phase(self, uid: PodUID, phase: object) -> None:
        """Take note of a pod's phase; only its first one other than Pending says anything."""
        if phase == "Pending":
            return
        seen_at_s = self._seen_at_s.pop(uid, None)
        if seen_at_s is not None and phase == "Running":
            self._started(self._monotonic() - seen_at_s)

    def forget(self, uid: PodUID) -> None:
        """Drop a pod."""
        self._seen_at_s.pop(uid, None)
