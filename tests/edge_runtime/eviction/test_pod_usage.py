"""What pods use, on a disk and in control groups of a test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_runtime.eviction.observations import ContainerUse, PodUse
from edge_runtime.eviction.pod_usage import PodUsageReader, count_processes
from edge_runtime.objects.container import ContainerID
from edge_runtime.objects.node_stats import DiskUse
from edge_runtime.objects.pod import Pod, PodUID
from edge_runtime.objects.qos import QOSClass
from edge_runtime.objects.runtime_stats import ContainerStats, FilesystemUsage, MemoryUsage
from edge_runtime.objects.runtime_status import POD_UID_LABEL
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


@pytest.mark.parametrize("unified", [False, True])
def test_processes(tmp_path: Path, unified: bool) -> None:
    """Of both versions; a pod without a group runs none."""
    tree = tmp_path if unified else tmp_path / "pids"
    if unified:
        write(tmp_path / "cgroup.controllers")
    group = tree / "kubepods/podu"
    group.mkdir(parents=True)
    (group / "pids.current").write_text("17\n")
    assert count_processes("/kubepods/podu", mount=tmp_path) == 17
    assert count_processes("/kubepods/podv", mount=tmp_path) == 0


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


def stats(uid: str, name: str, memory: int | None, *, attempt: int = 0) -> ContainerStats:
    """Figures of a container that wrote as many bytes as it uses memory."""
    return ContainerStats(
        id=ContainerID(f"{uid}-{name}-{attempt}"),
        name=name,
        attempt=attempt,
        labels={POD_UID_LABEL: uid},
        memory=None
        if memory is None
        else MemoryUsage(timestamp_ns=1, working_set_bytes=memory, usage_bytes=1 << 40),
        writable_layer=None
        if memory is None
        else FilesystemUsage(timestamp_ns=1, mountpoint="/", used_bytes=memory, inodes_used=3),
    )


async def test_pods_are_measured(tmp_path: Path) -> None:
    """Memory and layers as the runtime tells of the newest attempts, the rest as it lies."""
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
    write(tmp_path / "cgroup/pids" / group.lstrip("/") / "pids.current").write_text("4")
    runtime = Runtime(
        stats("a", "c", 7, attempt=1),
        stats("a", "c", 99),
        stats("b", "c", None),
        stats("x", "c", 1),
    )
    reader = PodUsageReader(runtime, settings=settings, cgroup_mount=tmp_path / "cgroup")
    found = await reader.measure([first, second])
    assert found == {
        "a": PodUse(
            containers=(
                ContainerUse(
                    name="c",
                    memory_bytes=7,
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


async def test_pod_of_which_the_runtime_tells_nothing(tmp_path: Path) -> None:
    """It uses nothing that is known."""
    settings = make_pod_settings(tmp_path)
    reader = PodUsageReader(Runtime(), settings=settings, cgroup_mount=tmp_path)
    wanted: list[Pod] = [pod("a")]
    assert await reader.measure(wanted) == {"a": PodUse()}
