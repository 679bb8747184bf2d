"""Control groups, on folders that look like the kernel's."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from edge_runtime.machine.cgroup_files import cpu_weight, is_unified
from edge_runtime.machine.cgroups import CgroupError, PodCgroups, read_machine_resources
from edge_runtime.machine.machine_info import MachineInfo
from edge_runtime.objects.cgroup_names import CgroupDriver
from edge_runtime.runtime.cri_resources import PodCgroupLimits

PARENT = "/kubepods/burstable/podu"
LIMITS = PodCgroupLimits(
    cpu_shares=102,
    cpu_quota_us=50_000,
    memory_bytes=64 << 20,
    hugepages=(("2MB", 4 << 20),),
    pids=100,
)
MACHINE = MachineInfo(
    cpus=1,
    memory_bytes=1 << 30,
    swap_bytes=0,
    hugepages=((2 << 20, 0),),
    storage_bytes=1,
    machine_id="",
    system_uuid="",
    boot_id="",
    kernel_version="",
    os_image="",
    architecture="",
)


@pytest.fixture
def v1(tmp_path: Path) -> Path:
    """A mount of version 1 with a linked controller."""
    mount = tmp_path / "cgroup"
    for controller in ("cpu,cpuacct", "memory", "pids", "hugetlb"):
        (mount / controller).mkdir(parents=True)
    (mount / "cpu").symlink_to("cpu,cpuacct")
    return mount


@pytest.fixture
def v2(tmp_path: Path) -> Path:
    """A mount of version 2 whose groups on the way to the pod are there."""
    mount = tmp_path / "cgroup"
    for group in (mount, *(mount / "/".join(PARENT.split("/")[1:n]) for n in (2, 3, 4))):
        group.mkdir()
        (group / "cgroup.controllers").write_text("cpu io memory pids rdma\n")
        (group / "cgroup.subtree_control").write_text("pids\n")
    return mount


def remaining(mount: Path) -> list[Path]:
    """What is left of the pod."""
    return list(mount.rglob("podu"))


async def test_version_1(v1: Path) -> None:
    """Limits are written to the controller that has them; removing empties every tree."""
    groups = PodCgroups(driver=CgroupDriver.CGROUPFS, mount=v1)
    await groups.ensure(PARENT, LIMITS)
    pod = v1 / "cpu" / PARENT[1:]
    assert (pod / "cpu.shares").read_text() == "102"
    assert (pod / "cpu.cfs_quota_us").read_text() == "50000"
    memory = v1 / "memory" / PARENT[1:]
    assert (memory / "memory.limit_in_bytes").read_text() == str(64 << 20)
    assert (v1 / "pids" / PARENT[1:] / "pids.max").read_text() == "100"
    pages = v1 / "hugetlb" / PARENT[1:] / "hugetlb.2MB.limit_in_bytes"
    assert pages.read_text() == str(4 << 20)
    await groups.ensure(PARENT, PodCgroupLimits(cpu_shares=2))
    assert (memory / "memory.limit_in_bytes").read_text() == "-1"
    assert (pod / "cpu.cfs_quota_us").read_text() == "-1"
    assert (v1 / "pids" / PARENT[1:] / "pids.max").read_text() == "max"


@pytest.mark.parametrize("missing", ["memory", "pids", "hugetlb"])
async def test_a_kernel_without_a_controller(v1: Path, missing: str) -> None:
    """Small boards run pods all the same, unless they must be limited by it."""
    (v1 / missing).rmdir()
    groups = PodCgroups(driver=CgroupDriver.CGROUPFS, mount=v1)
    await groups.ensure(PARENT, PodCgroupLimits(cpu_shares=2))
    if missing == "hugetlb":
        # Nobody has large pages without it.
        await groups.ensure(PARENT, LIMITS)
        return
    with pytest.raises(CgroupError, match=missing):
        await groups.ensure(PARENT, LIMITS)


async def test_a_class_has_but_a_weight(v1: Path) -> None:
    """Other controllers are left as they are."""
    groups = PodCgroups(driver=CgroupDriver.CGROUPFS, mount=v1)
    await groups.ensure_weight("/kubepods/burstable", 300)
    assert (v1 / "cpu/kubepods/burstable/cpu.shares").read_text() == "300"
    assert not (v1 / "memory/kubepods").exists()


async def test_a_class_of_version_2(v2: Path) -> None:
    """Its parents hand the controllers down."""
    groups = PodCgroups(driver=CgroupDriver.CGROUPFS, mount=v2)
    await groups.ensure_weight("/kubepods/burstable", 1024)
    assert (v2 / "kubepods/burstable/cpu.weight").read_text() == "39"
    assert (v2 / "kubepods/cgroup.subtree_control").read_text() == "+cpu +io +memory"


async def test_whoever_watches_is_told(v1: Path) -> None:
    """Classes weigh what their pods ask for together."""
    told: list[None] = []
    groups = PodCgroups(driver=CgroupDriver.CGROUPFS, mount=v1)
    groups.on_change(lambda: told.append(None))
    await groups.ensure_weight("/kubepods/burstable", 2)
    assert told == []
    await groups.ensure(PARENT, LIMITS)
    assert len(told) == 1
    await groups.remove("/kubepods/burstable/another")
    assert len(told) == 2


async def test_removing(v1: Path) -> None:
    """Groups of containers go with it; a pod without groups is no error."""
    for controller in ("cpu", "memory", "pids", "hugetlb"):
        (v1 / controller / PARENT[1:] / "container/inner").mkdir(parents=True)
    groups = PodCgroups(driver=CgroupDriver.CGROUPFS, mount=v1)
    await groups.remove(PARENT)
    assert remaining(v1) == []
    assert (v1 / "memory/kubepods/burstable").is_dir()
    await groups.remove(PARENT)


async def test_a_group_in_use_is_an_error(v1: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that still runs is not forgotten."""
    (v1 / "memory" / PARENT[1:]).mkdir(parents=True)

    def busy(path: Path) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy", str(path))

    monkeypatch.setattr(Path, "rmdir", busy)
    groups = PodCgroups(driver=CgroupDriver.CGROUPFS, mount=v1)
    with pytest.raises(CgroupError, match="a process still runs in it"):
        await groups.remove(PARENT)


async def test_version_2(v2: Path) -> None:
    """Controllers are handed down on the way, then the limits are set."""
    await PodCgroups(driver=CgroupDriver.CGROUPFS, mount=v2).ensure(PARENT, LIMITS)
    assert (v2 / "cgroup.subtree_control").read_text() == "+cpu +io +memory"
    pod = v2 / PARENT[1:]
    assert (pod / "cgroup.subtree_control").read_text() == "+cpu +io +memory"
    assert (pod / "cpu.weight").read_text() == "4"
    assert (pod / "cpu.max").read_text() == "50000 100000"
    assert (pod / "memory.max").read_text() == str(64 << 20)
    assert (pod / "pids.max").read_text() == "100"
    assert (pod / "hugetlb.2MB.max").read_text() == str(4 << 20)
    await PodCgroups(driver=CgroupDriver.CGROUPFS, mount=v2).ensure(
        PARENT, PodCgroupLimits(cpu_shares=2)
    )
    assert (pod / "cpu.max").read_text() == "max 100000"
    assert (pod / "memory.max").read_text() == "max"
    assert (pod / "pids.max").read_text() == "max"


async def test_a_refusal_names_the_group(tmp_path: Path) -> None:
    """A folder that is none."""
    (tmp_path / "cpu").write_text("")
    with pytest.raises(CgroupError, match="kubepods"):
        await PodCgroups(driver=CgroupDriver.CGROUPFS, mount=tmp_path).ensure(PARENT, LIMITS)


async def test_slices_may_be_left_to_the_runtime(tmp_path: Path) -> None:
    """Without anybody who asks systemd nothing is made or removed."""
    groups = PodCgroups(driver=CgroupDriver.SYSTEMD, mount=tmp_path / "none")
    await groups.ensure(PARENT, LIMITS)
    await groups.remove(PARENT)


def test_weights() -> None:
    """Both ends of the scale, as runc converts them."""
    assert (cpu_weight(2), cpu_weight(1024), cpu_weight(262_144)) == (1, 39, 10_000)


def test_what_the_kernel_can_do(v1: Path, tmp_path: Path) -> None:
    """Version, swap, page sizes, paths to hide."""
    throttle = tmp_path / "sys/devices/system/cpu/cpu0/thermal_throttle"
    throttle.mkdir(parents=True)
    (tmp_path / "sys/devices/system/cpu/cpufreq/thermal_throttle").mkdir(parents=True)
    found = read_machine_resources(MACHINE, mount=v1, root=tmp_path)
    assert (found.cgroup_v2, found.swap_controller) == (False, False)
    assert found.hugepage_sizes == ("2MB",)
    assert found.extra_masked_paths == ("/sys/devices/system/cpu/cpu0/thermal_throttle",)
    (v1 / "memory/memory.memsw.limit_in_bytes").write_text("1")
    assert read_machine_resources(MACHINE, mount=v1, root=tmp_path).swap_controller


def test_swap_of_version_2_shows_in_our_own_group(v2: Path, tmp_path: Path) -> None:
    """The root group has no limits."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/kubepods\n")
    assert is_unified(v2)
    assert not read_machine_resources(MACHINE, mount=v2, root=tmp_path).swap_controller
    (v2 / "kubepods/memory.swap.max").write_text("max")
    assert read_machine_resources(MACHINE, mount=v2, root=tmp_path).swap_controller
