"""docs/protocol.md is enough to write the other end from: a Go program that was plays the edge.

Nothing of it is ours but the page: HTTP/2, WebSocket and TLS are Go's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedOK
from websockets.typing import Subprotocol

from devcluster.binaries import GoProgram, provide
from devcluster.progress import Progress
from tests.fakes.edge_port import EdgePort, edge_port
from tests.fakes.kubelet_port import API_SERVER, ClusterPki, KubeletPort, kubelet_port
from tests.fakes.session_pair import read_all
from tests.fakes.site_pki import SitePki
from tunnel.protocol import RequestHead

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HERE = Path(__file__).resolve().parent
LOG = "/containerLogs/default/web/main?tailLines={}"
LINE = "line {} of a log that a Go program tells\n"
CONNECT_TIMEOUT_S = 20.0

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Go program, built once and kept for later runs."""
    if shutil.which("go") is None:
        pytest.skip("needs Go: the other end of the wire is a Go program")
    links = tmp_path_factory.mktemp("go")
    edge = GoProgram(module=HERE / "go_edge", package=".", names=("go-edge",))
    provide([edge], links=links, progress=Progress())
    return links / "go-edge"


@pytest.fixture
def pki(tmp_path: Path) -> SitePki:
    """The site's certificates."""
    return SitePki(tmp_path / "site", site="site-a")


@contextlib.asynccontextmanager
async def go_edge(program: Path, port: EdgePort, *options: str) -> AsyncIterator[None]:
    """Run the program as this port's edge until the block is left."""
    process = await asyncio.create_subprocess_exec(
        program,
        *("-server", f"127.0.0.1:{port.listener.port}", "-site", port.pki.site),
        *("-ca", port.pki.ca_file, "-cert", port.pki.client_certificate_file),
        *("-key", port.pki.client_key_file),
        *options,
        env={**os.environ, "GODEBUG": "http2xconnect=1"},
    )
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await port.client.wait_connected()
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def read_log(port: EdgePort, lines: int) -> bytes:
    """Ask for a log as the kubelet API does."""
    stream = await port.client.open(RequestHead(method="GET", path=LOG.format(lines)))
    await stream.close_write()
    head = await stream.response()
    assert head.status == 200
    assert ("content-type", "text/plain") in head.headers
    return await read_all(stream)


def log(lines: int) -> bytes:
    """Return what the log must be."""
    return "".join(LINE.format(number) for number in range(lines)).encode()


async def test_a_log(program: Path, pki: SitePki) -> None:
    """Short, and longer than every window."""
    async with edge_port(pki) as port, go_edge(program, port):
        assert await read_log(port, 3) == log(3)
        assert await read_log(port, 200_000) == log(200_000)


async def test_an_exec(program: Path, pki: SitePki, tmp_path: Path) -> None:
    """Through the kubelet API with a real WebSocket client, as an extended CONNECT."""
    cluster = ClusterPki(tmp_path)
    async with (
        edge_port(pki) as port,
        kubelet_port(port.client, cluster) as front,
        go_edge(program, port),
        exec_websocket(front) as connection,
    ):
        for text in (b"hello", bytes(range(256)) * 100, b"y" * 70_000):
            await connection.send(b"\0" + text)
            assert await connection.recv() == b"\1" + text
        await connection.send(b"\0exit")
        assert await connection.recv() == b'\3{"metadata":{},"status":"Success"}'
        with pytest.raises(ConnectionClosedOK):
            await connection.recv()


def exec_websocket(front: KubeletPort) -> connect:
    """Open an exec as the API server does for a client that speaks WebSocket."""
    return connect(
        f"wss://127.0.0.1:{front.server.port}/exec/default/web/main"
        "?command=cat&input=1&output=1&error=1",
        ssl=front.pki.client_context(API_SERVER),
        subprotocols=[Subprotocol("v4.channel.k8s.io")],
        compression=None,
        proxy=None,
        ping_interval=None,
        max_size=None,
    )


async def test_a_call_it_does_not_know(program: Path, pki: SitePki) -> None:
    """Is answered, not reset."""
    async with edge_port(pki) as port, go_edge(program, port):
        stream = await port.client.open(RequestHead(method="GET", path="/nothing"))
        await stream.close_write()
        assert (await stream.response()).status == 404
        assert await read_all(stream) == b"404 page not found\n"


async def test_a_log_goes_on_over_the_next_connection(program: Path, pki: SitePki) -> None:
    """The program drops its connection in the middle, and resumes the session."""
    async with edge_port(pki) as port, go_edge(program, port, "-cut-after", "1000000"):
        assert await read_log(port, 100_000) == log(100_000)
        assert port.metrics.reconnects == {"resumed": 1}
