"""Which pods use more local storage than they may; pure.

Source: kubernetes pkg/kubelet/eviction/eviction_manager.go ``localStorageEviction``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.eviction.messages import (
    container_storage_message,
    empty_dir_message,
    pod_storage_message,
)
from edge_runtime.objects.pod_resources import pod_limits
from edge_runtime.objects.quantity import format_quantity, parse_quantity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_runtime.eviction.observations import PodUse
    from edge_runtime.objects.pod import Pod

_STORAGE = "ephemeral-storage"


def has_storage_limits(pod: Pod) -> bool:
    """Tell whether there is anything to hold the pod to."""
    if any(True for _ in _empty_dir_limits(pod)):
        return True
    return any(_STORAGE in each.limits for each in (*pod.containers, *pod.init_containers))


def storage_excess(pod: Pod, use: PodUse, *, dedicated_imagefs: bool) -> str | None:
    """Say in which way a pod uses more than it may, None when it does not.

    Raises:
        QuantityError: A limit is no quantity.
    """
    for name, limit in _empty_dir_limits(pod):
        used = use.volumes.get(name)
        if used is not None and used.size_bytes > parse_quantity(limit) > 0:
            return empty_dir_message(name, limit)
    total = pod_limits(pod).get(_STORAGE)
    if total is not None and use.ephemeral_storage.size_bytes > total:
        return pod_storage_message(format_quantity(int(total), binary=True))
    limits = {each.name: each.limits.get(_STORAGE, "0") for each in pod.containers}
    for container in use.containers:
        limit = limits.get(container.name, "0")
        written = container.logs.size_bytes
        if not dedicated_imagefs and container.writable_layer is not None:
            written += container.writable_layer.size_bytes
        if written > parse_quantity(limit) > 0:
            return container_storage_message(container.name, limit)
    return None


def _empty_dir_limits(pod: Pod) -> Iterator[tuple[str, str]]:
    for volume in pod.spec.get("volumes") or ():
        limit = (volume.get("emptyDir") or {}).get("sizeLimit")
        if limit is not None:
            yield str(volume["name"]), str(limit)
