"""What a whole pod asks for and is limited to: its containers, sidecars, init containers, overhead.

    requests = max( containers + sidecars, most that is needed while one init container runs )
    then what the pod's own ``spec.resources`` says instead, then the RuntimeClass's overhead

Source: kubernetes staging/src/k8s.io/component-helpers/resource/helpers.go ``PodRequests``,
``PodLimits``.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from edge_runtime.objects.quantity import parse_quantity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edge_runtime.objects.container import Container
    from edge_runtime.objects.pod import Pod

ResourceList = dict[str, Fraction]

HUGEPAGES = "hugepages-"
_POD_LEVEL = ("cpu", "memory")


def parse_resources(quantities: Mapping[str, object]) -> ResourceList:
    """Read a resource list of the API.

    Raises:
        QuantityError: A value is no quantity.
    """
    return {name: parse_quantity(str(value)) for name, value in quantities.items()}


def pod_requests(pod: Pod, *, with_overhead: bool = True) -> ResourceList:
    """Sum up what a pod asks for, in units and bytes.

    Raises:
        QuantityError: A request is no quantity.
    """
    total = container_requests(pod) | pod_level_resources(pod, "requests")
    if with_overhead:
        _add(total, parse_resources(pod.spec.get("overhead") or {}))
    return total


def pod_limits(pod: Pod, *, with_overhead: bool = True) -> ResourceList:
    """Sum up what a pod is limited to; a container without a limit does not make it unlimited.

    Raises:
        QuantityError: A limit is no quantity.
    """
    total = _container_total(pod, "limits") | pod_level_resources(pod, "limits")
    if with_overhead:
        for name, value in parse_resources(pod.spec.get("overhead") or {}).items():
            if total.get(name):
                total[name] += value
    return total


def container_requests(pod: Pod) -> ResourceList:
    """Sum up what a pod's containers ask for, without its own requests and overhead.

    Raises:
        QuantityError: A request is no quantity.
    """
    return _container_total(pod, "requests")


def is_limited(pod: Pod, resource: str) -> bool:
    """Tell whether the pod as a whole may be limited: it says so itself, or all containers do.

    Source: kubernetes pkg/kubelet/cm/helpers_linux.go ``ResourceConfigForPod``.

    Raises:
        QuantityError: A limit is no quantity.
    """
    if pod_level_resources(pod, "limits").get(resource):
        return True
    regular = [_of(container, "limits") for container in pod.containers]
    return all(each.get(resource) for each in (*regular, *_while_initializing(pod, "limits")))


def pod_level_resources(pod: Pod, kind: str) -> ResourceList:
    """Return ``spec.resources.<kind>`` as far as a pod as a whole can have it.

    Args:
        pod: The pod.
        kind: ``requests`` or ``limits``.

    Raises:
        QuantityError: A value is no quantity.
    """
    resources = parse_resources((pod.spec.get("resources") or {}).get(kind) or {})
    return {
        name: value
        for name, value in resources.items()
        if name in _POD_LEVEL or name.startswith(HUGEPAGES)
    }


def _container_total(pod: Pod, kind: str) -> ResourceList:
    total: ResourceList = {}
    sidecars = [container for container in pod.init_containers if container.is_sidecar]
    for container in (*pod.containers, *sidecars):
        _add(total, _of(container, kind))
    for needed in _while_initializing(pod, kind):
        for name, value in needed.items():
            total[name] = max(total.get(name, value), value)
    return total


def _while_initializing(pod: Pod, kind: str) -> Iterator[ResourceList]:
    """Yield what is in use while each init container starts: its own and the sidecars' before."""
    sidecars: ResourceList = {}
    for container in pod.init_containers:
        needed = dict(sidecars)
        _add(needed, _of(container, kind))
        if container.is_sidecar:
            sidecars = needed
        yield needed


def _of(container: Container, kind: str) -> ResourceList:
    return parse_resources(container.requests if kind == "requests" else container.limits)


def _add(total: ResourceList, other: ResourceList) -> None:
    for name, value in other.items():
        total[name] = total.get(name, Fraction(0)) + value
