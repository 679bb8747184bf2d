"""The end of a pod, step by step: stopped as fast as is asked for, told, cleared away."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cri_protos import api_pb2 as pb
from edge_runtime.objects.pod import PodUID
from edge_runtime.pods.pod_work import WorkState
from tests.fakes.edge_pods import (
    deleted,
    edge_pods,
    is_running,
    pod_json,
    until,
)
from tests.fakes.fake_cri import FakeCri
from tunnel.sync import PodGone

if TYPE_CHECKING:
    from pathlib import Path

    from edge_runtime.objects.container import Json

UID = PodUID("u")


def _state(status: Json) -> Json:
    state: Json = status["containerStatuses"][0]["state"]
    return state


async def test_deleted_pod_is_stopped_removed_and_gone(tmp_path: Path) -> None:
    """Terminal status first, then nothing is left, then PodGone with that status's sequence."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        await edge.put(pod_json())
        await edge.status("u", is_running)
        container = fake.containers[fake.container_named("c")]
        await edge.put(deleted(pod_json()), revision="r2")
        sequence = await edge.gone("u")
        assert container.stop_timeouts == [5]
        assert not fake.sandboxes
        assert not fake.containers
        assert not list((tmp_path / "pods").iterdir())
        assert not list((tmp_path / "containers").iterdir())
        body = edge.statuses.body(UID)
        assert body is not None
        assert (body.sequence, body.status["phase"]) == (sequence, "Failed")
        assert _state(body.status)["terminated"]["exitCode"] == 137
        assert edge.manager.revisions() == {}
        assert await edge.put(pod_json()) == PodGone(uid="u", sequence=sequence)
        await edge.manager.forget(UID)
        assert edge.manager.gone() == []
        assert edge.statuses.body(UID) is None


async def test_job_like_pod_succeeds_and_keeps_its_logs(tmp_path: Path) -> None:
    """Its sandbox stops, its container and log stay until it is deleted."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        await edge.put(pod_json(restartPolicy="Never"))
        await edge.status("u", is_running)
        fake.exit_container(fake.container_named("c"), 0)
        status = await edge.status("u", lambda each: each["phase"] == "Succeeded")
        assert status["podIP"]
        await until(lambda: edge.workers.state(UID) is WorkState.TERMINATED)
        assert [each.state for each in fake.sandboxes.values()] == [pb.SANDBOX_NOTREADY]
        assert len(fake.containers) == 1
        await edge.put(deleted(pod_json(restartPolicy="Never")), revision="r2")
        await edge.gone("u")
        body = edge.statuses.body(UID)
        assert body is not None
        assert body.status["phase"] == "Succeeded"
        assert not fake.containers


async def test_restart_during_termination_goes_on(tmp_path: Path) -> None:
    """A deletion that was acknowledged is carried out by the next process."""
    async with FakeCri(tmp_path) as fake:
        fake.add_image("busybox:1")
        released = None
        async with edge_pods(tmp_path, fake) as edge:
            await edge.put(pod_json())
            await edge.status("u", is_running)
            released = fake.hold("StopContainer")
            await edge.put(deleted(pod_json()), revision="r2")
            await until(lambda: bool(fake.called("StopContainer")))
        released.set()
        async with edge_pods(tmp_path, fake) as edge:
            assert await edge.gone("u") > 0
            assert not fake.sandboxes


async def test_shorter_grace_period_is_taken_while_stopping(tmp_path: Path) -> None:
    """`kubectl delete --now` after a slow one."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        await edge.put(pod_json())
        await edge.status("u", is_running)
        released = fake.hold("StopContainer")
        await edge.put(deleted(pod_json(), grace_period_s=30), revision="r2")
        await until(lambda: len(fake.called("StopContainer")) == 1)
        await edge.put(deleted(pod_json(), grace_period_s=3), revision="r3")
        await until(lambda: len(fake.called("StopContainer")) == 2)
        await edge.put(deleted(pod_json(), grace_period_s=60), revision="r4")
        released.set()
        await edge.gone("u")
        timeouts = [each.timeout for each in fake.called("StopContainer")]
        assert timeouts[:2] == [30, 3]
        assert max(timeouts[1:]) == 3


async def test_pod_deleted_while_its_image_is_pulled_is_gone_at_once(tmp_path: Path) -> None:
    """The pull is given up, nothing is started."""
    pulled = pod_json()
    pulled["spec"]["containers"][0]["imagePullPolicy"] = "Always"
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.hold("PullImage")
        await edge.put(pulled)
        await until(lambda: bool(fake.called("PullImage")))
        await edge.put(deleted(pulled), revision="r2")
        await edge.gone("u")
        assert not fake.called("CreateContainer")
        fake.before.clear()


async def test_pod_deleted_while_a_changed_container_is_stopped_takes_the_shorter_grace(
    tmp_path: Path,
) -> None:
    """The stop for the new image may take an hour; nobody waits for it who deletes the pod."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        pod = pod_json(terminationGracePeriodSeconds=3600)
        await edge.put(pod)
        await edge.status("u", is_running)
        released = fake.hold("StopContainer")
        changed = pod_json(
            containers=[{"name": "c", "image": "busybox:2", "imagePullPolicy": "Never"}],
            terminationGracePeriodSeconds=3600,
        )
        await edge.put(changed, revision="r2")
        async with asyncio.timeout(10):
            await fake.reached("StopContainer", 1)
        await edge.put(deleted(changed, grace_period_s=3), revision="r3")
        async with asyncio.timeout(10):
            await fake.reached("StopContainer", 2)
        assert [each.timeout for each in fake.called("StopContainer")] == [3600, 3]
        released.set()
        await edge.gone("u")
