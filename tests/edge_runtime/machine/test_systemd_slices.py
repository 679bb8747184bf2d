"""What systemd is asked for; programs that write down what they get stand for its own.

This machine's first process need not be systemd, so what systemd does with it is not shown here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_runtime.machine.cgroups import CgroupError, PodCgroups
from edge_runtime.machine.systemd_slices import (
    INFINITY,
    Property,
    SliceError,
    SystemdSlices,
    is_systemd_running,
    limit_properties,
    slice_properties,
    weight_property,
)
from edge_runtime.objects.cgroup_names import CgroupDriver
from edge_runtime.runtime.cri_resources import PodCgroupLimits

if TYPE_CHECKING:
    from pathlib import Path

GROUP = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podu_1.slice"
NAME = "kubepods-burstable-podu_1.slice"
LIMITS = PodCgroupLimits(
    cpu_shares=1024, cpu_quota_us=12_345, memory_bytes=1 << 20, hugepages=(("2MB", 7),), pids=100
)
UNLIMITED = PodCgroupLimits(cpu_shares=2)


class Programs:
    """busctl and systemctl: both write a line for each call."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = folder / "calls"
        self._log.touch()
        self.answer("busctl")
        self.answer("systemctl")
        self.slices = SystemdSlices(
            busctl=str(folder / "busctl"), systemctl=str(folder / "systemctl")
        )

    def answer(self, program: str, *, when: str = "", error: str = "") -> None:
        """Let a program fail where its arguments contain a word."""
        script = f'#!/bin/sh\necho "{program} $*" >> {self._log}\n'
        if error:
            script += f'case "$*" in *"{when}"*) echo "{error}" >&2; exit 1;; esac\n'
        file = self._folder / program
        file.write_text(script)
        file.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        """What was called, in order."""
        return self._log.read_text().splitlines()


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    """Both programs, which agree to everything."""
    return Programs(tmp_path)


def values(properties: tuple[Property, ...]) -> dict[str, str]:
    """Names and values."""
    return {name: " ".join(value) for name, _, value in properties}


@pytest.mark.parametrize(
    ("limits", "unified", "expected"),
    [
        (
            LIMITS,
            True,
            {
                "CPUWeight": "39",
                "CPUQuotaPeriodUSec": "100000",
                # 123450 µs each second, rounded up to whole hundredths.
                "CPUQuotaPerSecUSec": "130000",
                "MemoryMax": str(1 << 20),
                "TasksMax": "100",
            },
        ),
        (
            LIMITS,
            False,
            {
                "CPUShares": "1024",
                "CPUQuotaPeriodUSec": "100000",
                "CPUQuotaPerSecUSec": "130000",
                "MemoryLimit": str(1 << 20),
                "TasksMax": "100",
            },
        ),
        (
            UNLIMITED,
            True,
            {
                "CPUWeight": "1",
                "CPUQuotaPeriodUSec": "100000",
                "CPUQuotaPerSecUSec": str(INFINITY),
                "MemoryMax": str(INFINITY),
                "TasksMax": str(INFINITY),
            },
        ),
    ],
)
def test_limits(limits: PodCgroupLimits, expected: dict[str, str], *, unified: bool) -> None:
    """In systemd's names and units."""
    found = limit_properties(limits, unified=unified)
    assert values(found) == expected
    assert {signature for _, signature, _ in found} == {"t"}


@pytest.mark.parametrize(
    ("group", "parent"),
    [(GROUP, "kubepods-burstable.slice"), ("/kubepods.slice", "-.slice")],
)
def test_a_new_slice_wants_its_parent(group: str, parent: str) -> None:
    """And counts what is used in it, on either version."""
    assert values(slice_properties(group, unified=True))["Wants"] == f"1 {parent}"
    assert "IOAccounting" in values(slice_properties(group, unified=True))
    assert "BlockIOAccounting" in values(slice_properties(group, unified=False))


async def test_a_slice_is_started(programs: Programs) -> None:
    """With all its properties at once; then it is waited for."""
    weight = (weight_property(2, unified=False),)
    await programs.slices.ensure("/kubepods.slice", weight, unified=False)
    manager = "org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager"
    assert programs.calls == [
        f"busctl --system call {manager} StartTransientUnit ssa(sv)a(sa(sv)) kubepods.slice"
        " replace 8 Description s edgelet kubepods.slice Wants as 1 -.slice"
        " DefaultDependencies b false MemoryAccounting b true CPUAccounting b true"
        " TasksAccounting b true BlockIOAccounting b true CPUShares t 2 0",
        "systemctl start kubepods.slice",
    ]


async def test_a_slice_that_is_there_is_changed(programs: Programs) -> None:
    """Only what it may use."""
    programs.answer("busctl", when="StartTransientUnit", error=f"Unit {NAME} already exists.")
    weight = (weight_property(2, unified=True),)
    await programs.slices.ensure(GROUP, weight, unified=True)
    _, change, wait = programs.calls
    assert change.endswith(f"SetUnitProperties sba(sv) {NAME} true 1 CPUWeight t 1")
    assert wait == f"systemctl start {NAME}"


async def test_what_systemd_refuses_is_told(programs: Programs, tmp_path: Path) -> None:
    """In its own words, or that it is not there."""
    programs.answer("busctl", when="Start", error="Access denied")
    with pytest.raises(SliceError, match="Access denied"):
        await programs.slices.ensure(GROUP, (), unified=True)
    nobody = SystemdSlices(busctl=str(tmp_path / "none"))
    with pytest.raises(SliceError, match="No such file"):
        await nobody.ensure(GROUP, (), unified=True)


async def test_stopping(programs: Programs) -> None:
    """A slice that systemd does not know is stopped; other refusals are told."""
    await programs.slices.stop(GROUP)
    assert programs.calls == [f"systemctl stop {NAME}"]
    programs.answer("systemctl", when="stop", error=f"Unit {NAME} not loaded.")
    await programs.slices.stop(GROUP)
    programs.answer("systemctl", when="stop", error="Connection timed out")
    with pytest.raises(SliceError, match="timed out"):
        await programs.slices.stop(GROUP)


async def test_a_pods_group_is_systemds_and_then_the_kernels(
    programs: Programs, tmp_path: Path
) -> None:
    """What systemd does not know of, large pages, is written to the kernel's files."""
    mount = tmp_path / "cgroup"
    for controller in ("cpu", "memory", "pids", "hugetlb"):
        (mount / controller).mkdir(parents=True)
    groups = PodCgroups(driver=CgroupDriver.SYSTEMD, mount=mount, slices=programs.slices)
    await groups.ensure(GROUP, LIMITS)
    assert "StartTransientUnit" in programs.calls[0]
    assert (mount / "hugetlb" / GROUP[1:] / "hugetlb.2MB.limit_in_bytes").read_text() == "7"
    await groups.ensure_weight("/kubepods.slice", 1024)
    assert (mount / "cpu/kubepods.slice/cpu.shares").read_text() == "1024"
    programs.answer("systemctl", when="stop", error="no")
    with pytest.raises(CgroupError, match="no"):
        await groups.remove(GROUP)
    programs.answer("busctl", when="call", error="no bus")
    with pytest.raises(CgroupError, match="no bus"):
        await groups.ensure(GROUP, LIMITS)


def test_whether_systemd_runs(tmp_path: Path) -> None:
    """It is installed on machines where another program is the first process."""
    (tmp_path / "run/systemd").mkdir(parents=True)
    assert not is_systemd_running(root=tmp_path)
    (tmp_path / "run/systemd/system").mkdir()
    assert is_systemd_running(root=tmp_path)
