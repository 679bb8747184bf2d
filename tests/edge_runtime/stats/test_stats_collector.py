"""Whoever asks gets figures of the last seconds, read once for all."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

import pytest

from edge_runtime.objects.container import ContainerID
from edge_runtime.objects.pod import PodUID, SandboxID
from edge_runtime.objects.runtime_stats import ContainerStats, ImageFsInfo
from edge_runtime.objects.runtime_status import (
    ContainerState,
    ContainerStatus,
    PodRuntimeStatus,
    SandboxState,
    SandboxStatus,
)
from edge_runtime.runtime.errors import Unavailable
from edge_runtime.stats.cgroup_reader import CgroupReader
from edge_runtime.stats.group_stats_reader import GroupStatsReader
from edge_runtime.stats.machine_reader import MachineReader
from edge_runtime.stats.mounted_volumes import MountedVolumes
from edge_runtime.stats.network_reader import NetworkReader
from edge_runtime.stats.node_reader import NodeReader
from edge_runtime.stats.stats_collector import StatsCollector, StatsError
from edge_runtime.stats.storage_reader import StorageReader
from tests.edge_runtime.stats.control_groups import ControlGroups
from tests.fakes.evictable_pods import pod
from tests.fakes.pod_settings import make_pod_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_PODS_GROUP = "/edgelet-test-that-does-not-exist/kubepods"
_POD_GROUP = f"{_PODS_GROUP}/besteffort/poda"


class _Runtime:
    def __init__(self) -> None:
        self.asked = 0
        self.is_away = False

    async def list_container_stats(
        self, *, pod_uid: PodUID | None = None
    ) -> Sequence[ContainerStats]:
        self.asked += 1
        if self.is_away:
            raise Unavailable(method="ListContainerStats", message="nobody listens")
        return []

    async def image_fs_info(self) -> ImageFsInfo:
        return ImageFsInfo()


def _status(uid: PodUID) -> PodRuntimeStatus:
    container = ContainerStatus(
        id=ContainerID("c1"),
        sandbox_id=SandboxID("s1"),
        name="c",
        attempt=0,
        state=ContainerState.RUNNING,
        created_at_ns=2,
    )
    sandbox = SandboxStatus(
        id=SandboxID("s1"),
        pod_name="a",
        pod_namespace="ns",
        pod_uid=uid,
        attempt=0,
        state=SandboxState.READY,
        created_at_ns=1,
    )
    return PodRuntimeStatus(uid=uid, sandboxes=(sandbox,), containers=(container,))


class _Machine:
    """A machine with one pod, whose clock the test moves."""

    def __init__(self, folder: Path, *, unified: bool = False) -> None:
        self.now_s = 100.0
        self.runtime = _Runtime()
        self.groups = ControlGroups(mount=folder / "cgroup", unified=unified)
        self.groups.put("/", cpu_ns=90_000_000)
        self.groups.put(_PODS_GROUP)
        self.groups.put(_POD_GROUP)
        self.groups.put(f"{_POD_GROUP}/c1", limit="10000")
        settings = self.settings = make_pod_settings(folder)
        settings.pods_dir.mkdir(parents=True, exist_ok=True)
        cgroups = CgroupReader(self.groups.mount)
        self.collector = StatsCollector(
            node=NodeReader(
                groups=GroupStatsReader(cgroups),
                cgroups=cgroups,
                machine=MachineReader(),
                networks=NetworkReader(),
                pods_group=settings.pods_cgroup,
                node_name=lambda: "site-a",
            ),
            storage=StorageReader(self.runtime, folders=settings),
            volumes=MountedVolumes(settings.pods_dir),
            pods=lambda: [pod("a")],
            status=_status,
            paths=settings,
            max_age_s=10,
            storage_max_age_s=30,
            monotonic=lambda: self.now_s,
        )


@pytest.fixture(params=["version 1", "version 2"])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[_Machine]:
    """A machine with control groups of either version."""
    found = _Machine(tmp_path, unified=request.param == "version 2")
    yield found
    found.collector.close()


async def test_node_pod_and_container_are_read_in_their_groups(machine: _Machine) -> None:
    """Of both versions of control groups."""
    stats = await machine.collector.collect()
    assert stats.node_name == "site-a"
    assert stats.use.cpu is not None
    assert stats.use.cpu.usage_core_ns == 90_000_000
    assert stats.use.memory is not None
    assert stats.use.memory.working_set_bytes == 4096
    (found,) = stats.pods
    assert found.group == _POD_GROUP
    (container,) = found.containers
    assert container.use.memory is not None
    assert container.use.memory.working_set_bytes == 4096
    assert container.use.memory.available_bytes == 10000 - 4096
    assert found.use.memory is not None
    assert found.use.memory.available_bytes is None
    assert [each.name for each in stats.system_containers] == ["pods"]
    # Version 1 counts no waits by group, and nothing is put in their place.
    waits = container.use.pressure
    assert (waits is not None) == machine.groups.unified
    if waits is not None:
        assert waits.io is not None
        assert (waits.io.some.avg10, waits.io.some.total_us) == (1.5, 77)


async def test_figures_stay_for_some_seconds_and_no_longer(machine: _Machine) -> None:
    """metrics-server, Prometheus and the page together cost what one of them costs."""
    first = await machine.collector.collect()
    machine.groups.put(f"{_POD_GROUP}/c1", cpu_ns=9_000_000)
    machine.now_s += 9.9
    assert await machine.collector.collect() is first
    machine.now_s += 0.1
    (found,) = (await machine.collector.collect()).pods
    assert found.containers[0].use.cpu is not None
    assert found.containers[0].use.cpu.usage_core_ns == 9_000_000


async def test_all_who_ask_at_once_get_the_same_reading(machine: _Machine) -> None:
    """One reads, the others wait for it."""
    found = await asyncio.gather(*(machine.collector.collect() for _ in range(5)))
    assert all(each is found[0] for each in found)


async def test_a_group_that_vanished_is_left_out(machine: _Machine) -> None:
    """The others are told none the less."""
    for folder in machine.groups.mount.rglob("c1"):
        shutil.rmtree(folder)
    (found,) = (await machine.collector.collect()).pods
    assert found.use.cpu is not None
    assert found.containers[0].use.cpu is None
    assert found.containers[0].use.memory is None


async def test_filesystems_are_read_when_all_is_asked_for(machine: _Machine) -> None:
    """The runtime is asked for them, which costs it 4 ms for each container: not every time."""
    stats = await machine.collector.collect_all()
    assert stats.filesystem is not None
    assert stats.tasks is not None
    assert stats.network is not None
    assert stats.pods[0].ephemeral_storage is not None
    machine.now_s += 29
    await machine.collector.collect_all()
    assert machine.runtime.asked == 1
    machine.now_s += 1
    await machine.collector.collect_all()
    assert machine.runtime.asked == 2


async def test_mounted_volumes_are_told_beside_the_pods_own(machine: _Machine) -> None:
    """They need nothing of the runtime, and are asked as seldom as what lies on disks."""
    volumes = machine.settings.pods_dir / pod("a").uid / "volumes"
    (volumes / "kubernetes.io~nfs/share").mkdir(parents=True)
    (volumes / "kubernetes.io~empty-dir/cache").mkdir(parents=True)
    (found,) = (await machine.collector.collect_all()).pods
    assert [each.name for each in found.volumes] == ["cache", "share"]
    machine.runtime.is_away = True
    (volumes / "kubernetes.io~nfs/more").mkdir()
    assert [each.name for each in (await machine.collector.collect_volumes())[found.uid]] == [
        "share"
    ]
    machine.now_s += 30
    assert [each.name for each in (await machine.collector.collect_volumes())[found.uid]] == [
        "more",
        "share",
    ]


async def test_a_runtime_that_is_away_keeps_only_its_own_figures(machine: _Machine) -> None:
    """metrics-server needs nothing of it."""
    machine.runtime.is_away = True
    with pytest.raises(StatsError, match="the runtime does not tell of its filesystems"):
        await machine.collector.collect_all()
    assert (await machine.collector.collect()).pods
