"""CriticalAdmission: ends pods that make room for a critical one, and waits until they stopped.

Who has to end is decided by preemption.py.

Source: kubernetes pkg/kubelet/preemption/preemption.go ``CriticalPodAdmissionHandler``.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from edge_runtime.admission.admission_rules import Rejection
from edge_runtime.admission.preemption import (
    DISRUPTED,
    PREEMPTED,
    NothingToPreempt,
    pods_to_preempt,
)
from edge_runtime.events import reasons
from edge_runtime.objects.pod_failure import PodFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from edge_runtime.objects.pod import Pod, PodUID

logger = logging.getLogger(__name__)


class Victims(Protocol):
    """The pods that may have to end (pods/pod_workers.py)."""

    def fail(self, uid: PodUID, failure: PodFailure) -> bool:
        """End a pod in phase Failed; False when it ended before."""
        ...

    def is_stopped(self, uid: PodUID) -> bool:
        """Tell whether nothing of a pod runs any more."""
        ...


class PreemptionEvents(Protocol):
    """Where events go (pods/pod_events.py)."""

    def preempted(self, pod: Pod) -> None:
        """The pod makes room for a critical one."""
        ...


class CriticalAdmission:
    """Remembers by UID whom others were ended for; no method waits."""

    def __init__(self, pods: Callable[[], Victims], *, events: PreemptionEvents) -> None:
        self._pods = pods
        self._events = events
        self._victims: dict[PodUID, tuple[PodUID, ...]] = {}

    def make_room(self, pod: Pod, rejection: Rejection, others: Sequence[Pod]) -> Rejection | None:
        """End pods that make room for a critical one.

        Args:
            pod: The critical pod.
            rejection: What stands against it: nothing but what is lacking.
            others: The pods that hold resources, with what they hold.

        Returns:
            Why there are none; else None, and the pod waits for those that end.
        """
        try:
            victims = pods_to_preempt(pod, others, rejection.lacking)
        except NothingToPreempt as exc:
            message = (
                "Unexpected error while attempting to recover from admission failure: preemption:"
                f" error finding a set of pods to preempt: {exc}"
            )
            return Rejection(reason="UnexpectedAdmissionError", message=message)
        self._victims[pod.uid] = tuple(each.uid for each in victims)
        for victim in victims:
            self._events.preempted(victim)
            failure = PodFailure(reason=reasons.PREEMPTING, message=PREEMPTED, is_disruption=True)
            self._pods().fail(victim.uid, failure)
        logger.warning(
            DISRUPTED,
            extra={"pod": pod.full_name, "preempted": [each.uid for each in victims]},
        )
        return None

    def waits(self, uid: PodUID) -> bool:
        """Tell whether pods that were ended for this one still run."""
        pods = self._pods()
        return not all(pods.is_stopped(each) for each in self._victims.get(uid, ()))

    def pending(self) -> Collection[PodUID]:
        """Return the pods for which others were ended and that do not have the room yet."""
        return self._victims.keys()

    def forget(self, uid: PodUID) -> None:
        """Drop what is known of a pod that has its room, asks for none any more, or is gone."""
        self._victims.pop(uid, None)
