"""Who goes first when a resource runs short; pure.

    memory          uses more than it asked for; lower priority; most above its request
    disk, inodes    the same, over what is counted on that filesystem
    process ids     lower priority; most processes

Source: kubernetes pkg/kubelet/eviction/helpers.go ``rankMemoryPressure``, ``rankPIDPressure``,
``rankDiskPressureFunc``, ``buildSignalToRankFunc``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.objects.eviction_thresholds import Signal
from edge_runtime.objects.pod_resources import pod_requests

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edge_runtime.eviction.observations import PodUse
    from edge_runtime.objects.node_stats import DiskUse
    from edge_runtime.objects.pod import Pod, PodUID

_INODES = (Signal.NODEFS_INODES_FREE, Signal.IMAGEFS_INODES_FREE)
_IMAGEFS = (Signal.IMAGEFS_AVAILABLE, Signal.IMAGEFS_INODES_FREE)
_Key = tuple[int, ...]


def rank_pods(
    pods: Iterable[Pod],
    uses: Mapping[PodUID, PodUse],
    signal: Signal,
    *,
    dedicated_imagefs: bool,
) -> list[Pod]:
    """Return the pods in the order in which they are to be ended.

    Args:
        pods: The running pods.
        uses: What they use; a pod of which nothing is known goes first.
        signal: What runs short.
        dedicated_imagefs: Images and writable layers lie on another filesystem than logs and
            volumes.

    Raises:
        QuantityError: A request is no quantity.
    """

    def key(pod: Pod) -> _Key:
        use = uses.get(pod.uid)
        priority = pod.priority or 0
        if signal is Signal.PID_AVAILABLE:
            return priority, use is not None, -(use.processes if use is not None else 0)
        if use is None:
            return False, False, priority, 0
        used, wanted = _used(pod, use, signal, dedicated_imagefs=dedicated_imagefs)
        return True, used <= wanted, priority, wanted - used

    return sorted(pods, key=key)


def _used(pod: Pod, use: PodUse, signal: Signal, *, dedicated_imagefs: bool) -> tuple[int, int]:
    requests = pod_requests(pod)
    if signal is Signal.MEMORY_AVAILABLE:
        return use.memory_bytes, int(requests.get("memory", 0))
    disk = _disk(use, signal, dedicated_imagefs=dedicated_imagefs)
    if signal in _INODES:
        return disk.inodes, 0  # nobody can ask for inodes
    return disk.size_bytes, int(requests.get("ephemeral-storage", 0))


def _disk(use: PodUse, signal: Signal, *, dedicated_imagefs: bool) -> DiskUse:
    if not dedicated_imagefs:
        return use.ephemeral_storage
    return use.writable_layers if signal in _IMAGEFS else use.logs + use.local_volumes
