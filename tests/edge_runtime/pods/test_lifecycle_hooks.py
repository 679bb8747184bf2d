"""Hooks over real sockets and a real CRI connection."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from cri_protos import api_pb2 as pb
from edge_runtime.objects.container import Container, ContainerID
from edge_runtime.objects.pod import Pod
from edge_runtime.pods.hooks import HookFailed
from edge_runtime.pods.lifecycle_hooks import MAX_HOOK_S, LifecycleHooks
from edge_runtime.pods.pod_events import PodEvents
from edge_runtime.runtime.cri_client import CriClient
from tests.fakes.fake_cri import FakeCri
from tests.fakes.fake_cri_calls import FakeContainer
from tests.fakes.http_target import answer, http_target

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

POD = Pod({"metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": {}})
CONTAINER = Container({"name": "c", "ports": [{"name": "web", "containerPort": 1}]})
WHERE = 'for Container "c" in Pod "p_ns(u)" failed - error:'


class _Recorder:
    """Keeps what is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def record(
        self, pod: Pod, *, event_type: str, reason: str, message: str, container_name: str = ""
    ) -> None:
        self.told.append((reason, message))


class _Setting:
    """Hooks over a fake runtime that has one container."""

    def __init__(self, fake: FakeCri, cri: CriClient) -> None:
        self.fake = fake
        self.recorder = _Recorder()
        self.hooks = LifecycleHooks(cri, events=PodEvents(self.recorder))

    async def run(
        self,
        *,
        timeout_s: float | None = 30,
        ip: str = "127.0.0.1",
        **handler: Any,  # noqa: ANN401
    ) -> None:
        await self.hooks.run_hook(
            POD, CONTAINER, ContainerID("id"), handler, timeout_s=timeout_s, ip=ip
        )

    async def failure(self, **arguments: Any) -> str:  # noqa: ANN401  # those of run
        with pytest.raises(HookFailed) as failed:
            await self.run(**arguments)
        return str(failed.value)


@contextlib.asynccontextmanager
async def _setting(folder: Path) -> AsyncIterator[_Setting]:
    async with FakeCri(folder) as fake, CriClient(fake.endpoint) as cri:
        fake.containers["id"] = FakeContainer(
            status=pb.ContainerStatus(id="id", state=pb.CONTAINER_RUNNING),
            sandbox_id="s",
            config=pb.ContainerConfig(),
            log_path=folder / "log",
        )
        yield _Setting(fake, cri)


def _exiting(code: int, *, stderr: bytes = b"") -> Any:  # noqa: ANN401  # the fake's own type
    async def run(_: pb.ExecSyncRequest) -> pb.ExecSyncResponse:
        return pb.ExecSyncResponse(stdout=b"out", stderr=stderr, exit_code=code)

    return run


async def test_a_command_runs_as_written(tmp_path: Path) -> None:
    """Without expansion, and with a day's time where nobody sets a limit."""
    async with _setting(tmp_path) as setting:
        setting.fake.exec = _exiting(0)
        await setting.run(exec={"command": ["echo", "$(HOME)"]}, timeout_s=None)
        request = setting.fake.called("ExecSync")[0]
        assert (list(request.cmd), request.timeout) == (["echo", "$(HOME)"], MAX_HOOK_S)


async def test_a_failing_command_says_what_it_wrote(tmp_path: Path) -> None:
    """In the kubelet's words, which become the container's waiting message."""
    async with _setting(tmp_path) as setting:
        setting.fake.exec = _exiting(3, stderr=b"bad\n")
        message = await setting.failure(exec={"command": ["sh", "-c", "x"]})
        assert message == (
            f"Exec lifecycle hook ([sh -c x]) {WHERE} "
            "command 'sh -c x' exited with 3: bad\n, message: \"outbad\\n\""
        )


async def test_errors_of_the_runtime_fail_the_hook(tmp_path: Path) -> None:
    """Also its timeout."""
    async with _setting(tmp_path) as setting:
        setting.fake.fail("ExecSync", grpc.StatusCode.UNKNOWN, "no")
        message = await setting.failure(exec={"command": ["x"]})
        assert message.endswith('rpc error: code = Unknown desc = no, message: ""')
        setting.fake.fail("ExecSync", grpc.StatusCode.DEADLINE_EXCEEDED, "late")
        message = await setting.failure(exec={"command": ["x"]})
        assert message.endswith('command timed out: "x" timed out after 30s, message: ""')


@pytest.mark.parametrize("status", [200, 404, 500])
async def test_any_http_answer_will_do(tmp_path: Path, status: int) -> None:
    """A kubelet does not look at the status."""
    async with _setting(tmp_path) as setting, http_target({"/x": answer(status)}) as target:
        await setting.run(httpGet={"port": target.port, "path": "/x"})
        assert "User-Agent: kube-lifecycle/1.36" in target.requests[0]


async def test_no_http_answer_is_a_failure(tmp_path: Path) -> None:
    """Also no port, and no address."""
    async with _setting(tmp_path) as setting:
        async with http_target({"/x": b""}) as target:
            message = await setting.failure(httpGet={"port": target.port, "path": "/x"})
        address = f"http://127.0.0.1:{target.port}/x"
        assert message == f'HTTP lifecycle hook (/x) {WHERE} Get "{address}": EOF'
        assert "invalid syntax" in await setting.failure(httpGet={"port": "nobody"})
        message = await setting.failure(httpGet={"port": 80}, ip="")
        assert message.endswith("failed to find networking container")


async def test_a_broken_body_is_an_answer(tmp_path: Path) -> None:
    """Nobody reads it."""
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"
    async with _setting(tmp_path) as setting, http_target({"/": raw}) as target:
        await setting.run(httpGet={"port": target.port})


async def test_https_to_a_plain_server_is_asked_again_without(tmp_path: Path) -> None:
    """The event says so, and credentials stay out of the plain request."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(1)
        if first == b"G":
            heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer(200 if first == b"G" else 400))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    headers = [{"name": "Authorization", "value": "secret"}, {"name": "X-Kept", "value": "1"}]
    async with _setting(tmp_path) as setting:
        await setting.run(httpGet={"port": port, "scheme": "HTTPS", "httpHeaders": headers})
        message = (
            f"request to HTTPS lifecycle hook 127.0.0.1:{port} got HTTP response, "
            "retry with HTTP succeeded"
        )
        assert setting.recorder.told == [("LifecycleHTTPFallback", message)]
    assert b"X-Kept: 1" in heads[0]
    assert b"secret" not in heads[0]
    server.close()
    await server.wait_closed()


async def test_https_to_nobody_is_not_asked_again(tmp_path: Path) -> None:
    """Only a plain answer says that there is a plain server."""
    async with _setting(tmp_path) as setting:
        async with http_target({}) as target:
            pass
        message = await setting.failure(httpGet={"port": target.port, "scheme": "HTTPS"})
        assert message.endswith("connect: connection refused")
        assert setting.recorder.told == []


async def test_an_unknown_handler_fails(tmp_path: Path) -> None:
    """Of a newer API."""
    async with _setting(tmp_path) as setting:
        message = await setting.failure(telepathy={"to": "all"})
        assert message == "Cannot run handler: invalid handler: {'telepathy': {'to': 'all'}}"


@pytest.mark.looptime
async def test_a_pause_takes_its_time() -> None:
    """And ends early only where somebody sets a limit."""

    class _NoRuntime:
        async def exec_sync(self, *args: object, **kwargs: object) -> Any:  # noqa: ANN401
            raise AssertionError("no command")

    hooks = LifecycleHooks(_NoRuntime(), events=PodEvents(_Recorder()))
    loop = asyncio.get_running_loop()
    handler = {"sleep": {"seconds": 25}}
    identity = ContainerID("id")
    await hooks.run_hook(POD, CONTAINER, identity, handler, timeout_s=None, ip="")
    assert loop.time() == 25.0
    with pytest.raises(HookFailed, match="did not end in time"):
        await hooks.run_hook(POD, CONTAINER, identity, handler, timeout_s=5, ip="")
    assert loop.time() == 30.0
