"""Weights of the classes of pods."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from edge_runtime.machine import qos_cgroups
from edge_runtime.machine.cgroups import PodCgroups
from edge_runtime.machine.qos_cgroups import QosCgroups
from edge_runtime.objects.cgroup_names import CgroupDriver
from edge_runtime.objects.pod import Pod
from edge_runtime.runtime.cri_resources import PodCgroupLimits

if TYPE_CHECKING:
    from pathlib import Path


def pod(cpu: str, *, limits: dict[str, str] | None = None) -> Pod:
    """A pod that asks for processor time."""
    resources = {"requests": {"cpu": cpu} if cpu else {}, "limits": limits or {}}
    containers = [{"name": "c", "resources": resources}]
    return Pod({"metadata": {"name": "p", "uid": "u"}, "spec": {"containers": containers}})


@pytest.fixture
def mount(tmp_path: Path) -> Path:
    """A mount of version 1."""
    for controller in ("cpu", "memory", "pids"):
        (tmp_path / controller).mkdir()
    return tmp_path


def weights(mount: Path) -> list[str]:
    """Of all pods, of Burstable and of BestEffort ones."""
    root = mount / "cpu/site/kubepods"
    return [(root / group / "cpu.shares").read_text() for group in (".", "burstable", "besteffort")]


async def test_weights(mount: Path) -> None:
    """Guaranteed pods have their own; Burstable ones weigh their sum, BestEffort ones least."""
    pods = [pod("500m"), pod("1"), pod(""), pod("1", limits={"cpu": "1", "memory": "1Gi"})]
    groups = PodCgroups(driver=CgroupDriver.CGROUPFS, mount=mount)
    classes = QosCgroups(
        groups, root="/site", driver=CgroupDriver.CGROUPFS, cpus=4, pods=lambda: pods
    )
    await classes.update()
    # The last one's request is not its memory limit: Burstable.
    assert weights(mount) == ["4096", "2560", "2"]
    pods[:] = [pod("nonsense"), pod("2", limits={"cpu": "2"})]
    await classes.update()
    assert weights(mount) == ["4096", "2048", "2"]


@pytest.mark.looptime
async def test_they_follow_the_pods(mount: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once when a pod's group is made, and each minute against whoever changes them."""
    monkeypatch.setattr(asyncio, "to_thread", _at_once)
    pods = [pod("1")]
    groups = PodCgroups(driver=CgroupDriver.CGROUPFS, mount=mount)
    classes = QosCgroups(
        groups, root="/site", driver=CgroupDriver.CGROUPFS, cpus=1, pods=lambda: pods
    )
    async with asyncio.TaskGroup() as group:
        running = group.create_task(classes.run())
        await asyncio.sleep(1)
        assert weights(mount) == ["1024", "1024", "2"]
        pods.append(pod("1"))
        await groups.ensure("/site/kubepods/burstable/podu", PodCgroupLimits(cpu_shares=2))
        await asyncio.sleep(1)
        assert weights(mount) == ["1024", "2048", "2"]
        (mount / "cpu/site/kubepods/burstable/cpu.shares").write_text("7")
        await asyncio.sleep(qos_cgroups.UPDATE_PERIOD_S)
        assert weights(mount) == ["1024", "2048", "2"]
        running.cancel()


@pytest.mark.looptime
async def test_a_refusal_is_said_once_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The edge goes on."""
    monkeypatch.setattr(asyncio, "to_thread", _at_once)
    groups = PodCgroups(driver=CgroupDriver.CGROUPFS, mount=tmp_path)
    classes = QosCgroups(groups, root="/", driver=CgroupDriver.CGROUPFS, cpus=1, pods=list)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(classes.run())
        await asyncio.sleep(3 * qos_cgroups.UPDATE_PERIOD_S + 1)
        assert len(caplog.records) == 1
        (tmp_path / "cpu").mkdir()
        await asyncio.sleep(qos_cgroups.UPDATE_PERIOD_S)
        assert (tmp_path / "cpu/kubepods/besteffort/cpu.shares").read_text() == "2"
        running.cancel()


async def _at_once(function: object, *arguments: object) -> object:
    """Call in place: virtual time does not wait for threads."""
    assert callable(function)
    return function(*arguments)
