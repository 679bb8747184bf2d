"""The edge as a process, against a provider over TLS and a runtime over gRPC on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from edge_runtime.machine.systemd_slices import is_systemd_running
from edge_runtime.store.database import Database
from tests.fakes import edge_beside_cgroups
from tests.fakes.fake_cri import FakeCri
from tests.fakes.site_pki import SitePki
from tests.fakes.sync_end import SyncEnd
from tests.fakes.tunnel_pair import read_all
from tests.fakes.tunnel_provider import FakeProvider, tunnel_provider
from tunnel.errors import SessionClosed, StreamReset
from tunnel.protocol import RequestHead
from tunnel.sync import (
    SYNC_PATH,
    SYNC_PROTOCOL,
    Ack,
    Desired,
    Hello,
    NodeReport,
    PodPut,
    PodStatus,
    ServicesPut,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tunnel.session import Session

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 30


class EdgeProcess:
    """``edgelet run`` and its files."""

    def __init__(self, folder: Path, config: dict[str, Any], *, groups: Path | None = None) -> None:
        """Prepare; with ``groups``, a folder in place of the machine's control groups."""
        self.config = config
        self._groups = groups
        self._file = folder / "edge.yaml"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Write the configuration and start the process."""
        self._file.write_text(yaml.safe_dump(self.config))
        arguments: tuple[str, ...] = ("-m", "edge_runtime", "run", "--config", str(self._file))
        if self._groups is not None:
            arguments = edge_beside_cgroups.arguments(config=self._file, groups=self._groups)
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, *arguments),
            cwd=ROOT,
            stderr=asyncio.subprocess.PIPE,
        )

    def signal(self, number: int) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    async def ended(self) -> tuple[int, str]:
        """Wait for the end and return exit status and what was logged."""
        assert self._process is not None
        async with asyncio.timeout(TIMEOUT_S):
            _, log = await self._process.communicate()
        return self._process.returncode or 0, log.decode()

    async def kill(self) -> None:
        """End it, whatever it does."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.communicate()


def configuration(folder: Path, pki: SitePki, *, port: int, endpoint: str) -> dict[str, Any]:
    """Make a configuration whose every path is below one folder, and an edge that has joined."""
    pki.write_identity(folder / "root", server=f"127.0.0.1:{port}")
    return {
        "rootDirectory": str(folder / "root"),
        "podLogsDir": str(folder / "pods"),
        "containerLogsDir": str(folder / "containers"),
        "containerRuntimeEndpoint": endpoint,
        "drainTimeout": "500ms",
        "logging": {"format": "json", "level": "debug"},
    }


@contextlib.asynccontextmanager
async def edge(folder: Path) -> AsyncIterator[tuple[EdgeProcess, FakeProvider, FakeCri]]:
    """Run provider, runtime and edge."""
    pki = SitePki(folder / "pki", site="site-a")
    async with FakeCri(folder) as cri, tunnel_provider(pki) as provider:
        config = configuration(folder, pki, port=provider.port, endpoint=cri.endpoint)
        process = EdgeProcess(folder, config, groups=folder / "cgroup")
        await process.start()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                yield process, provider, cri
        finally:
            await process.kill()


async def get(session: Session, path: str) -> tuple[int, bytes]:
    """Fetch a path from the edge."""
    stream = await session.open(RequestHead(method="GET", path=path))
    await stream.close_write()
    head = await stream.response()
    return head.status, await read_all(stream)


def pod(uid: str = "11111111-1111-1111-1111-111111111111") -> dict[str, Any]:
    """Make a pod that the edge can run."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": "default", "uid": uid},
        "spec": {
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "containers": [
                {
                    "name": "main",
                    "image": "busybox:latest",
                    "imagePullPolicy": "IfNotPresent",
                }
            ],
        },
    }


async def test_edge_tells_its_own_figures(tmp_path: Path) -> None:
    """Of the process, the tunnel, the store, the runtime and the certificate."""
    async with edge(tmp_path) as (_, provider, _):
        session = await provider.sessions.get()
        status, body = await get(session, "/metrics")
        probes = await get(session, "/metrics/probes")

    assert status == 200
    text = body.decode()
    for line in (
        'edgelet_build_info{component="edge",version="',
        "edgelet_tunnel_connected 1.0",
        'kubelet_node_name{node="site-a"} 1.0',
        "kubelet_running_pods 0.0",
        'kubelet_runtime_operations_total{operation_type="version"} ',
        'edgelet_certificate_expiration_timestamp_seconds{certificate="edge"} ',
        "edgelet_store_size_bytes ",
        "edgelet_statuses_pending 0.0",
        "process_open_fds ",
    ):
        assert line in text
    assert probes[0] == 200


async def test_edge_serves_the_kubelets_api_through_its_tunnel(tmp_path: Path) -> None:
    """Health, pods, and the errors of a kubelet; SIGTERM ends it with status 0."""
    async with edge(tmp_path) as (process, provider, _):
        session = await provider.sessions.get()
        health = await get(session, "/healthz")
        pods = await get(session, "/pods")
        unknown = await get(session, "/containerLogs/default/none/main")
        process.signal(signal.SIGTERM)
        status, log = await process.ended()

    assert health == (200, b"ok")
    assert json.loads(pods[1]) == {
        "kind": "PodList",
        "apiVersion": "v1",
        "metadata": {},
        "items": [],
    }
    assert unknown == (404, b'pod "none" does not exist')
    assert status == 0
    assert json.loads(log.splitlines()[-1])["msg"] == "edge stopped, containers run on"


async def test_pod_comes_down_and_its_status_goes_up(tmp_path: Path) -> None:
    """Through sync, store, worker, runtime and back; after a restart it is adopted."""
    async with edge(tmp_path) as (process, provider, cri):
        cri.add_image("busybox:latest")
        sync = await SyncEnd.open(await provider.sessions.get())
        hello = await sync.receive(Hello)
        report = await sync.receive(NodeReport)
        # No container starts before the API's own Service is known.
        await sync.send(ServicesPut(namespace="default", services=[], complete=True))
        await sync.send(PodPut(uid=pod()["metadata"]["uid"], revision="1", pod=pod()))
        await sync.send(Desired(pods={pod()["metadata"]["uid"]: "1"}, complete=True))
        ack = await sync.receive(Ack)
        while (status := (await sync.receive(PodStatus)).status).get("phase") != "Running":
            pass
        process.signal(signal.SIGKILL)
        await process.ended()

        await process.start()
        again = await SyncEnd.open(await provider.sessions.get())
        second_hello = await again.receive(Hello)
        process.signal(signal.SIGTERM)
        await process.ended()

    assert hello.pods == {}
    assert report.capacity["pods"] == "110"
    assert (ack.key, ack.revision) == (pod()["metadata"]["uid"], "1")
    assert status["containerStatuses"][0]["restartCount"] == 0
    assert second_hello.pods == {pod()["metadata"]["uid"]: "1"}
    assert second_hello.instance_id != hello.instance_id
    assert len(cri.containers) == 1


async def test_running_stream_ends_with_an_error_when_the_edge_stops(tmp_path: Path) -> None:
    """Never with an end that reads as success."""
    async with edge(tmp_path) as (process, provider, _):
        session = await provider.sessions.get()
        stream = await session.open(
            RequestHead(method="CONNECT", path=SYNC_PATH, protocol=SYNC_PROTOCOL)
        )
        await stream.response()
        process.signal(signal.SIGTERM)
        with pytest.raises((SessionClosed, StreamReset)):
            await read_all(stream)
        status, _ = await process.ended()

    assert status == 0


async def test_second_edge_in_one_folder_is_refused(tmp_path: Path) -> None:
    """Status 2 and one sentence."""
    async with edge(tmp_path) as (process, provider, _):
        await provider.sessions.get()
        other = tmp_path / "other"
        other.mkdir()
        second = EdgeProcess(other, process.config)
        await second.start()
        status, log = await second.ended()

    assert status == 2
    assert log.startswith("edgelet: another process uses the database")
    assert log.count("\n") == 1


async def test_certificate_of_another_ca_is_refused(tmp_path: Path) -> None:
    """Before anything is dialled."""
    pki = SitePki(tmp_path / "pki", site="site-a")
    other = SitePki(tmp_path / "other", site="site-a")
    config = configuration(tmp_path, pki, port=1, endpoint="unix:///nowhere")
    identity = tmp_path / "root/identity/identity.pem"
    identity.write_bytes(other.identity_file.read_bytes())
    process = EdgeProcess(tmp_path, config)
    await process.start()

    status, log = await process.ended()

    assert status == 2
    assert str(identity) in log
    assert log.count("\n") == 1


@pytest.mark.parametrize(
    ("left", "said"),
    [
        ([], "run edgelet join first"),
        (["pending.key"], "run the same edgelet join again"),
        (["identity.pem", "ca.crt"], "site.json is missing: name the provider"),
        (["identity.pem", "site.json"], "cannot read"),
    ],
)
async def test_machine_that_has_not_joined_is_told(
    tmp_path: Path, left: list[str], said: str
) -> None:
    """What to do, instead of a dial that nobody could accept."""
    config = configuration(
        tmp_path, SitePki(tmp_path / "pki", site="site-a"), port=1, endpoint="unix:///nowhere"
    )
    folder = tmp_path / "root/identity"
    (folder / "pending.key").write_text("")
    for path in folder.iterdir():
        if path.name not in left:
            path.unlink()
    process = EdgeProcess(tmp_path, config)
    await process.start()

    status, log = await process.ended()

    assert status == 2
    assert said in log
    assert log.count("\n") == 1


async def test_edge_waits_for_a_runtime_that_is_not_there(tmp_path: Path) -> None:
    """A boot starts both at once; meanwhile it can be stopped."""
    pki = SitePki(tmp_path / "pki", site="site-a")
    config = configuration(tmp_path, pki, port=1, endpoint=f"unix://{tmp_path}/none.sock")
    process = EdgeProcess(tmp_path, config)
    await process.start()
    assert process._process is not None
    assert process._process.stderr is not None
    async with asyncio.timeout(TIMEOUT_S):
        while b"waiting for the container runtime" not in await process._process.stderr.readline():
            pass
    process.signal(signal.SIGINT)

    status, _ = await process.ended()

    assert status == 0


@pytest.mark.skipif(is_systemd_running(), reason="needs a machine without systemd")
async def test_cgroup_driver_without_systemd_is_one_sentence(tmp_path: Path) -> None:
    """A ready Node on which no pod can start would be worse."""
    pki = SitePki(tmp_path / "pki", site="site-a")
    async with FakeCri(tmp_path) as cri:
        config = configuration(tmp_path, pki, port=1, endpoint=cri.endpoint)
        process = EdgeProcess(tmp_path, {**config, "cgroupDriver": "systemd"})
        await process.start()
        status, log = await process.ended()
    assert status == 2
    assert "systemd does not run on this machine: set cgroupfs" in log
    assert "Traceback" not in log


async def test_unreadable_row_is_one_sentence(tmp_path: Path) -> None:
    """Not a traceback: a person must decide what to do with the file."""
    pki = SitePki(tmp_path / "pki", site="site-a")
    database = Database(tmp_path / "root/edgelet.db")
    await database.write("INSERT INTO pods VALUES (?, 'r', 'desired', x'7b', 0)", [("u1",)])
    database.close()
    async with FakeCri(tmp_path) as cri:
        process = EdgeProcess(tmp_path, configuration(tmp_path, pki, port=1, endpoint=cri.endpoint))
        await process.start()
        status, log = await process.ended()
    assert status == 2
    assert "the stored pod u1 cannot be read" in log
    assert "Traceback" not in log
