"""Who goes first, why, and in which words."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime.eviction.messages import eviction_message, pressure_message
from edge_runtime.eviction.observations import (
    ContainerUse,
    DiskUse,
    Observation,
    PodUse,
    observe,
)
from edge_runtime.eviction.ranking import rank_pods
from edge_runtime.eviction.storage_limits import has_storage_limits, storage_excess
from edge_runtime.machine.usage import FilesystemSpace, MachineUsage
from edge_runtime.objects.eviction_thresholds import Signal, Threshold, ThresholdValue
from edge_runtime.objects.pod import Pod, PodUID

MIB = 1 << 20
GIB = 1 << 30


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


def order(
    pods: list[Pod], uses: dict[str, PodUse], signal: Signal, *, dedicated: bool = False
) -> list[str]:
    """Names in the order of their end."""
    by_uid = {PodUID(uid): each for uid, each in uses.items()}
    return [each.name for each in rank_pods(pods, by_uid, signal, dedicated_imagefs=dedicated)]


def test_memory_ranking() -> None:
    """Above its request first, then by priority, then by how much above."""
    pods = [
        pod("modest", requests={"memory": "1Gi"}),
        pod("greedy", requests={"memory": "100"}),
        pod("greedier", requests={"memory": "50"}),
        pod("important", priority=5),
        pod("unknown"),
    ]
    uses = {
        "modest": use(memory=900),
        "greedy": use(memory=200),
        "greedier": use(memory=200),
        "important": use(memory=10_000),
    }
    expected = ["unknown", "greedier", "greedy", "important", "modest"]
    assert order(pods, uses, Signal.MEMORY_AVAILABLE) == expected


def test_disk_ranking_counts_what_lies_on_that_disk() -> None:
    """Logs and volumes on one, what containers write on the other, where there are two."""
    pods = [pod("logs"), pod("layer"), pod("volume", requests={"ephemeral-storage": "1Gi"})]
    uses = {"logs": use(logs=20), "layer": use(layer=30), "volume": use(volume=40)}
    assert order(pods, uses, Signal.NODEFS_AVAILABLE) == ["layer", "logs", "volume"]
    assert order(pods, uses, Signal.NODEFS_AVAILABLE, dedicated=True)[0] == "logs"
    assert order(pods, uses, Signal.IMAGEFS_AVAILABLE, dedicated=True)[0] == "layer"
    # Nobody can ask for inodes, so the one with most of them goes first.
    assert order(pods, uses, Signal.NODEFS_INODES_FREE) == ["volume", "layer", "logs"]


def test_process_ranking() -> None:
    """By priority, then by number."""
    pods = [pod("few"), pod("many"), pod("important", priority=1)]
    uses = {"few": use(processes=1), "many": use(processes=9), "important": use(processes=99)}
    assert order(pods, uses, Signal.PID_AVAILABLE) == ["many", "few", "important"]


def test_message_of_memory() -> None:
    """Threshold, what is left, and each container above its request."""
    threshold = Threshold(signal=Signal.MEMORY_AVAILABLE, value=ThresholdValue("100Mi"))
    message = eviction_message(
        pod("p", requests={"memory": "64Mi"}),
        use(memory=65 * MIB),
        "memory",
        thresholds=[threshold],
        observations={Signal.MEMORY_AVAILABLE: Observation(99 * MIB + 1024, GIB)},
    )
    assert message == (
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 101377Ki. "
        "Container c was using 65Mi, request is 64Mi, has larger consumption of memory. "
    )


def test_message_of_storage() -> None:
    """Writable layer and logs together; a share of the disk as bytes; no request is 0."""
    threshold = Threshold(signal=Signal.NODEFS_AVAILABLE, value=ThresholdValue("50%"))
    message = eviction_message(
        pod("p"),
        use(layer=2 * MIB, logs=MIB),
        "ephemeral-storage",
        thresholds=[threshold],
        observations={Signal.NODEFS_AVAILABLE: Observation(GIB, 4 * GIB)},
    )
    assert message == (
        "The node was low on resource: ephemeral-storage. Threshold quantity: 2Gi, available:"
        " 1Gi. Container c was using 3Mi, request is 0, has larger consumption of"
        " ephemeral-storage. "
    )


def test_message_of_what_is_counted_and_of_an_unknown_pod() -> None:
    """Inodes have suffixes of 1000; nothing is said of who was not measured."""
    threshold = Threshold(signal=Signal.NODEFS_INODES_FREE, value=ThresholdValue("5000"))
    message = eviction_message(
        pod("p"),
        None,
        "inodes",
        thresholds=[threshold],
        observations={Signal.NODEFS_INODES_FREE: Observation(4000, 100_000)},
    )
    assert message == (
        "The node was low on resource: inodes. Threshold quantity: 5k, available: 4k. "
    )
    assert pressure_message(["DiskPressure", "PIDPressure"]) == (
        "The node had condition: [DiskPressure PIDPressure]. "
    )


@pytest.mark.parametrize(
    ("limited", "used", "dedicated", "expected"),
    [
        (pod("p", limits={"ephemeral-storage": "10"}), use(layer=10), False, None),
        (
            pod("p", limits={"ephemeral-storage": "10"}),
            use(layer=6, logs=5),
            False,
            "Pod ephemeral local storage usage exceeds the total limit of containers 10. ",
        ),
        (
            pod("p", volumes=[{"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}]),
            use(volume=MIB + 1),
            False,
            'Usage of EmptyDir volume "v" exceeds the limit "1Mi". ',
        ),
        (
            pod("p", volumes=[{"name": "v", "emptyDir": {"sizeLimit": "0"}}]),
            use(volume=MIB),
            False,
            None,
        ),
        (pod("p"), use(layer=GIB), False, None),
    ],
)
def test_storage_limits(limited: Pod, used: PodUse, dedicated: bool, expected: str | None) -> None:
    """Of emptyDirs, of all containers together."""
    assert storage_excess(limited, used, dedicated_imagefs=dedicated) == expected


def test_storage_limit_of_one_container() -> None:
    """One may write too much although all together do not."""
    limits = {"limits": {"ephemeral-storage": "10"}}
    two = [{"name": "c", "resources": limits}, {"name": "d", "resources": limits}]
    both = Pod({"metadata": {"name": "p", "uid": "p"}, "spec": {"containers": two}})
    message = 'Container c exceeded its local ephemeral storage limit "10". '
    assert storage_excess(both, use(layer=11), dedicated_imagefs=False) == message
    assert storage_excess(both, use(layer=11), dedicated_imagefs=True) is None
    assert storage_excess(both, use(logs=11), dedicated_imagefs=True) == message


def test_only_limited_pods_are_measured() -> None:
    """Measuring costs the runtime 4 ms per container."""
    assert not has_storage_limits(pod("p", limits={"memory": "1"}))
    assert has_storage_limits(pod("p", limits={"ephemeral-storage": "1"}))
    assert has_storage_limits(pod("p", volumes=[{"name": "v", "emptyDir": {"sizeLimit": "1"}}]))
    assert not has_storage_limits(pod("p", volumes=[{"name": "v", "emptyDir": {}}]))


def test_observations() -> None:
    """All signals; none of inodes where they are not counted."""
    space = FilesystemSpace(available_bytes=1, capacity_bytes=2, inodes_free=3, inodes=4)
    btrfs = FilesystemSpace(available_bytes=5, capacity_bytes=6, inodes_free=0, inodes=0)
    usage = MachineUsage(
        available_memory_bytes=7,
        memory_bytes=8,
        nodefs=space,
        imagefs=btrfs,
        pids=9,
        max_pids=10,
    )
    assert observe(usage) == {
        Signal.MEMORY_AVAILABLE: Observation(7, 8),
        Signal.PID_AVAILABLE: Observation(1, 10),
        Signal.NODEFS_AVAILABLE: Observation(1, 2),
        Signal.NODEFS_INODES_FREE: Observation(3, 4),
        Signal.IMAGEFS_AVAILABLE: Observation(5, 6),
    }
