"""What pods use, on a disk and in control groups of a test's own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from edge_runtime.eviction.observations import ContainerUse, DiskUse, PodUse
from edge_runtime.eviction.pod_usage import PodUsageReader, count_processes, disk_use
from edge_runtime.objects.container import ContainerID
from edge_runtime.objects.pod import Pod, PodUID
from edge_runtime.objects.qos import QOSClass
from edge_runtime.objects.runtime_stats import ContainerStats, FilesystemUsage, MemoryUsage
from edge_runtime.objects.runtime_status import POD_UID_LABEL
from tests.fakes.evictable_pods import pod
from tests.fakes.pod_settings import make_pod_settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


# Folders whose names have 200 letters; a path may have 4096.
DEPTH = 40


def blocks(*files: Path) -> int:
    """What files take on the disk."""
    return sum(each.lstat().st_blocks * 512 for each in files)


def write(file: Path, size_bytes: int = 1) -> Path:
    """Make a file with its folders."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x" * size_bytes)
    return file


def test_folder(tmp_path: Path) -> None:
    """All that lies in it, at whatever depth, in blocks of the disk."""
    small, large = write(tmp_path / "f/small"), write(tmp_path / "f/a/b/large", 100_000)
    found = disk_use(tmp_path / "f")
    folders = (tmp_path / "f/a", tmp_path / "f/a/b")
    assert found == DiskUse(size_bytes=blocks(small, large, *folders), inodes=4)
    assert found.size_bytes >= 100_000


def test_file_of_two_names_is_one(tmp_path: Path) -> None:
    """As the disk sees it."""
    file = write(tmp_path / "f/a", 10_000)
    (tmp_path / "f/b").hardlink_to(file)
    assert disk_use(tmp_path / "f") == DiskUse(size_bytes=blocks(file), inodes=1)


def test_holes_take_no_room(tmp_path: Path) -> None:
    """A file may seem larger than the disk."""
    file = write(tmp_path / "f/sparse")
    os.truncate(file, 1 << 40)
    assert disk_use(tmp_path / "f").size_bytes == blocks(file) < 1 << 20


def test_links_are_not_followed(tmp_path: Path) -> None:
    """A pod could point them anywhere, at folders above itself as well."""
    write(tmp_path / "elsewhere/large", 100_000)
    (tmp_path / "f").mkdir()
    (tmp_path / "f/out").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "f/up").symlink_to("..")
    assert disk_use(tmp_path / "f").inodes == 2
    # Also if one is put in a folder's place just before it is looked into.
    assert disk_use(tmp_path / "f/out") == DiskUse()


def test_what_is_no_folder_holds_nothing(tmp_path: Path) -> None:
    """It may be removed or replaced at any moment."""
    assert disk_use(tmp_path / "none") == DiskUse()
    assert disk_use(write(tmp_path / "file")) == DiskUse()


def test_folders_deeper_than_a_path_can_name(tmp_path: Path) -> None:
    """A pod that nests them does not hide the others, nor keep anybody from measuring them."""
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(DEPTH):
        os.mkdir("d" * 200, dir_fd=here)
        deeper = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    assert 0 < disk_use(tmp_path).inodes < DEPTH


def test_a_look_has_an_end(tmp_path: Path) -> None:
    """Or one pod would keep the look at all others waiting."""
    for number in range(10):
        write(tmp_path / f"f/{number}/file")
    assert disk_use(tmp_path / "f", max_entries=7).inodes == 7


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
