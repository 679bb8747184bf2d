"""NodeReporter against a runtime that speaks CRI."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

import psutil

from cri_protos import api_pb2 as pb
from edge_runtime.machine.node_reporter import NodeReporter, node_images
from edge_runtime.objects.runtime_info import RuntimeImage
from edge_runtime.runtime.cri_client import CriClient
from tests.fakes.fake_cri import FakeCri

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import pytest


class Clock:
    """Monotonic time as the test says."""

    now = 1000.0
    relist_problem: str | None = None

    def __call__(self) -> float:
        """Return it."""
        return self.now


@asynccontextmanager
async def machine(folder: Path) -> AsyncIterator[tuple[FakeCri, NodeReporter, Clock]]:
    """This machine with a fake runtime."""
    clock = Clock()
    async with FakeCri(folder) as fake, CriClient(fake.endpoint) as cri:
        yield (
            fake,
            NodeReporter(
                cri,
                root_dir=str(folder / "edgelet"),
                max_pods=50,
                kubelet_version="v1.36.3",
                host_ips=lambda: ("192.0.2.7",),
                relist_problem=lambda: clock.relist_problem,
                report_period_s=0.001,
                monotonic=clock,
            ),
            clock,
        )


def ready(conditions: list[dict[str, Any]]) -> tuple[str, str]:
    """Status and message of Ready."""
    assert conditions[-1]["type"] == "Ready"
    return conditions[-1]["status"], conditions[-1]["message"]


async def test_a_report(tmp_path: Path) -> None:
    """Machine and runtime in one value."""
    async with machine(tmp_path) as (fake, reporter, _):
        fake.add_image("busybox:latest", size=7)
        fake.runtime_handlers = [
            pb.RuntimeHandler(name="runc"),
            pb.RuntimeHandler(
                name="", features=pb.RuntimeHandlerFeatures(recursive_read_only_mounts=True)
            ),
        ]
        report = await reporter.report()
    assert report.capacity["cpu"] == str(psutil.cpu_count())
    assert report.capacity["pods"] == report.allocatable["pods"] == "50"
    assert report.node_info["containerRuntimeVersion"] == "containerd://1.6.20"
    assert report.node_info["kubeletVersion"] == "v1.36.3"
    assert report.node_info["bootID"]
    assert report.images == [{"names": ["busybox:latest"], "sizeBytes": 7}]
    assert [handler["name"] for handler in report.runtime_handlers] == ["", "runc"]
    assert report.runtime_handlers[0]["features"]["recursiveReadOnlyMounts"]
    assert report.features == {}
    assert report.declared_features == ["RestartAllContainersOnContainerExits"]
    assert report.host_addresses == ["192.0.2.7"]
    assert ready(report.conditions) == ("True", "kubelet is posting ready status")


async def test_a_network_that_is_not_ready(tmp_path: Path) -> None:
    """The node says why, in the kubelet's words."""
    async with machine(tmp_path) as (fake, reporter, _):
        fake.conditions["NetworkReady"] = pb.RuntimeCondition(
            type="NetworkReady",
            reason="NetworkPluginNotReady",
            message="cni plugin not initialized",
        )
        report = await reporter.report()
    assert ready(report.conditions) == (
        "False",
        "container runtime network not ready: NetworkReady=false "
        "reason:NetworkPluginNotReady message:cni plugin not initialized",
    )


async def test_a_runtime_that_goes_away(tmp_path: Path) -> None:
    """Half a minute is a restart; then the node is not ready, and what was known stays."""
    async with machine(tmp_path) as (fake, reporter, clock):
        before = await reporter.report()
        await fake.stop()
        clock.now += 29
        assert ready((await reporter.report()).conditions)[0] == "True"
        clock.now += 1
        after = await reporter.report()
    assert ready(after.conditions) == ("False", "container runtime is down")
    assert after.node_info == before.node_info


async def test_a_runtime_that_never_came(tmp_path: Path) -> None:
    """The node is there, and not ready."""
    async with machine(tmp_path) as (fake, reporter, _):
        await fake.stop()
        report = await reporter.report()
    assert ready(report.conditions) == (
        "False",
        "container runtime status check may not have completed yet",
    )
    assert report.node_info["containerRuntimeVersion"] == ""


async def test_a_runtime_that_hangs_keeps_no_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sync stream waits for the first one."""
    monkeypatch.setattr("edge_runtime.machine.node_reporter.RUNTIME_TIMEOUT_S", 0.05)
    async with machine(tmp_path) as (fake, reporter, _):
        released = fake.hold("Status")
        async with asyncio.timeout(5):
            report = await reporter.report()
        released.set()
    assert ready(report.conditions)[0] == "False"


async def test_a_runtime_that_can_no_more_be_looked_at(tmp_path: Path) -> None:
    """It says that it is ready, and yet nobody knows what it has."""
    async with machine(tmp_path) as (_, reporter, clock):
        clock.relist_problem = "PLEG is not healthy: x"
        report = await reporter.report()
    assert ready(report.conditions) == ("False", "PLEG is not healthy: x")


async def test_only_changes_are_told(tmp_path: Path) -> None:
    """The first report at once, then one for each difference."""
    async with (
        machine(tmp_path) as (fake, reporter, _),
        aclosing(reporter.changes()) as changes,
        asyncio.TaskGroup() as group,
    ):
        assert (await anext(changes)).images == []
        second = group.create_task(anext(changes))
        await fake.reached("Status", 4)
        assert not second.done()
        fake.add_image("new:1")
        assert [image["names"] for image in (await second).images] == [["new:1"]]


def test_the_largest_images_come_first() -> None:
    """At most fifty, with at most five names each."""
    images = [
        RuntimeImage(
            id=str(number),
            size_bytes=number,
            repo_tags=tuple(f"t{tag}" for tag in range(9)),
            repo_digests=("d",),
        )
        for number in range(60)
    ]
    found = node_images(images)
    assert [each["sizeBytes"] for each in found] == list(range(59, 9, -1))
    assert found[0]["names"] == ["d", "t0", "t1", "t2", "t3"]
