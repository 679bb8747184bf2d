"""Whether a pod fits on the machine beside the pods that are there; pure.

Source: kubernetes pkg/kubelet/lifecycle/predicate.go, pkg/scheduler/eventhandlers.go
``AdmissionCheck``, pkg/scheduler/framework/plugins/noderesources/fit.go ``fitsRequest``,
plugins/nodeports/node_ports.go ``fitsPorts``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_runtime.admission.node_affinity import matches_node
from edge_runtime.admission.taints import untolerated_taint
from edge_runtime.objects.pod_resources import pod_requests

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from fractions import Fraction

    from edge_runtime.objects.node import Node
    from edge_runtime.objects.pod import Pod

NODE_AFFINITY = "NodeAffinity"
_PODS = "pods"
_ALWAYS_FIRST = ("cpu", "memory", "ephemeral-storage")
_ANY_ADDRESS = "0.0.0.0"  # noqa: S104  # what an absent hostIP means
_STATIC_SOURCES = ("file", "http")
_SOURCE_ANNOTATION = "kubernetes.io/config.source"
_MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
_SYSTEM_CRITICAL_PRIORITY = 2_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """One reason why a pod does not fit.

    Attributes:
        reason: ``status.reason`` of the pod that is rejected for it.
        message: The same in words.
        resource: Which resource is short, "" when none is.
        lacking: How much of it; thousandths of a processor, bytes, pods.
    """

    reason: str
    message: str
    resource: str = ""
    lacking: int = 0


def misfits(
    pod: Pod, others: Sequence[Pod], *, node: Node, allocatable: Mapping[str, Fraction]
) -> tuple[Misfit, ...]:
    """Return why a pod does not fit, in the order in which a kubelet names the first one.

    Args:
        pod: The pod, with the resources that are to be allocated.
        others: The pods that hold resources, with those that are allocated.
        node: The Node.
        allocatable: What pods may have in all, in units and bytes.

    Raises:
        QuantityError: A request is no quantity.
    """
    found = [*_insufficient(pod, others, allocatable)]
    if not matches_node(pod, node):
        text = "node(s) didn't match Pod's node affinity/selector"
        found.append(_predicate(NODE_AFFINITY, text))
    if node.name and pod.node_name and pod.node_name != node.name:
        found.append(_predicate("NodeName", "node(s) didn't match the requested node name"))
    if _ports_conflict(pod, others):
        text = "node(s) didn't have free ports for the requested pod ports"
        found.append(_predicate("NodePorts", text))
    if not is_static(pod) and untolerated_taint(pod, node.taints) is not None:
        text = "node(s) had taints that the pod didn't tolerate"
        found.append(_predicate("TaintToleration", text))
    return tuple(found)


def scaled_requests(pod: Pod) -> dict[str, int]:
    """Return what a pod asks for as the scheduler counts: thousandths of processors, bytes.

    Raises:
        QuantityError: A request is no quantity.
    """
    return {name: scaled(name, value) for name, value in pod_requests(pod).items()}


def scaled(resource: str, value: Fraction) -> int:
    """Return a quantity as a whole number, rounded up; processors in thousandths."""
    if resource == "cpu":
        value *= 1000
    return -(-value.numerator // value.denominator)


def is_critical(pod: Pod) -> bool:
    """Tell whether the machine needs the pod more than others.

    Source: kubernetes pkg/kubelet/types/pod_update.go ``IsCriticalPod``.
    """
    if is_static(pod) or _MIRROR_ANNOTATION in pod.annotations:
        return True
    return pod.priority is not None and pod.priority >= _SYSTEM_CRITICAL_PRIORITY


def is_static(pod: Pod) -> bool:
    """Tell whether a pod comes from a file of a machine and not from the API."""
    return pod.annotations.get(_SOURCE_ANNOTATION) in _STATIC_SOURCES


def _predicate(name: str, text: str) -> Misfit:
    return Misfit(reason=name, message=f"Predicate {name} failed: {text}")


def _insufficient(
    pod: Pod, others: Sequence[Pod], allocatable: Mapping[str, Fraction]
) -> Iterator[Misfit]:
    capacity = {name: scaled(name, value) for name, value in allocatable.items()}
    if len(others) + 1 > capacity[_PODS]:
        yield _out_of(_PODS, requested=1, used=len(others), capacity=capacity[_PODS])
    requests = {
        name: value
        for name, value in scaled_requests(pod).items()
        # An extended resource that the machine does not have is another part's business.
        if value > 0 and (name in capacity or not _is_extended(name))
    }
    if not requests:
        return
    used = _used(others)
    for name in (*_ALWAYS_FIRST, *sorted(set(requests) - set(_ALWAYS_FIRST))):
        wanted, total = requests.get(name, 0), capacity.get(name, 0)
        if wanted > total - used.get(name, 0) and wanted:
            yield _out_of(name, requested=wanted, used=used.get(name, 0), capacity=total)


def _used(pods: Iterable[Pod]) -> dict[str, int]:
    total: dict[str, int] = {}
    for pod in pods:
        for name, value in scaled_requests(pod).items():
            total[name] = total.get(name, 0) + value
    return total


def _out_of(name: str, *, requested: int, used: int, capacity: int) -> Misfit:
    return Misfit(
        reason=f"OutOf{name}",
        message=(
            f"Node didn't have enough resource: {name}, requested: {requested}, used: {used},"
            f" capacity: {capacity}"
        ),
        resource=name,
        lacking=requested - (capacity - used),
    )


def _is_extended(name: str) -> bool:
    # Source: kubernetes pkg/apis/core/v1/helper/helpers.go ``IsExtendedResourceName``.
    is_native = "/" not in name or "kubernetes.io/" in name
    return not is_native and not name.startswith("requests.")


def _ports_conflict(pod: Pod, others: Iterable[Pod]) -> bool:
    used = {port for other in others for port in _host_ports(other)}
    return any(
        (protocol, number) == (other_protocol, other_number)
        and (address == other_address or _ANY_ADDRESS in (address, other_address))
        for address, protocol, number in _host_ports(pod)
        for other_address, other_protocol, other_number in used
    )


def _host_ports(pod: Pod) -> Iterator[tuple[str, str, int]]:
    """Yield address, protocol and number of each port of the machine that a pod takes."""
    for container in (*pod.sidecars, *pod.containers):
        for port in container.ports:
            if int(port.get("hostPort") or 0) > 0:
                address = str(port.get("hostIP") or _ANY_ADDRESS)
                yield address, str(port.get("protocol") or "TCP"), int(port["hostPort"])
