"""CriClient against a server that speaks the real protocol."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import pytest

from cri_protos import api_pb2 as pb
from edge_runtime.objects.container import Container, ContainerID
from edge_runtime.objects.pod import Pod, PodUID, SandboxID
from edge_runtime.objects.runtime_config import ContainerConfig, ResolvedImage, SandboxConfig
from edge_runtime.objects.runtime_status import (
    ContainerState,
    RuntimeEventType,
    SandboxState,
)
from edge_runtime.runtime.cri_client import CriClient
from edge_runtime.runtime.cri_config import container_config, sandbox_config
from edge_runtime.runtime.cri_resources import MachineResources
from edge_runtime.runtime.errors import (
    DeadlineExceeded,
    NotFound,
    Unavailable,
    Unimplemented,
    UnknownFailure,
)
from tests.fakes.fake_cri import FakeCri

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

MACHINE = MachineResources(memory_bytes=4 << 30, cgroup_v2=True)
POD = Pod(
    {
        "metadata": {"name": "web", "namespace": "shop", "uid": "u-1", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": "busybox", "args": ["x"]}]},
    }
)
UID = PodUID("u-1")


@asynccontextmanager
async def runtime(folder: Path) -> AsyncIterator[tuple[FakeCri, CriClient]]:
    """A runtime with one image, and its client.

    No fixture: gRPC's server has tasks of its own, which must end before the test does.
    """
    async with FakeCri(folder, has_events=True) as fake, CriClient(fake.endpoint) as cri:
        fake.add_image("busybox", uid=pb.Int64Value(value=7))
        yield fake, cri


def sandbox(tmp_path: Path, *, attempt: int = 0) -> SandboxConfig:
    """The sandbox of POD."""
    return sandbox_config(
        POD,
        attempt=attempt,
        pod_logs_dir=str(tmp_path / "pods"),
        cgroup_parent="/kubepods/besteffort/podu-1",
        machine=MACHINE,
    )


def container(*, restart_count: int = 0) -> ContainerConfig:
    """The container of POD."""
    return container_config(
        POD,
        Container(POD.raw["spec"]["containers"][0]),
        restart_count=restart_count,
        image=ResolvedImage(ref="busybox"),
        env={"A": "1"},
        machine=MACHINE,
    )


async def test_a_pod_from_its_start_to_its_end(tmp_path: Path) -> None:
    """Sandbox and container run, end, are described on the way, and are gone at the end."""
    async with runtime(tmp_path) as (fake, cri):
        config = sandbox(tmp_path)
        sandbox_id = await cri.run_pod_sandbox(config)
        container_id = await cri.create_container(sandbox_id, container(), config)
        await cri.start_container(container_id)

        running = await cri.pod_status(UID)
        assert running.sandbox is not None
        assert running.sandbox.state is SandboxState.READY
        assert running.ips == running.sandbox.ips != ()
        assert [each.state for each in running.containers] == [ContainerState.RUNNING]
        assert running.containers[0].sandbox_id == sandbox_id
        assert running.name == "web"
        assert running.namespace == "shop"

        fake.exit_container(container_id, 3)
        ended = (await cri.pod_status(UID)).latest("c")
        assert ended is not None
        assert (ended.state, ended.exit_code, ended.reason) == (ContainerState.EXITED, 3, "Error")
        assert ended.finished_at_ns >= ended.started_at_ns > 0

        await cri.stop_pod_sandbox(sandbox_id)
        assert (await cri.pod_status(UID)).ips == ()
        await cri.remove_container(container_id)
        await cri.remove_pod_sandbox(sandbox_id)
        assert (await cri.pod_status(UID)).is_empty


async def test_pod_status_is_newest_first(tmp_path: Path) -> None:
    """The first sandbox and the first container of a name are those of the last attempt."""
    async with runtime(tmp_path) as (fake, cri):
        first = sandbox(tmp_path)
        old_id = await cri.run_pod_sandbox(first)
        await cri.create_container(old_id, container(), first)
        fake.stop_sandbox(old_id)
        second = sandbox(tmp_path, attempt=1)
        new_id = await cri.run_pod_sandbox(second)
        new_container = await cri.create_container(new_id, container(restart_count=1), second)

        status = await cri.pod_status(UID)

        assert [each.id for each in status.sandboxes] == [new_id, old_id]
        assert [each.attempt for each in status.containers] == [1, 0]
        latest = status.latest("c")
        assert latest is not None
        assert latest.id == new_container
        assert latest.restart_count == 1


async def test_lists_are_filtered_by_pod(tmp_path: Path) -> None:
    """Another pod's sandboxes and containers are not in the list."""
    async with runtime(tmp_path) as (_, cri):
        config = sandbox(tmp_path)
        sandbox_id = await cri.run_pod_sandbox(config)
        await cri.create_container(sandbox_id, container(), config)

        assert len(await cri.list_pod_sandboxes()) == 1
        assert await cri.list_pod_sandboxes(pod_uid=PodUID("other")) == ()
        assert await cri.list_containers(pod_uid=PodUID("other")) == ()
        assert len(await cri.list_containers(sandbox_id=sandbox_id)) == 1


async def test_ending_what_is_gone_is_no_error(tmp_path: Path) -> None:
    """Stop and remove are idempotent, although containerd 1.6 answers NotFound to some."""
    async with runtime(tmp_path) as (_, cri):
        await cri.stop_container(ContainerID("gone"), timeout_s=1)
        await cri.remove_container(ContainerID("gone"))
        await cri.stop_pod_sandbox(SandboxID("gone"))
        await cri.remove_pod_sandbox(SandboxID("gone"))


async def test_errors_are_ours_and_keep_the_runtimes_text(tmp_path: Path) -> None:
    """A gRPC status becomes the error of that code, with method and text."""
    async with runtime(tmp_path) as (fake, cri):
        with pytest.raises(NotFound) as not_found:
            await cri.container_status(ContainerID("nope"))
        assert not_found.value.method == "ContainerStatus"
        assert "nope" in not_found.value.message

        fake.fail("Version", grpc.StatusCode.INTERNAL, "broken")
        with pytest.raises(UnknownFailure, match="Version: broken"):
            await cri.version()


async def test_a_call_without_answer_ends_at_its_deadline(tmp_path: Path) -> None:
    """The deadline travels with the call; nothing waits for ever."""
    async with runtime(tmp_path) as (fake, cri):
        released = fake.hold("PullImage")
        with pytest.raises(DeadlineExceeded):
            await cri.pull_image("busybox", stall_s=0.05)
        released.set()


async def test_pull_goes_on_as_long_as_something_is_downloaded(tmp_path: Path) -> None:
    """However long that takes in all; it ends when nothing more comes."""
    async with (
        FakeCri(tmp_path, is_containerd=True) as fake,
        CriClient(fake.endpoint) as cri,
        asyncio.TaskGroup() as group,
    ):
        released = fake.hold("PullImage")
        looks, stall_s, look_s = 0, 1.0, 0.05

        async def download() -> None:
            nonlocal looks
            looks += 1
            if looks <= 25:
                fake.ingests["layer"] = looks

        fake.before["ListStatuses"] = download

        async def pull() -> str:
            with pytest.raises(DeadlineExceeded) as failed:
                await cri.pull_image("busybox", stall_s=stall_s, look_s=look_s)
            return str(failed.value)

        began_s = time.monotonic()
        pulling = group.create_task(pull())
        await fake.reached("ListStatuses", 25)
        assert time.monotonic() - began_s > stall_s
        assert not pulling.done()
        assert await pulling == "PullImage: nothing was downloaded for 1 s"
        released.set()


async def test_pull_fails_and_is_cancelled_as_ever(tmp_path: Path) -> None:
    """Beside the look at its progress, whether the runtime answers that or not."""
    async with FakeCri(tmp_path, is_containerd=True) as fake, CriClient(fake.endpoint) as cri:
        fake.fail("ListStatuses", grpc.StatusCode.UNAVAILABLE, "busy", times=1)
        with pytest.raises(UnknownFailure, match="failed to pull"):
            await cri.pull_image("nowhere", look_s=0.0)
        fake.hold("PullImage")
        fake.fail("ListStatuses", grpc.StatusCode.UNAVAILABLE, "busy", times=1)
        async with asyncio.TaskGroup() as group:
            pulling = group.create_task(cri.pull_image("busybox", look_s=0.01))
            await fake.reached("ListStatuses", 3)
            pulling.cancel()
        assert pulling.cancelled()


async def test_no_server_is_unavailable_at_once(tmp_path: Path) -> None:
    """A runtime that does not run is an error, not a wait."""
    async with CriClient(f"unix://{tmp_path / 'none.sock'}") as client:
        with pytest.raises(Unavailable):
            await client.version()


async def test_the_client_finds_a_restarted_runtime(tmp_path: Path) -> None:
    """The same client works again after the runtime came back."""
    async with CriClient(f"unix://{tmp_path / 'cri.sock'}") as client:
        async with FakeCri(tmp_path):
            assert (await client.version()).name == "containerd"
        with pytest.raises(Unavailable):
            await client.version()
        async with FakeCri(tmp_path), asyncio.timeout(10):
            while True:
                try:
                    await client.version()
                except Unavailable:
                    await asyncio.sleep(0.02)  # the channel's own back-off is what we wait for
                else:
                    break


async def test_lists_above_grpcs_default_limit_arrive(tmp_path: Path) -> None:
    """A full machine's list is larger than the 4 MiB that gRPC takes by default."""
    async with runtime(tmp_path) as (fake, cri):
        fake.add_image("large", repo_tags=["x" * 1024] * (5 << 10))
        assert len(await cri.list_images()) == 2


async def test_unknown_calls_are_unimplemented(tmp_path: Path) -> None:
    """Older runtimes lack RuntimeConfig; the caller is to fall back."""
    async with runtime(tmp_path) as (_, cri):
        with pytest.raises(Unimplemented):
            await cri.cgroup_driver()


async def test_images(tmp_path: Path) -> None:
    """An image is described, missing, pulled, removed."""
    async with runtime(tmp_path) as (fake, cri):
        present = await cri.image_status("busybox")
        assert present is not None
        assert (present.uid, present.repo_tags) == (7, ("busybox",))
        assert await cri.image_status("other") is None
        offered = fake.offer_image("other", username="app")
        assert await cri.pull_image("other") == offered.id
        pulled = await cri.image_status("other")
        assert pulled is not None
        assert (pulled.uid, pulled.username) == (None, "app")
        assert (await cri.image_fs_info()).image_filesystems[0].mountpoint == "/"
        await cri.remove_image("other")
        assert await cri.image_status("other") is None


async def test_exec_sync_keeps_streams_and_exit_code(tmp_path: Path) -> None:
    """What the command wrote and its exit code come back apart."""
    async with runtime(tmp_path) as (fake, cri):

        async def run(request: pb.ExecSyncRequest) -> pb.ExecSyncResponse:
            assert list(request.cmd) == ["sh", "-c", "x"]
            return pb.ExecSyncResponse(stdout=b"out", stderr=b"err", exit_code=3)

        fake.exec = run
        config = sandbox(tmp_path)
        sandbox_id = await cri.run_pod_sandbox(config)
        container_id = await cri.create_container(sandbox_id, container(), config)

        result = await cri.exec_sync(container_id, ["sh", "-c", "x"], timeout_s=5)

        assert (result.stdout, result.stderr, result.exit_code) == (b"out", b"err", 3)
        with pytest.raises(ValueError, match="at least 1 s"):
            await cri.exec_sync(container_id, ["x"], timeout_s=0)


async def test_a_terminal_has_no_stderr(tmp_path: Path) -> None:
    """Containerd refuses a terminal with a stderr of its own."""
    async with runtime(tmp_path) as (fake, cri):
        config = sandbox(tmp_path)
        sandbox_id = await cri.run_pod_sandbox(config)
        container_id = await cri.create_container(sandbox_id, container(), config)
        url = await cri.exec(container_id, ["sh"], stdin=True, stdout=True, stderr=True, tty=True)
        assert url.endswith("/exec/token")
        assert not fake.called("Exec")[0].stderr
        await cri.attach(container_id, stdin=False, stdout=True, stderr=True, tty=False)
        assert fake.called("Attach")[0].stderr
        await cri.port_forward(sandbox_id, ports=[80])
        assert list(fake.called("PortForward")[0].port) == [80]


async def test_stats(tmp_path: Path) -> None:
    """Figures come as numbers; what the runtime does not tell is None."""
    async with runtime(tmp_path) as (_, cri):
        config = sandbox(tmp_path)
        sandbox_id = await cri.run_pod_sandbox(config)
        container_id = await cri.create_container(sandbox_id, container(), config)
        one = await cri.container_stats(container_id)
        assert one.cpu is not None
        assert one.memory is not None
        assert (one.cpu.usage_core_ns, one.memory.working_set_bytes) == (5, 4096)
        assert (one.memory.rss_bytes, one.swap, one.writable_layer) == (None, None, None)
        assert await cri.list_container_stats(pod_uid=UID) == (one,)
        (pod,) = await cri.list_pod_sandbox_stats()
        assert (pod.pod_uid, pod.process_count, pod.containers) == (UID, 1, (one,))
        assert [each.name for each in pod.interfaces] == ["eth0"]


async def test_resources_and_logs_of_a_running_container(tmp_path: Path) -> None:
    """Limits are changed in place, and the log is opened anew after a rename."""
    async with runtime(tmp_path) as (fake, cri):
        config = sandbox(tmp_path)
        sandbox_id = await cri.run_pod_sandbox(config)
        container_id = await cri.create_container(sandbox_id, container(), config)
        await cri.start_container(container_id)
        await cri.update_container_resources(container_id, container().resources)
        log = fake.containers[container_id].log_path
        log.rename(log.with_suffix(".1"))
        await cri.reopen_container_log(container_id)
        assert log.exists()


async def test_events_tell_which_pod_changed(tmp_path: Path) -> None:
    """An event of a container names its pod; leaving the stream ends the call."""
    async with runtime(tmp_path) as (fake, cri):
        config = sandbox(tmp_path)
        sandbox_id = await cri.run_pod_sandbox(config)
        events = cri.container_events()
        async with asyncio.TaskGroup() as group:
            first = group.create_task(anext(events))
            await fake.listened.wait()
            fake.stop_sandbox(sandbox_id)
        event = first.result()
        await events.aclose()
        assert (event.type, event.container_id, event.pod_uid) == (
            RuntimeEventType.STOPPED,
            sandbox_id,
            UID,
        )


async def test_a_runtime_without_events_says_so(tmp_path: Path) -> None:
    """Containerd 1.6 has neither stream under CRI's name; the caller relists instead."""
    async with FakeCri(tmp_path) as old, CriClient(old.endpoint) as client:
        with pytest.raises(Unimplemented):
            await anext(client.container_events())
        with pytest.raises(Unimplemented):
            await anext(client.containerd_events())
