"""Figures that were read apart, put together; pure."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_runtime.objects.node_stats import NodeStats, NodeStorage, VolumeStats
    from edge_runtime.objects.pod import PodUID
    from edge_runtime.stats.node_details import NodeDetails


def with_details(stats: NodeStats, details: NodeDetails) -> NodeStats:
    """Add networks and processes; a pod that began in between has none yet."""
    pods = tuple(
        pod
        if (found := details.pods.get(pod.uid)) is None
        else dataclasses.replace(pod, network=found.network, processes=found.processes)
        for pod in stats.pods
    )
    return dataclasses.replace(stats, network=details.network, tasks=details.tasks, pods=pods)


def with_volumes(stats: NodeStats, volumes: Mapping[PodUID, tuple[VolumeStats, ...]]) -> NodeStats:
    """Add volumes to those that pods have already."""
    pods = tuple(
        dataclasses.replace(pod, volumes=pod.volumes + volumes.get(pod.uid, ()))
        for pod in stats.pods
    )
    return dataclasses.replace(stats, pods=pods)


def with_storage(stats: NodeStats, storage: NodeStorage) -> NodeStats:
    """Add filesystems; a pod or container that began in between has none yet."""
    pods = []
    for pod in stats.pods:
        found = storage.pods.get(pod.uid)
        if found is None:
            pods.append(pod)
            continue
        containers = tuple(
            dataclasses.replace(
                each, rootfs=found.rootfs.get(each.id), logs=found.logs.get(each.name)
            )
            for each in pod.containers
        )
        pods.append(
            dataclasses.replace(
                pod,
                containers=containers,
                volumes=found.volumes,
                ephemeral_storage=found.ephemeral,
            )
        )
    return dataclasses.replace(
        stats,
        filesystem=storage.root,
        image_filesystem=storage.image,
        container_filesystem=storage.container,
        pods=tuple(pods),
    )
