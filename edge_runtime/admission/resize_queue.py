"""Whose resize comes first, and whether there is room for one when its turn comes; pure.

    less than it has ──> priority ──> class ──> longest wait

Whoever comes before and fits takes its room before whoever comes after is looked at; one that does
not fit holds up nobody.

Source: kubernetes pkg/kubelet/allocation/allocation_manager.go ``sortPendingResizes``,
``retryPendingResizes``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edge_runtime.admission.admission_rules import resize_rejection
from edge_runtime.admission.resize import CPU, MEMORY
from edge_runtime.objects.pod_resources import pod_requests
from edge_runtime.objects.qos import QOSClass, compute_qos_class

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edge_runtime.admission.admission_rules import AdmissionContext, Rejection
    from edge_runtime.objects.pod import Pod, PodUID


def resize_order(
    pods: Iterable[Pod],
    allocated: Mapping[PodUID, Pod],
    pending_since: Mapping[PodUID, float],
) -> list[Pod]:
    """Return pods that wait to be resized in the order in which they are served.

    Those that ask for no more, then by priority, class, and how long they wait.

    Args:
        pods: With what they ask for.
        allocated: The same with what they have, by UID.
        pending_since: Since when each of them waits, by UID; seconds.
    """

    def key(pod: Pod) -> tuple[bool, int, bool, float]:
        return (
            _asks_for_more(pod, allocated[pod.uid]),
            -(pod.priority or 0),
            compute_qos_class(pod) is not QOSClass.GUARANTEED,
            pending_since.get(pod.uid, float("inf")),
        )

    return sorted(pods, key=key)


def rejection_in_turn(
    pod: Pod,
    waiting: Iterable[Pod],
    allocated: Mapping[PodUID, Pod],
    pending_since: Mapping[PodUID, float],
    context: AdmissionContext,
) -> Rejection | None:
    """Say what stands against a resize, after those that come before it have had theirs.

    Args:
        pod: With what it asks for.
        waiting: All pods that wait to be resized, with what they ask for.
        allocated: These and the pod with what they have, by UID.
        pending_since: Since when each of them waits, by UID; seconds.
        context: What the pod is held against; its others with what they have.

    Raises:
        QuantityError: A request is no quantity.
    """
    candidates = {each.uid: each for each in (*waiting, pod)}
    others = {each.uid: each for each in context.others}
    for each in resize_order(candidates.values(), allocated, pending_since):
        # Everybody else, this pod among them unless it is its turn, with what it has.
        beside = {**others, pod.uid: allocated[pod.uid]}
        beside.pop(each.uid, None)
        rejection = resize_rejection(each, replace(context, others=tuple(beside.values())))
        if each.uid == pod.uid:
            return rejection
        if rejection is None:
            others[each.uid] = each
    return None


def asks_for_less(pod: Pod, allocated: Pod) -> bool:
    """Tell whether a pod gives processors or memory back that it has."""
    return _asks_for_more(allocated, pod)


def _asks_for_more(pod: Pod, allocated: Pod) -> bool:
    wanted, held = pod_requests(pod), pod_requests(allocated)
    return any(wanted.get(name, 0) > held.get(name, 0) for name in (CPU, MEMORY))
