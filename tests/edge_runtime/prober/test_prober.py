"""Probes over real sockets and a real CRI connection: verdicts, and the words of events."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from cri_protos import api_pb2 as pb
from edge_runtime.objects.container import Container, ContainerID, ProbeKind
from edge_runtime.objects.pod import Pod
from edge_runtime.prober.prober import Prober, ProbeTarget
from edge_runtime.prober.thresholds import ProbeSpec
from edge_runtime.runtime.cri_client import CriClient
from edge_runtime.runtime.grpc_health import check_health
from tests.fakes.fake_cri import FakeCri
from tests.fakes.fake_cri_calls import FakeContainer
from tests.fakes.http_target import answer, http_target

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge_runtime.objects.runtime_info import ExecResult
    from edge_runtime.prober.prober import ProbeOutcome


class _Events:
    """Keeps what is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, ...]] = []

    def probe_failed(self, pod: Pod, name: str, probe: str, output: str) -> None:
        self.told.append(("failed", f"{probe} {output}"))

    def probe_errored(self, pod: Pod, name: str, probe: str, result: str, error: str) -> None:
        self.told.append(("errored", f"{probe} {result} {error}"))

    def probe_warned(self, pod: Pod, name: str, probe: str, output: str) -> None:
        self.told.append(("warned", f"{probe} {output}"))


class _NoRuntime:
    """Runs no command."""

    async def exec_sync(
        self, container_id: ContainerID, command: Sequence[str], *, timeout_s: int
    ) -> ExecResult:
        raise AssertionError("no exec probe")


def _target(
    probe: dict[str, Any], *, kind: ProbeKind = ProbeKind.LIVENESS, pod_ip: str = "127.0.0.1"
) -> ProbeTarget:
    container = Container(
        {"name": "c", "env": [{"name": "WHO", "value": "me"}, {"name": "B", "value": "$(WHO)"}]}
    )
    pod = Pod({"metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": {}})
    return ProbeTarget(
        pod=pod,
        container=container,
        spec=ProbeSpec.parse(kind, probe),
        container_id=ContainerID("id"),
        pod_ip=pod_ip,
    )


async def _probe(target: ProbeTarget) -> tuple[ProbeOutcome | None, list[tuple[str, ...]]]:
    events = _Events()
    prober = Prober(_NoRuntime(), events=events, check_health=check_health)
    return await prober.probe(target), events.told


@pytest.mark.parametrize("status", [200, 204, 399])
async def test_http_below_400_is_a_success(status: int) -> None:
    """Nothing is told of it, unless it is a redirect."""
    async with http_target({"/": answer(status)}) as target:
        outcome, told = await _probe(_target({"httpGet": {"port": target.port}}))
    assert outcome is not None
    assert outcome.is_success
    assert [kind for kind, _ in told] == (["warned"] if status >= 300 else [])


@pytest.mark.parametrize("status", [400, 404, 500, 199])
async def test_any_other_http_status_is_a_failure(status: int) -> None:
    """The body is not shown: it may hold secrets."""
    async with http_target({"/": answer(status, "secret")}) as target:
        outcome, told = await _probe(_target({"httpGet": {"port": target.port}}))
    assert outcome is not None
    assert not outcome.is_success
    if status >= 200:
        assert told == [("failed", f"Liveness HTTP probe failed with statuscode: {status}")]


async def test_a_redirect_elsewhere_succeeds_with_a_warning() -> None:
    """With the redirect's own body."""
    raw = answer(302, "moved", "Location: http://example.com/")
    async with http_target({"/": raw}) as target:
        outcome, told = await _probe(_target({"httpGet": {"port": target.port}}))
    assert outcome is not None
    assert outcome.is_success
    assert told == [("warned", "Liveness Probe terminated redirects, Response body: moved")]


async def test_a_broken_body_is_an_error_after_three_tries() -> None:
    """It says nothing of the container: no verdict comes of it."""
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"
    async with http_target({"/": raw}) as target:
        outcome, told = await _probe(
            _target({"httpGet": {"port": target.port}}, kind=ProbeKind.READINESS)
        )
        assert len(target.requests) == 3
    assert outcome is None
    assert told == [("errored", "Readiness failure unexpected EOF")]


async def test_an_unknown_port_is_an_error() -> None:
    """Of HTTP and TCP probes alike."""
    for action in ("httpGet", "tcpSocket"):
        outcome, told = await _probe(_target({action: {"port": "nobody"}}, kind=ProbeKind.STARTUP))
        assert outcome is None
        words = 'Startup unknown strconv.Atoi: parsing "nobody": invalid syntax'
        assert told == [("errored", words)]


async def test_a_probe_without_an_action_is_an_error() -> None:
    """A newer API may know more."""
    outcome, told = await _probe(_target({}))
    assert outcome is None
    assert told == [("errored", "Liveness unknown missing probe handler for p_ns(u):c")]


async def test_a_host_of_its_own_is_asked_instead_of_the_pod() -> None:
    """For those who want to probe a neighbour."""
    async with http_target({"/": answer(200)}) as target:
        action = {"port": target.port, "host": "127.0.0.1"}
        for kind in ("httpGet", "tcpSocket"):
            outcome, told = await _probe(_target({kind: action}, pod_ip="192.0.2.1"))
            assert outcome is not None
            assert outcome.is_success
            assert told == []


async def test_tcp_succeeds_where_somebody_listens() -> None:
    """And says in Go's words why not."""
    async with http_target({}) as target:
        outcome, _ = await _probe(_target({"tcpSocket": {"port": target.port}}))
        assert outcome is not None
        assert outcome.is_success
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        outcome, told = await _probe(_target({"tcpSocket": {"port": port}}))
    assert outcome is not None
    assert not outcome.is_success
    words = f"Liveness dial tcp 127.0.0.1:{port}: connect: connection refused"
    assert told == [("failed", words)]


async def test_tcp_gives_up_in_time() -> None:
    """A full backlog lets nobody in."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for each in (first, second):
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        port = full.getsockname()[1]
        outcome, told = await _probe(_target({"tcpSocket": {"port": port}, "timeoutSeconds": 1}))
    assert outcome is not None
    assert told == [("failed", f"Liveness dial tcp 127.0.0.1:{port}: i/o timeout")]


async def test_grpc_asks_the_service_of_the_spec() -> None:
    """With the probe's own time limit, at the pod's address."""
    asked: list[tuple[str, str, int]] = []

    async def check(address: str, *, service: str, timeout_s: int) -> str | None:
        asked.append((address, service, timeout_s))
        return None if service else "service unhealthy"

    events = _Events()
    prober = Prober(_NoRuntime(), events=events, check_health=check)
    probe = {"grpc": {"port": 9, "service": "s"}, "timeoutSeconds": 7}
    healthy = await prober.probe(_target(probe, pod_ip="fd00::1"))
    unhealthy = await prober.probe(_target({"grpc": {"port": 9}}))
    assert healthy is not None
    assert unhealthy is not None
    assert (healthy.is_success, unhealthy.is_success) == (True, False)
    assert asked == [("[fd00::1]:9", "s", 7), ("127.0.0.1:9", "", 1)]
    assert events.told == [("failed", "Liveness service unhealthy")]


def _give_container(fake: FakeCri, folder: Path) -> None:
    """Let the runtime have the container that is asked."""
    fake.containers["id"] = FakeContainer(
        status=pb.ContainerStatus(id="id", state=pb.CONTAINER_RUNNING),
        sandbox_id="s",
        config=pb.ContainerConfig(),
        log_path=folder / "log",
    )


async def _exec(
    tmp_path: Path, command: list[str], *, exit_code: int = 0, failures: int = 0
) -> tuple[ProbeOutcome | None, list[tuple[str, ...]], FakeCri]:
    events = _Events()
    async with FakeCri(tmp_path) as fake, CriClient(fake.endpoint) as cri:

        async def run(_: pb.ExecSyncRequest) -> pb.ExecSyncResponse:
            return pb.ExecSyncResponse(stdout=b"out\n", stderr=b"err\n", exit_code=exit_code)

        fake.exec = run
        _give_container(fake, tmp_path)
        fake.fail("ExecSync", grpc.StatusCode.UNKNOWN, "no such task", times=failures)
        prober = Prober(cri, events=events, check_health=check_health)
        target = _target({"exec": {"command": command}, "timeoutSeconds": 4})
        outcome = await prober.probe(target)
        return outcome, events.told, fake


async def test_a_command_sees_literal_variables(tmp_path: Path) -> None:
    """As written, and in one pass: what they refer to is not expanded."""
    outcome, told, fake = await _exec(tmp_path, ["echo", "$(WHO)", "$(B)", "$(NOBODY)", "$$(WHO)"])
    assert outcome is not None
    assert (outcome.is_success, outcome.message, told) == (True, "out\nerr\n", [])
    request = fake.called("ExecSync")[0]
    assert list(request.cmd) == ["echo", "me", "$(WHO)", "$(NOBODY)", "$(WHO)"]
    assert request.timeout == 4


async def test_a_failing_command_shows_what_it_wrote(tmp_path: Path) -> None:
    """Both its streams."""
    outcome, told, _ = await _exec(tmp_path, ["false"], exit_code=3)
    assert outcome is not None
    assert not outcome.is_success
    assert told == [("failed", "Liveness out\nerr\n")]


async def test_an_error_of_the_runtime_is_tried_again_twice(tmp_path: Path) -> None:
    """Then it is told, and counts as nothing."""
    outcome, told, _ = await _exec(tmp_path, ["true"], failures=2)
    assert outcome is not None
    assert (outcome.is_success, told) == (True, [])


async def test_three_errors_are_told(tmp_path: Path) -> None:
    """As the kubelet's gRPC client words them."""
    outcome, told, fake = await _exec(tmp_path, ["true"], failures=3)
    assert outcome is None
    words = "Liveness unknown rpc error: code = Unknown desc = no such task"
    assert told == [("errored", words)]
    assert len(fake.called("ExecSync")) == 3


async def test_a_command_that_takes_too_long_failed(tmp_path: Path) -> None:
    """That says something of the container, so it is not tried again."""
    events = _Events()
    async with FakeCri(tmp_path) as fake, CriClient(fake.endpoint) as cri:
        fake.fail("ExecSync", grpc.StatusCode.DEADLINE_EXCEEDED, "timeout 1s exceeded")
        prober = Prober(cri, events=events, check_health=check_health)
        outcome = await prober.probe(_target({"exec": {"command": ["sleep", "9"]}}))
    assert outcome is not None
    assert not outcome.is_success
    assert events.told == [("failed", 'Liveness command timed out: "sleep 9" timed out after 1s')]


async def test_a_cancelled_probe_cancels_its_command(tmp_path: Path) -> None:
    """Nothing runs on in the container for nobody."""
    ended = asyncio.Event()
    async with FakeCri(tmp_path) as fake, CriClient(fake.endpoint) as cri:

        async def run(_: pb.ExecSyncRequest) -> pb.ExecSyncResponse:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            raise AssertionError("never")

        fake.exec = run
        _give_container(fake, tmp_path)
        prober = Prober(cri, events=_Events(), check_health=check_health)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(prober.probe(_target({"exec": {"command": ["sleep"]}})))
            await fake.reached("ExecSync", 1)
            task.cancel()
        async with asyncio.timeout(5):
            await ended.wait()
