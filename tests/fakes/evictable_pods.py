"""Pods of one container, and what they use, for tests of eviction."""

from __future__ import annotations

from typing import Any

from edge_runtime.eviction.observations import ContainerUse, PodUse
from edge_runtime.objects.node_stats import DiskUse
from edge_runtime.objects.pod import Pod


def pod(
    name: str,
    *,
    requests: dict[str, str] | None = None,
    limits: dict[str, str] | None = None,
    **spec: Any,  # noqa: ANN401  # API JSON
) -> Pod:
    """A pod of one container."""
    resources = {"requests": requests or {}, "limits": limits or {}}
    return Pod(
        {
            "metadata": {"name": name, "namespace": "ns", "uid": name},
            "spec": {"containers": [{"name": "c", "resources": resources}], **spec},
        }
    )


def use(
    *, memory: int = 0, layer: int = 0, logs: int = 0, volume: int = 0, processes: int = 0
) -> PodUse:
    """What a pod of one container uses; each byte on disk is an inode."""
    return PodUse(
        containers=(
            ContainerUse(
                name="c",
                memory_bytes=memory,
                writable_layer=DiskUse(size_bytes=layer, inodes=layer),
                logs=DiskUse(size_bytes=logs, inodes=logs),
            ),
        ),
        volumes={"v": DiskUse(size_bytes=volume, inodes=volume)},
        processes=processes,
    )
