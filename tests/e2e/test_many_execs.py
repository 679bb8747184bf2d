"""Hundreds of short execs through the real path: none fails, and nothing is used up by them.

`make test` makes 500, `make soak` 10,000: EDGELET_EXECS chooses. The calls are what `kubectl exec
-- true` sends, without a new kubectl for each; a few are made by kubectl itself, the old way too.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.e2e.api_server import ApiServer
from tests.e2e.cluster import read_environment
from tests.e2e.pods import pod
from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.cluster import Cluster
    from tests.e2e.kubectl import Kubectl

Json = dict[str, Any]
EXECS = int(os.environ.get("EDGELET_EXECS", "500"))
AT_ONCE = 4
KUBECTL_EVERY = 100
WARM_UP = 50
CALL_TIMEOUT_S = 30.0
STATUS_CHANNEL = 3
POD = "worker"
# What a process holds may differ by what happens to be under way: a status, a relist.
FDS_SLACK = 8
RSS_SLACK = 0.1


@pytest.fixture(scope="module", autouse=True)
def worker(cluster: Cluster, kubectl: Kubectl) -> None:
    """A pod that only waits."""
    kubectl.apply(pod(POD, site=cluster.site))
    kubectl.wait("condition=Ready", f"pod/{POD}", timeout_s=60)


class Execs:
    """Makes calls and notes how they went.

    Attributes:
        took_s: Of each call that succeeded.
        faults: What was wrong with the others.
    """

    def __init__(self, cluster: Cluster, kubectl: Kubectl) -> None:
        self.took_s: list[float] = []
        self.faults: list[str] = []
        self._kubectl = kubectl
        self._server = ApiServer(cluster.environment["KUBECONFIG"])

    async def run(self, count: int) -> None:
        """Make so many calls, AT_ONCE of them at a time."""
        left = iter(range(count))

        async def worker() -> None:
            for _ in left:
                await self._call()

        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(worker())

    async def _call(self) -> None:
        started = time.perf_counter()
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                status = await self._exec()
        except Exception as exc:  # noqa: BLE001 - the test tells all of them
            self.faults.append(f"{type(exc).__name__}: {exc}")
            return
        if status.get("status") == "Success":
            self.took_s.append(time.perf_counter() - started)
        else:
            self.faults.append(json.dumps(status))

    async def _exec(self) -> Json:
        path = f"/api/v1/namespaces/{self._kubectl.namespace}/pods/{POD}/exec"
        async with connect(
            f"wss://{self._server.address}{path}?command=true&stdout=true&stderr=true",
            ssl=self._server.context,
            subprotocols=[Subprotocol("v5.channel.k8s.io")],
            compression=None,
            proxy=None,
            ping_interval=None,
        ) as connection:
            status: Json = {}
            try:
                while True:
                    message = await connection.recv()
                    assert isinstance(message, bytes)
                    if message[:1] == bytes([STATUS_CHANNEL]):
                        status = json.loads(message[1:])
            except ConnectionClosed:
                return status


def holdings() -> dict[str, tuple[int, int, int]]:
    """Return process id, file descriptors and resident bytes of provider and edge."""
    environment = read_environment()
    found = {}
    for part in ("PROVIDER", "EDGE"):
        process = psutil.Process(int(environment[f"DEVCLUSTER_{part}_PID"]))
        found[part] = (process.pid, process.num_fds(), process.memory_info().rss)
    return found


def is_idle(before: dict[str, tuple[int, int, int]]) -> bool:
    """Tell whether both processes hold as much as before; raise with what they hold if not."""
    now = holdings()
    for part, (pid, fds, rss) in before.items():
        assert now[part][0] == pid, f"the {part.lower()} was restarted"
        assert now[part][1] <= fds + FDS_SLACK, f"{part} has {now[part][1]} descriptors, had {fds}"
        assert now[part][2] <= rss * (1 + RSS_SLACK), f"{part} has {now[part][2]} bytes, had {rss}"
    return True


@pytest.mark.timeout(120 + EXECS, func_only=True)
async def test_no_exec_of_many_fails(
    cluster: Cluster, kubectl: Kubectl, pytestconfig: pytest.Config
) -> None:
    """Every one succeeds; both processes are the same ones afterwards, and as big."""
    await Execs(cluster, kubectl).run(WARM_UP)
    before = holdings()
    execs = Execs(cluster, kubectl)
    started = time.monotonic()
    await execs.run(EXECS)
    took_s = time.monotonic() - started
    show(
        pytestconfig,
        f"{EXECS} execs, {AT_ONCE} at once, in {took_s:.0f} s: "
        f"median {statistics.median(execs.took_s or [0]):.3f} s, "
        f"longest {max(execs.took_s, default=0):.2f} s, {len(execs.faults)} failed",
    )
    assert execs.faults == []
    eventually(lambda: is_idle(before), what="both processes are idle", timeout_s=30)


@pytest.mark.parametrize("websockets", [True, False], ids=["websocket", "spdy"])
def test_nor_does_one_of_kubectls(kubectl: Kubectl, *, websockets: bool) -> None:
    """Exit status 0 each time, and the command's own where it is another."""
    choice = str(websockets).lower()
    streaming = kubectl.within(kubectl.namespace, KUBECTL_REMOTE_COMMAND_WEBSOCKETS=choice)
    for number in range(max(10, EXECS // KUBECTL_EVERY)):
        outcome = streaming.run("exec", POD, "--", "sh", "-c", f"exit {number % 2 * 7}")
        assert outcome.status == number % 2 * 7, outcome


def show(config: pytest.Config, line: str) -> None:
    """Print to the terminal, also when the test passes."""
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        config.pluginmanager.getplugin("terminalreporter").write_line(f"\n{line}")
