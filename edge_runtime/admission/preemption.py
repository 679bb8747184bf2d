"""Which pods make room for a critical one; pure.

Source: kubernetes pkg/kubelet/preemption/preemption.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.admission.node_fit import is_critical, scaled_requests
from edge_runtime.objects.qos import QOSClass, compute_qos_class

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from edge_runtime.objects.pod import Pod

PREEMPTED = "Preempted in order to admit critical pod"
# Source: the same, DisruptionTarget's message.
DISRUPTED = "Pod was preempted by Kubelet to accommodate a critical pod."


class NothingToPreempt(Exception):
    """No set of pods would make enough room; the text says what is missing."""


def pods_to_preempt(pod: Pod, others: Sequence[Pod], lacking: Mapping[str, int]) -> tuple[Pod, ...]:
    """Choose the pods that end so that a critical one fits; as few and as unimportant as possible.

    Args:
        pod: The critical pod.
        others: The pods that hold resources.
        lacking: How much of each resource is missing, as `Misfit.lacking`.

    Raises:
        NothingToPreempt: All that may be ended would not be enough.
    """
    by_class: dict[QOSClass, list[Pod]] = {each: [] for each in QOSClass}
    for other in others:
        if _may_preempt(pod, other):
            by_class[compute_qos_class(other)].append(other)
    best_effort = by_class[QOSClass.BEST_EFFORT]
    burstable = by_class[QOSClass.BURSTABLE]
    guaranteed = by_class[QOSClass.GUARANTEED]
    missing = _without(lacking, [*best_effort, *burstable, *guaranteed])
    if missing:
        raise _nothing(missing)
    # Of each class only what is needed although all less important ones were ended.
    ended_guaranteed = _nearest(guaranteed, _without(lacking, [*best_effort, *burstable]))
    ended_burstable = _nearest(burstable, _without(lacking, [*best_effort, *ended_guaranteed]))
    ended = [*ended_burstable, *ended_guaranteed]
    return (*_nearest(best_effort, _without(lacking, ended)), *ended)


def _may_preempt(pod: Pod, other: Pod) -> bool:
    if is_critical(pod) and not is_critical(other):
        return True
    return pod.priority is not None and other.priority is not None and pod.priority > other.priority


def _nearest(pods: Sequence[Pod], lacking: Mapping[str, int]) -> list[Pod]:
    """Take pods until nothing lacks, each time the one that brings most; the smaller of equals."""
    left, taken = list(pods), []
    while lacking:
        if not left:
            raise _nothing(lacking)
        # The scheduler's order of requests breaks ties: memory, then processors.
        best = min(left, key=lambda each: (_distance(each, lacking), _size(each)))
        left.remove(best)
        taken.append(best)
        lacking = _without(lacking, [best])
    return taken


def _distance(pod: Pod, lacking: Mapping[str, int]) -> float:
    requests = _freed(pod)
    missing = ((amount, amount - requests.get(name, 0)) for name, amount in lacking.items())
    return sum((rest / amount) ** 2 for amount, rest in missing if rest > 0)


def _size(pod: Pod) -> tuple[int, int]:
    requests = scaled_requests(pod)
    return requests.get("memory", 0), requests.get("cpu", 0)


def _without(lacking: Mapping[str, int], pods: Iterable[Pod]) -> dict[str, int]:
    rest = dict(lacking)
    for pod in pods:
        requests = _freed(pod)
        rest = {name: amount - requests.get(name, 0) for name, amount in rest.items()}
    return {name: amount for name, amount in rest.items() if amount > 0}


def _freed(pod: Pod) -> dict[str, int]:
    return scaled_requests(pod) | {"pods": 1}


def _nothing(lacking: Mapping[str, int]) -> NothingToPreempt:
    parts = "".join(f"(res: {name}, q: {amount}), " for name, amount in sorted(lacking.items()))
    return NothingToPreempt(f"no set of running pods found to reclaim resources: [{parts}]")
