"""What pods use, on a disk and in control groups of a test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_runtime.eviction.observations import ContainerUse, PodUse
from edge_runtime.eviction.pod_usage import PodUsageReader
from edge_runtime.objects.container import ContainerID
from edge_runtime.objects.node_stats import DiskUse
from edge_runtime.objects.pod import PodUID, SandboxID
from edge_runtime.objects.qos import QOSClass
from edge_runtime.objects.runtime_stats import ContainerStats, FilesystemUsage
from edge_runtime.objects.runtime_status import (
    POD_UID_LABEL,
    ContainerState,
    ContainerStatus,
    PodRuntimeStatus,
    SandboxState,
    SandboxStatus,
)
from edge_runtime.stats.cgroup_reader import CgroupReader
from tests.edge_runtime.stats.control_groups import ControlGroups
from tests.fakes.evictable_pods import pod
from tests.fakes.pod_settings import make_pod_settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def blocks(*files: Path) -> int:
    """What files take on the disk."""
    return sum(each.lstat().st_blocks * 512 for each in files)


def write(file: Path, size_bytes: int = 1) -> Path:
    """Make a file with its folders."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x" * size_bytes)
    return file


class Runtime:
    """Measures containers."""

    def __init__(self, *stats: ContainerStats) -> None:
        self.stats = stats
        self.asked: list[PodUID | None] = []

    async def list_container_stats(
        self, *, pod_uid: PodUID | None = None
    ) -> Sequence[ContainerStats]:
        """Return the figures of all containers, or of one pod's."""
        self.asked.append(pod_uid)
        return [
            each for each in self.stats if pod_uid in (None, PodUID(each.labels[POD_UID_LABEL]))
        ]


def layer(uid: str, name: str) -> ContainerStats:
    """A container that wrote 7 bytes; CRI tells no memory here, and nobody asks it for any."""
    return ContainerStats(
        id=ContainerID(f"{uid}-{name}"),
        name=name,
        labels={POD_UID_LABEL: uid},
        writable_layer=FilesystemUsage(timestamp_ns=1, mountpoint="/", used_bytes=7, inodes_used=3),
    )


def running(uid: PodUID) -> PodRuntimeStatus:
    """One running container, and one that ended."""
    sandbox = SandboxStatus(
        id=SandboxID(f"{uid}-s"),
        pod_name=uid,
        pod_namespace="ns",
        pod_uid=uid,
        attempt=0,
        state=SandboxState.READY,
        created_at_ns=1,
    )
    containers = tuple(
        ContainerStatus(
            id=ContainerID(f"{uid}-{name}"),
            sandbox_id=sandbox.id,
            name=name,
            attempt=0,
            state=state,
            created_at_ns=1,
        )
        for name, state in (("c", ContainerState.RUNNING), ("d", ContainerState.EXITED))
    )
    return PodRuntimeStatus(uid=uid, sandboxes=(sandbox,), containers=containers)


def nothing(uid: PodUID) -> PodRuntimeStatus:
    """The runtime has nothing of it."""
    return PodRuntimeStatus(uid=uid)


@pytest.fixture(params=["version 1", "version 2"])
def groups(request: pytest.FixtureRequest, tmp_path: Path) -> ControlGroups:
    """Control groups of either version."""
    return ControlGroups(mount=tmp_path / "cgroup", unified=request.param == "version 2")


async def test_pods_are_measured(tmp_path: Path, groups: ControlGroups) -> None:
    """Memory and processes as the kernel counts, layers as the runtime tells, the rest as it lies.

    Of "b" the runtime tells no layer, and the kernel has no group any more.
    """
    settings = make_pod_settings(tmp_path)
    volumes = [
        {"name": "disk", "emptyDir": {}},
        {"name": "memory", "emptyDir": {"medium": "Memory"}},
        {"name": "config", "configMap": {"name": "c"}},
    ]
    first, second = pod("a", volumes=volumes), pod("b")
    log = write(settings.pod_logs_dir / "ns_a_a/c/0.log", 5000)
    folder = settings.pods_dir / "a/volumes/kubernetes.io~empty-dir"
    data = write(folder / "disk/data", 9000)
    write(folder / "memory/data", 9000)
    group = settings.cgroup_parent(PodUID("a"), QOSClass.BEST_EFFORT)
    groups.put(f"{group}/a-c", memory_bytes=9000, inactive_bytes=2000)
    groups.put_tasks(group, 4)
    runtime = Runtime(layer("a", "c"), layer("x", "c"))
    cgroups = CgroupReader(groups.mount)
    reader = PodUsageReader(runtime, settings=settings, status=running, cgroups=cgroups)
    found = await reader.measure([first, second])
    assert found == {
        "a": PodUse(
            containers=(
                ContainerUse(
                    name="c",
                    memory_bytes=7000,
                    writable_layer=DiskUse(size_bytes=7, inodes=3),
                    logs=DiskUse(size_bytes=blocks(log), inodes=1),
                ),
            ),
            volumes={"disk": DiskUse(size_bytes=blocks(data), inodes=1)},
            processes=4,
        ),
        "b": PodUse(containers=(ContainerUse(name="c"),)),
    }
    await reader.measure([first])
    # Measuring costs the runtime 4 ms per container.
    assert runtime.asked == [None, "a"]


async def test_disks_are_left_alone_when_they_do_not_matter(
    tmp_path: Path, groups: ControlGroups
) -> None:
    """A machine without memory is slow enough."""
    settings, runtime = make_pod_settings(tmp_path), Runtime(layer("a", "c"))
    write(settings.pod_logs_dir / "ns_a_a/c/0.log", 5000)
    group = settings.cgroup_parent(PodUID("a"), QOSClass.BEST_EFFORT)
    groups.put(f"{group}/a-c", memory_bytes=9000, inactive_bytes=2000)
    cgroups = CgroupReader(groups.mount)
    reader = PodUsageReader(runtime, settings=settings, status=running, cgroups=cgroups)
    wanted = PodUse(containers=(ContainerUse(name="c", memory_bytes=7000),))
    assert await reader.measure([pod("a")], disks=False) == {"a": wanted}
    assert runtime.asked == []


async def test_pod_of_which_the_runtime_has_nothing(tmp_path: Path, groups: ControlGroups) -> None:
    """It uses nothing that is known."""
    settings, cgroups = make_pod_settings(tmp_path), CgroupReader(groups.mount)
    reader = PodUsageReader(Runtime(), settings=settings, status=nothing, cgroups=cgroups)
    assert await reader.measure([pod("a")]) == {"a": PodUse()}
