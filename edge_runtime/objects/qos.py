"""Quality-of-service class of a pod.

Source: kubernetes pkg/apis/core/v1/helper/qos/qos.go ``ComputePodQOS``.
"""

from __future__ import annotations

import enum
from fractions import Fraction
from typing import TYPE_CHECKING

from edge_runtime.objects.quantity import parse_quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edge_runtime.objects.pod import Pod

# Only these two decide; hugepages and the rest do not.
_RESOURCES = ("cpu", "memory")


class QOSClass(enum.Enum):
    """Who suffers first when the machine runs short: BestEffort, then Burstable."""

    GUARANTEED = "Guaranteed"
    BURSTABLE = "Burstable"
    BEST_EFFORT = "BestEffort"


def compute_qos_class(pod: Pod) -> QOSClass:
    """Decide the class from requests and limits of all containers, or of the pod if it has them.

    Raises:
        QuantityError: A request or limit is no quantity.
    """
    pod_level = pod.spec.get("resources")
    # Also where it is empty: then the pod as a whole asks for nothing.
    if pod_level is not None:
        requests = [_positive(pod_level.get("requests") or {})]
        limits = [_positive(pod_level.get("limits") or {})]
    else:
        containers = (*pod.init_containers, *pod.containers)
        requests = [_positive(each.requests) for each in containers]
        limits = [_positive(each.limits) for each in containers]
    if not any(requests) and not any(limits):
        return QOSClass.BEST_EFFORT
    all_limited = all(set(each) == set(_RESOURCES) for each in limits)
    if all_limited and _sum(requests) == _sum(limits):
        return QOSClass.GUARANTEED
    return QOSClass.BURSTABLE


def _positive(resources: Mapping[str, object]) -> dict[str, Fraction]:
    quantities = {
        name: parse_quantity(str(resources[name])) for name in _RESOURCES if name in resources
    }
    return {name: quantity for name, quantity in quantities.items() if quantity > 0}


def _sum(resources: Iterable[Mapping[str, Fraction]]) -> dict[str, Fraction]:
    total: dict[str, Fraction] = {}
    for each in resources:
        for name, quantity in each.items():
            total[name] = total.get(name, Fraction(0)) + quantity
    return total
