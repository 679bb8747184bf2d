"""Lives of pods with init, sidecar and ephemeral containers, hooks and deadlines."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from edge_runtime.objects.pod import PodUID
from edge_runtime.objects.pod_failure import PodFailure
from edge_runtime.pods.pod_work import WorkState
from tests.fakes.edge_pods import deleted, edge_pods, is_running, pod_json, running_ids, until
from tests.fakes.fake_cri import FakeCri

if TYPE_CHECKING:
    from pathlib import Path

    from edge_runtime.objects.container import Json

UID = PodUID("u")


def _container(name: str, **fields: object) -> Json:
    return {"name": name, "image": "busybox:1", "imagePullPolicy": "Never", **fields}


def _started(fake: FakeCri) -> list[str]:
    return [each.config.metadata.name for each in fake.called("CreateContainer")]


async def test_init_containers_run_in_order_before_the_rest(tmp_path: Path) -> None:
    """One at a time; the sidecar goes on; the pod is Pending until then."""
    inits = [_container("a"), _container("s", restartPolicy="Always"), _container("b")]
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        await edge.put(pod_json(initContainers=inits))
        await until(lambda: len(running_ids(fake)) == 1)
        assert _started(fake) == ["a"]
        assert (await edge.status("u", lambda _: True))["phase"] == "Pending"
        fake.exit_container(fake.container_named("a"), 0)
        await until(lambda: _started(fake) == ["a", "s", "b"] and len(running_ids(fake)) == 2)
        fake.exit_container(fake.container_named("b"), 0)
        await edge.status("u", is_running)
        assert _started(fake) == ["a", "s", "b", "c"]
        assert len(running_ids(fake)) == 2


async def test_sidecar_ends_with_the_pod_it_served(tmp_path: Path) -> None:
    """A Job with a sidecar completes."""
    pod = pod_json(restartPolicy="Never", initContainers=[_container("s", restartPolicy="Always")])
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        await edge.put(pod)
        await edge.status("u", is_running)
        fake.exit_container(fake.container_named("c"), 0)
        await edge.status("u", lambda each: each["phase"] == "Succeeded")
        assert running_ids(fake) == []


async def test_ephemeral_container_is_started_in_a_running_pod(tmp_path: Path) -> None:
    """It sees its target's processes, and is not started again when it ends."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        await edge.put(pod_json())
        await edge.status("u", is_running)
        target = fake.container_named("c")
        debugged = pod_json(ephemeralContainers=[_container("e", targetContainerName="c")])
        await edge.put(debugged, revision="r2")
        await until(lambda: len(running_ids(fake)) == 2)
        options = fake.containers[fake.container_named("e")].config.linux.security_context
        assert options.namespace_options.target_id == target
        fake.exit_container(fake.container_named("e"), 1)
        edge.workers.wake(UID)
        await asyncio.sleep(0.2)
        assert _started(fake) == ["c", "e"]


async def test_pod_past_its_deadline_fails(tmp_path: Path) -> None:
    """With the kubelet's reason, once its containers ended."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        await edge.put(pod_json(activeDeadlineSeconds=1))
        status = await edge.status("u", lambda each: each["phase"] == "Failed")
        assert status["reason"] == "DeadlineExceeded"
        message = "Pod was active on the node longer than the specified deadline"
        assert status["message"] == message
        assert running_ids(fake) == []


async def test_failed_pod_stays_so_over_a_restart_while_it_is_stopped(tmp_path: Path) -> None:
    """Its reason is on disk before its containers are stopped."""
    failure = PodFailure(reason="Evicted", message="low on memory", grace_period_s=1)
    async with FakeCri(tmp_path) as fake:
        fake.add_image("busybox:1")
        async with edge_pods(tmp_path, fake) as edge:
            await edge.put(pod_json())
            await edge.status("u", is_running)
            released = fake.hold("StopContainer")
            assert edge.workers.fail(UID, failure)
            await until(lambda: bool(fake.called("StopContainer")))
            body = edge.statuses.body(UID)
            assert body is not None
            assert body.status["phase"] == "Running"
        released.set()
        async with edge_pods(tmp_path, fake) as edge:
            status = await edge.status("u", lambda each: each["phase"] == "Failed")
            assert (status["reason"], status["message"]) == ("Evicted", "low on memory")
            await until(lambda: edge.workers.state(UID) is WorkState.TERMINATED)
            assert not edge.workers.fail(UID, failure)
        assert len(fake.called("CreateContainer")) == 1


async def test_sandbox_that_hangs_is_given_up_when_the_pod_is_deleted(tmp_path: Path) -> None:
    """The pod is gone at once, and nothing is started for it."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        released = fake.hold("RunPodSandbox")
        await edge.put(pod_json())
        await until(lambda: bool(fake.called("RunPodSandbox")))
        await edge.put(deleted(pod_json()), revision="r2")
        await edge.gone("u")
        released.set()
        assert not fake.called("CreateContainer")
