"""Starts of containers: the calls, the events, and what is shown of one that fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc

from edge_runtime.objects.pod import PodUID
from tests.fakes.edge_pods import (
    edge_pods,
    is_running,
    pod_json,
    until,
)
from tests.fakes.fake_cri import FakeCri

if TYPE_CHECKING:
    from pathlib import Path

    from edge_runtime.objects.container import Json

UID = PodUID("u")


def _waiting(status: Json) -> Json:
    waiting: Json = status["containerStatuses"][0]["state"].get("waiting") or {}
    return waiting


async def test_start_makes_no_needless_call(tmp_path: Path) -> None:
    """The bare sequence of CRI calls; however slow it is, no relist comes that would ask more."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake, relist_period_s=60.0) as edge:
        fake.add_image("busybox:1")
        await edge.first_relist()
        fake.calls.clear()
        await edge.put(pod_json())
        await edge.status("u", is_running)
        asked = [name for name, _ in fake.calls if not name.startswith("List")]
    assert sorted(asked) == sorted(
        [
            "RunPodSandbox",
            "ImageStatus",
            "PodSandboxStatus",
            "CreateContainer",
            "StartContainer",
            "ContainerStatus",
        ]
    )


async def test_events_of_a_start(tmp_path: Path) -> None:
    """In the kubelet's words."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        await edge.put(pod_json())
        await edge.status("u", is_running)
        await until(lambda: len(edge.recorder.pending()) == 3)
        reasons = [each.reason for each in edge.recorder.pending()]
    assert reasons == ["Pulled", "Created", "Started"]


async def test_container_that_cannot_start_is_shown_and_retried(tmp_path: Path) -> None:
    """With what the runtime said; the next try is no restart."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        fake.fail("CreateContainer", grpc.StatusCode.UNKNOWN, "no space")
        await edge.put(pod_json())
        status = await edge.status(
            "u", lambda each: _waiting(each).get("reason") == "CreateContainerError"
        )
        assert _waiting(status)["message"] == "no space"
        edge.workers.wake(UID)
        status = await edge.status("u", is_running)
        assert status["containerStatuses"][0]["restartCount"] == 0
