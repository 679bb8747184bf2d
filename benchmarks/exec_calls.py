"""One short `kubectl exec`, and the throughput of a long one."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from benchmarks.figure import Figure, median_figure
from benchmarks.setting import IN
from devcluster.netns import inside
from edge_runtime.objects.container import ContainerID
from edge_runtime.runtime.cri_client import CriClient

if TYPE_CHECKING:
    from benchmarks.setting import Json, Setting

CALLS = 15
RUNS = 3
MB = 1_000_000
SIZE = 100 * MB
PRINT = ["sh", "-c", f"head -c {SIZE} /dev/zero"]
STDOUT_CHANNEL = 1
DEADLINE_S = 120


def measure_latency(setting: Setting) -> Figure:
    """Time `kubectl exec -- true` beside a kubectl that only asks the API server one thing."""
    exec_s, plain_s = [], []
    for _ in range(CALLS):
        exec_s.append(setting.kubectl_s(*IN, "exec", "shell", "--", "true"))
        plain_s.append(setting.kubectl_s("get", "--raw", "/readyz"))
    return median_figure(
        f"kubectl exec -- true, {CALLS} calls, p50",
        exec_s,
        plain_s,
        unit="s",
        baseline_name="kubectl get --raw /readyz: one process, one request, no node",
    )


def measure_throughput(setting: Setting, shell: Json) -> Figure:
    """Send 100 MB through kubectl's stdout, and the same straight from containerd's server."""
    through_s, direct_s = [], []
    container_id = shell["status"]["containerStatuses"][0]["containerID"].split("//")[1]
    for _ in range(RUNS):
        started = time.perf_counter()
        received = len(setting.kubectl(*IN, "exec", "shell", "--", *PRINT))
        through_s.append(time.perf_counter() - started)
        assert received == SIZE, f"{received} of {SIZE} bytes arrived"
        direct_s.append(_read_directly(setting, ContainerID(container_id)))
    return median_figure(
        f"kubectl exec stdout of {SIZE // MB} MB, {RUNS} runs, p50",
        [SIZE / MB / s for s in through_s],
        [SIZE / MB / s for s in direct_s],
        unit="MB/s",
        baseline_name="the same command read from containerd's streaming server on the machine",
    )


def _read_directly(setting: Setting, container_id: ContainerID) -> float:
    """Return the seconds from CRI Exec to the last byte, over WebSocket on the edge."""
    started = time.perf_counter()
    url = asyncio.run(_exec_url(setting, container_id))
    address = urlsplit(url)
    assert address.hostname is not None
    assert address.port is not None
    where = (address.hostname, address.port)
    raw = inside(setting.site.edge_netns, lambda: socket.create_connection(where, timeout=10))
    received = 0
    with connect(
        url.replace("http://", "ws://", 1),
        sock=raw,
        subprotocols=[Subprotocol("v4.channel.k8s.io")],
        max_size=None,
        compression=None,
    ) as connection:
        try:
            while True:
                message = connection.recv(timeout=DEADLINE_S)
                assert isinstance(message, bytes)
                if message[:1] == bytes([STDOUT_CHANNEL]):
                    received += len(message) - 1
        except ConnectionClosed:
            pass  # the streaming server closes once the command has ended
    took_s = time.perf_counter() - started
    assert received == SIZE, f"{received} of {SIZE} bytes arrived"
    return took_s


async def _exec_url(setting: Setting, container_id: ContainerID) -> str:
    async with CriClient(setting.cri_endpoint) as client:
        return await client.exec(
            container_id, PRINT, stdin=False, stdout=True, stderr=True, tty=False
        )
