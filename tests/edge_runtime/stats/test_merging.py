"""What was read apart comes together by pod and container."""

from __future__ import annotations

from edge_runtime.objects.container import ContainerID
from edge_runtime.objects.node_stats import (
    FilesystemStats,
    NetworkStats,
    NodeStorage,
    PodStorage,
    TaskCounts,
)
from edge_runtime.objects.pod import PodUID
from edge_runtime.stats.merging import with_details, with_storage
from edge_runtime.stats.node_details import NodeDetails, PodDetails
from tests.edge_runtime.stats.figures import NOW_NS, container, node, pod


def _space(used_bytes: int) -> FilesystemStats:
    return FilesystemStats(timestamp_ns=NOW_NS, used_bytes=used_bytes)


def test_each_pod_gets_its_own_network() -> None:
    """A pod that began after the networks were read has none yet."""
    network = NetworkStats(timestamp_ns=NOW_NS)
    tasks = TaskCounts(timestamp_ns=NOW_NS, running=5, limit=10)
    details = NodeDetails(
        cpus=2,
        memory_bytes=1,
        swap_bytes=0,
        network=None,
        tasks=tasks,
        pods={PodUID("u-p"): PodDetails(network=network, processes=3, containers={})},
    )
    found = with_details(node(pod(), pod(name="q")), details)
    assert found.tasks == tasks
    assert [(each.network, each.processes) for each in found.pods] == [(network, 3), (None, None)]


def test_each_container_gets_its_own_disk_use() -> None:
    """Layers by the id of the attempt, logs by the container's name: they outlive attempts."""
    storage = NodeStorage(
        root=_space(1),
        image=_space(2),
        container=_space(3),
        pods={
            PodUID("u-p"): PodStorage(
                rootfs={ContainerID("id-c"): _space(4)},
                logs={"c": _space(5), "d": _space(6)},
                volumes=(),
                ephemeral=_space(7),
            )
        },
    )
    found = with_storage(node(pod(container(), container("d")), pod(name="q")), storage)
    assert (found.filesystem, found.image_filesystem) == (_space(1), _space(2))
    assert found.container_filesystem == _space(3)
    first, second = found.pods
    assert [(each.rootfs, each.logs) for each in first.containers] == [
        (_space(4), _space(5)),
        (None, _space(6)),
    ]
    assert first.ephemeral_storage == _space(7)
    assert second.ephemeral_storage is None
