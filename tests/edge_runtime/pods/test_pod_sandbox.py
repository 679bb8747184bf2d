"""A pod's cgroup is there, with its limits, before its sandbox."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING

import pytest

from edge_runtime.machine.cgroups import PodCgroups
from edge_runtime.objects.cgroup_names import CgroupDriver
from edge_runtime.objects.pod import Pod
from edge_runtime.pods.pod_events import PodEvents
from edge_runtime.pods.pod_sandbox import SandboxFailed, SandboxMaker
from edge_runtime.pods.sandbox_isolation import SandboxIsolation
from edge_runtime.pods.user_namespaces import UserNamespaces
from edge_runtime.runtime.cri_client import CriClient
from tests.fakes.edge_pods import EdgePods, pod_json
from tests.fakes.fake_cri import FakeCri

if TYPE_CHECKING:
    from pathlib import Path

CONTAINER = {
    "name": "c",
    "image": "busybox:1",
    "resources": {
        "requests": {"cpu": "250m", "memory": "16Mi"},
        "limits": {"cpu": "500m", "memory": "32Mi"},
    },
}
POD = Pod(pod_json(containers=[CONTAINER]))


def maker(edge: EdgePods, client: CriClient, mount: Path) -> SandboxMaker:
    """Make sandboxes whose cgroups are below a folder that looks like the kernel's."""
    settings = dataclasses.replace(
        edge.settings,
        cgroup_root="/site",
        cgroups=PodCgroups(driver=CgroupDriver.CGROUPFS, mount=mount),
    )
    events = PodEvents(edge.recorder)
    users = UserNamespaces(pods_dir=settings.pods_dir, max_pods=1)
    isolation = SandboxIsolation(objects=edge.parts.stores.objects, runtime=client, users=users)
    return SandboxMaker(
        client, cache=edge.cache, events=events, isolation=isolation, settings=settings
    )


async def test_cgroup_has_the_pods_limits_before_the_sandbox_is_made(tmp_path: Path) -> None:
    """Or the containers of one pod could together take what none of them may alone."""
    mount = tmp_path / "cgroup"
    for controller in ("cpu", "memory"):
        (mount / controller).mkdir(parents=True)
    group = "site/kubepods/burstable/podu"
    found: list[str] = []

    async def look() -> None:
        found.append((mount / "cpu" / group / "cpu.shares").read_text())
        found.append((mount / "cpu" / group / "cpu.cfs_quota_us").read_text())
        found.append((mount / "memory" / group / "memory.limit_in_bytes").read_text())

    async with (
        FakeCri(tmp_path) as fake,
        CriClient(fake.endpoint) as client,
        EdgePods(tmp_path, client).running() as edge,
    ):
        fake.before["RunPodSandbox"] = look
        sandboxes = maker(edge, client, mount)
        config = await sandboxes.config(POD, attempt=0)
        sandbox_id = await sandboxes.make(POD, config)
        made = edge.cache.get(POD.uid).sandbox

    assert made is not None
    assert made.id == sandbox_id
    assert config.cgroup_parent == f"/{group}"
    assert found == ["256", "50000", str(32 << 20)]


async def test_cgroup_that_cannot_be_made_is_told_and_tried_again(tmp_path: Path) -> None:
    """No sandbox is made outside its limits."""
    mount = tmp_path / "cgroup"
    mount.mkdir()
    (mount / "cpu").write_text("")
    async with (
        FakeCri(tmp_path) as fake,
        CriClient(fake.endpoint) as client,
        EdgePods(tmp_path, client).running() as edge,
    ):
        sandboxes = maker(edge, client, mount)
        changes = edge.recorder.changed()
        with pytest.raises(SandboxFailed):
            await sandboxes.make(POD, await sandboxes.config(POD, attempt=0))
        event = await anext(changes)

    assert fake.called("RunPodSandbox") == []
    assert event.reason == "FailedCreatePodContainer"
    assert event.message.startswith("unable to ensure pod container exists: cgroup /site/kubepods")


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"hostUsers": False}, "can't set `spec.hostUsers: false`, runtime does not support"),
        (
            {"securityContext": {"supplementalGroupsPolicy": "Newer"}},
            "unsupported supplementalGroupsPolicy: Newer",
        ),
        ({"overhead": {"cpu": "much"}}, "'much' is not a resource quantity"),
    ],
)
async def test_what_cannot_be_separated_as_it_asks_gets_no_sandbox(
    tmp_path: Path, spec: dict[str, object], text: str
) -> None:
    """A kubelet's event says why; its worker tries again."""
    async with (
        FakeCri(tmp_path) as fake,
        CriClient(fake.endpoint) as client,
        EdgePods(tmp_path, client).running() as edge,
    ):
        raw = pod_json(containers=[CONTAINER])
        pod = Pod({**raw, "spec": {**raw["spec"], **spec}})
        told = edge.recorder.changed()
        with pytest.raises(SandboxFailed):
            await maker(edge, client, tmp_path).config(pod, attempt=0)
        async with asyncio.timeout(10):
            event = await anext(told)
    assert event.reason == "FailedCreatePodSandBox"
    assert text in event.message
