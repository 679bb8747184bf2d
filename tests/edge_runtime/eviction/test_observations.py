"""What is left, and what pods use."""

from __future__ import annotations

from edge_runtime.eviction.observations import (
    CONDITIONS,
    RESOURCES,
    ContainerUse,
    Observation,
    PodUse,
    observe,
)
from edge_runtime.machine.usage import FilesystemSpace, MachineUsage
from edge_runtime.objects.eviction_thresholds import Signal
from edge_runtime.objects.node_stats import DiskUse


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


def test_machine_without_images_of_its_own_has_fewer_signals() -> None:
    """Before the runtime told where images lie, nothing is said of them."""
    usage = MachineUsage(
        available_memory_bytes=1,
        memory_bytes=2,
        nodefs=FilesystemSpace(available_bytes=1, capacity_bytes=2, inodes_free=3, inodes=4),
        imagefs=None,
        pids=1,
        max_pids=2,
    )
    assert Signal.IMAGEFS_AVAILABLE not in observe(usage)
    assert Signal.IMAGEFS_INODES_FREE not in observe(usage)


def test_every_signal_is_a_resource_with_a_condition() -> None:
    """Or a threshold on it would tell nobody."""
    assert {CONDITIONS[RESOURCES[each]] for each in Signal} == {
        "MemoryPressure",
        "DiskPressure",
        "PIDPressure",
    }


def test_a_pod_uses_what_its_parts_use() -> None:
    """What the runtime does not tell counts as nothing."""
    pod = PodUse(
        containers=(
            ContainerUse(
                name="a",
                memory_bytes=1,
                writable_layer=DiskUse(size_bytes=10, inodes=1),
                logs=DiskUse(size_bytes=100, inodes=2),
            ),
            ContainerUse(name="b", logs=DiskUse(size_bytes=1000, inodes=3)),
        ),
        volumes={"v": DiskUse(size_bytes=10_000, inodes=4)},
    )
    assert pod.memory_bytes == 1
    assert pod.writable_layers == DiskUse(size_bytes=10, inodes=1)
    assert pod.logs == DiskUse(size_bytes=1100, inodes=5)
    assert pod.local_volumes == DiskUse(size_bytes=10_000, inodes=4)
    assert pod.ephemeral_storage == DiskUse(size_bytes=11_110, inodes=10)
    assert PodUse().ephemeral_storage == DiskUse()
