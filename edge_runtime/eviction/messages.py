"""What is said of an eviction, in the words of a kubelet; pure.

Source: kubernetes pkg/kubelet/eviction/helpers.go ``evictionMessage``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.eviction.observations import RESOURCES
from edge_runtime.objects.quantity import format_quantity, parse_quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edge_runtime.eviction.observations import ContainerUse, Observation, PodUse
    from edge_runtime.objects.eviction_thresholds import Signal, Threshold
    from edge_runtime.objects.pod import Pod

EVICTED = "Evicted"
# Of events about the Node.
THRESHOLD_MET = "EvictionThresholdMet"
_COUNTED = ("inodes", "pids")


def eviction_message(
    pod: Pod,
    use: PodUse | None,
    resource: str,
    *,
    thresholds: Iterable[Threshold],
    observations: Mapping[Signal, Observation],
) -> str:
    """Say why a pod is ended.

    Args:
        pod: The pod.
        use: What it uses, None when that is not known.
        resource: What runs short, as `RESOURCES` names it.
        thresholds: Those that are acted on.
        observations: What is left.
    """
    message = f"The node was low on resource: {resource}. "
    for threshold in thresholds:
        seen = observations.get(threshold.signal)
        if RESOURCES[threshold.signal] == resource and seen is not None:
            quantity = _threshold_text(threshold, seen.capacity)
            available = format_quantity(seen.available, binary=resource not in _COUNTED)
            message += f"Threshold quantity: {quantity}, available: {available}. "
            break
    if use is None:
        return message
    requests = {each.name: each.requests for each in (*pod.containers, *pod.init_containers)}
    if resource == "memory":
        wanted = ((pod.spec.get("resources") or {}).get("requests") or {}).get("memory")
        if wanted is not None:
            used = format_quantity(use.memory_bytes, binary=True)
            message += _larger("Pod", pod.name, used, str(wanted), resource)
    for container in use.containers:
        used_bytes = _used(container, resource)
        if used_bytes is None or container.name not in requests:
            continue
        wanted = requests[container.name].get(resource, "0")
        if used_bytes > parse_quantity(wanted):
            used = format_quantity(used_bytes, binary=True)
            message += _larger("Container", container.name, used, wanted, resource)
    return message


def pressure_message(pressures: Iterable[str]) -> str:
    """Say why no pod is taken while a pressure lasts."""
    return f"The node had condition: [{' '.join(pressures)}]. "


def empty_dir_message(volume: str, limit: str) -> str:
    """Say that an emptyDir holds more than it may."""
    return f'Usage of EmptyDir volume "{volume}" exceeds the limit "{limit}". '


def pod_storage_message(limit: str) -> str:
    """Say that a pod's containers wrote more than all of them may."""
    return f"Pod ephemeral local storage usage exceeds the total limit of containers {limit}. "


def container_storage_message(container: str, limit: str) -> str:
    """Say that a container wrote more than it may."""
    return f'Container {container} exceeded its local ephemeral storage limit "{limit}". '


def _larger(kind: str, name: str, used: str, wanted: str, resource: str) -> str:
    return (
        f"{kind} {name} was using {used}, request is {wanted}, has larger consumption of"
        f" {resource}. "
    )


def _threshold_text(threshold: Threshold, capacity: int) -> str:
    text = threshold.value.text
    is_binary = text.endswith(("%", "i"))
    return format_quantity(threshold.value.of(capacity), binary=is_binary)


def _used(container: ContainerUse, resource: str) -> int | None:
    if resource == "memory":
        return container.memory_bytes
    if resource == "ephemeral-storage" and container.writable_layer is not None:
        return container.writable_layer.size_bytes + container.logs.size_bytes
    return None
