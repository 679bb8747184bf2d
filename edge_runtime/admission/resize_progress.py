"""ResizeProgress: resizes that wait or are under way, as conditions and events tell them.

    waits ──> PodResizePending ──started──> PodResizeInProgress ──completed──> nothing
                                               └── failed ──> the same, with reason Error

Source: kubernetes pkg/kubelet/status/status_manager.go ``SetPodResizePendingCondition``,
``SetPodResizeInProgressCondition``; pkg/kubelet/events/resize.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from edge_runtime.admission.resize import resize_message
from edge_runtime.events import reasons

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from edge_runtime.admission.admission_rules import Rejection
    from edge_runtime.objects.container import Json
    from edge_runtime.objects.pod import Pod, PodUID

DEFERRED = "Deferred"


class ResizeEvents(Protocol):
    """Where events go (pods/pod_events.py)."""

    def resize(self, pod: Pod, *, reason: str, message: str, is_warning: bool) -> None:
        """Something happened to a resize."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pending:
    message: str
    generation: int
    since: float
    since_time: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Progress:
    generation: int
    since_time: str


class ResizeProgress:
    """Remembers by UID; each change is told once."""

    def __init__(
        self,
        events: ResizeEvents,
        *,
        monotonic: Callable[[], float],
        now: Callable[[], datetime],
    ) -> None:
        self._events = events
        self._monotonic = monotonic
        self._now = now
        self._pending: dict[PodUID, _Pending] = {}
        self._started: dict[PodUID, _Progress] = {}
        self._errors: dict[PodUID, str] = {}

    def waiting_since(self) -> Mapping[PodUID, float]:
        """Return since when each pod waits to be resized; monotonic seconds."""
        return {uid: each.since for uid, each in self._pending.items()}

    def waits(self, pod: Pod, rejection: Rejection) -> None:
        """A resize does not fit now; told once for each generation."""
        before = self._pending.get(pod.uid)
        self._pending[pod.uid] = _Pending(
            message=rejection.message,
            generation=pod.generation,
            since=before.since if before is not None else self._monotonic(),
            since_time=before.since_time if before is not None else self._time(),
        )
        if before is None or before.generation != pod.generation:
            message = resize_message(
                pod,
                f"Pod resize {rejection.reason}",
                generation=pod.generation,
                error=rejection.message,
            )
            self._tell(pod, reasons.RESIZE_DEFERRED, message, is_warning=True)

    def waits_no_more(self, uid: PodUID) -> bool:
        """What is asked for is what is allocated, again; return whether it waited until now."""
        return self._pending.pop(uid, None) is not None

    def started(self, pod: Pod) -> None:
        """A resize was allocated, and is to be applied."""
        self._pending.pop(pod.uid, None)
        self._errors.pop(pod.uid, None)
        self._started[pod.uid] = self._begun(pod)
        message = resize_message(pod, "Pod resize started", generation=pod.generation)
        self._tell(pod, reasons.RESIZE_STARTED, message, is_warning=False)

    def goes_on(self, pod: Pod) -> None:
        """A running container lacks what is allocated, perhaps since before this process."""
        self._started.setdefault(pod.uid, self._begun(pod))

    def failed(self, pod: Pod, message: str) -> None:
        """A resize cannot be applied now; told once for each message."""
        if self._errors.get(pod.uid) == message:
            return
        self._errors[pod.uid] = message
        generation = self._started.setdefault(pod.uid, self._begun(pod)).generation
        text = resize_message(pod, "Pod resize error", generation=generation, error=message)
        self._tell(pod, reasons.RESIZE_ERROR, text, is_warning=True)

    def completed(self, pod: Pod) -> None:
        """All running containers have what is allocated; told if a resize was under way."""
        self._errors.pop(pod.uid, None)
        done = self._started.pop(pod.uid, None)
        if done is not None:
            message = resize_message(pod, "Pod resize completed", generation=done.generation)
            self._tell(pod, reasons.RESIZE_COMPLETED, message, is_warning=False)

    def conditions(self, uid: PodUID) -> tuple[Json, ...]:
        """Return the conditions PodResizePending and PodResizeInProgress, as far as they hold."""
        found: list[Json] = []
        pending = self._pending.get(uid)
        if pending is not None:
            found.append(
                _condition(
                    "PodResizePending",
                    reason=DEFERRED,
                    message=pending.message,
                    generation=pending.generation,
                    since=pending.since_time,
                )
            )
        progress = self._started.get(uid)
        if progress is not None:
            error = self._errors.get(uid, "")
            found.append(
                _condition(
                    "PodResizeInProgress",
                    reason="Error" if error else "",
                    message=error,
                    generation=progress.generation,
                    since=progress.since_time,
                )
            )
        return tuple(found)

    def forget(self, uid: PodUID) -> None:
        """Drop what is known of a pod that is gone."""
        for known in (self._pending, self._started, self._errors):
            known.pop(uid, None)

    def _begun(self, pod: Pod) -> _Progress:
        return _Progress(generation=pod.generation, since_time=self._time())

    def _time(self) -> str:
        return self._now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def _tell(self, pod: Pod, reason: str, message: str, *, is_warning: bool) -> None:
        self._events.resize(pod, reason=reason, message=message, is_warning=is_warning)


def _condition(name: str, *, reason: str, message: str, generation: int, since: str) -> Json:
    condition: Json = {
        "type": name,
        "status": "True",
        "lastProbeTime": since,
        "lastTransitionTime": since,
    }
    optional = {"reason": reason, "message": message, "observedGeneration": generation}
    return condition | {key: value for key, value in optional.items() if value}
