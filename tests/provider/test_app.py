"""The whole provider: real ports, a real tunnel, an API server that speaks the protocol."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import ssl
import sys
from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from edge_runtime.uplink.websocket_pipe import ClientWebSocketPipe
from provider import app
from provider.app import Provider, StartError, serve
from provider.loops import LoopFailed, first_error
from provider.node.node_lease import NodeLease
from tests.fakes import spdy
from tests.fakes.fake_api_server import FakeAPIServer
from tests.fakes.kubelet_port import API_SERVER, RawClient
from tests.fakes.provider_files import ProviderFiles
from tunnel.identity import provider_dns_name
from tunnel.protocol import (
    INSTANCE_HEADER,
    TUNNEL_PATH,
    TUNNEL_SUBPROTOCOL,
    ResponseHead,
)
from tunnel.session import Role, Session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tunnel.stream import Stream

EXEC = "/exec/ns/pod/c?command=sleep&command=60&output=1"
SPDY_V4 = ResponseHead(status=200, headers=(("x-stream-protocol-version", "v4.channel.k8s.io"),))


async def sleeping(stream: Stream) -> None:
    """Run every exec without end, and say `ok` to everything else."""
    if stream.request.protocol == "SPDY/3.1":
        await stream.respond(SPDY_V4)
        await stream.read()
        await stream.write(spdy.data_frame(3, b"runs"))
        await stream.wait_closed()
    elif stream.request.protocol is not None:
        await stream.respond(ResponseHead(status=200))
        await stream.wait_closed()
    else:
        await stream.respond(ResponseHead(status=200))
        await stream.write(b"ok")
        await stream.close_write()


def edge_context(files: ProviderFiles) -> ssl.SSLContext:
    """Make the edge's TLS context."""
    context = ssl.create_default_context(cafile=files.site.ca_file)
    context.load_cert_chain(files.site.client_certificate_file, files.site.client_key_file)
    return context


async def dial(files: ProviderFiles) -> ClientConnection:
    """Dial as the edge does, until the provider listens and has the site's Lease."""
    while True:
        with contextlib.suppress(ConnectionRefusedError, InvalidStatus):
            return await connect(
                f"wss://127.0.0.1:{files.fields['edgePort']}{TUNNEL_PATH}",
                ssl=edge_context(files),
                server_hostname=provider_dns_name(files.config().site),
                subprotocols=[Subprotocol(TUNNEL_SUBPROTOCOL)],
                additional_headers={INSTANCE_HEADER: "a" * 32},
                compression=None,
                proxy=None,
                ping_interval=None,
                close_timeout=1,
            )
        await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def edge(files: ProviderFiles) -> AsyncIterator[None]:
    """Be the edge until the block is left."""
    connection = await dial(files)
    session = Session(role=Role.SERVER, session_id="edge", handler=sleeping)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(session.run(ClientWebSocketPipe(connection)))
        try:
            yield
        finally:
            running.cancel()
            connection.transport.abort()
            await connection.wait_closed()


@contextlib.asynccontextmanager
async def kubectl_exec(files: ProviderFiles) -> AsyncIterator[RawClient]:
    """Begin an exec that has printed something."""
    context = files.cluster.client_context(API_SERVER)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", files.fields["kubeletPort"], ssl=context
    )
    client = RawClient(reader, writer)
    lines = (
        "Connection: Upgrade",
        "Upgrade: SPDY/3.1",
        "X-Stream-Protocol-Version: v4.channel.k8s.io",
    )
    await client.request("POST", EXEC, *lines)
    assert (await client.head())[0] == 101
    writer.write(spdy.HeaderWriter().syn_stream(1, {"streamtype": "error"}))
    assert await reader.readexactly(12) == spdy.data_frame(3, b"runs")
    try:
        yield client
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def told(rest: bytes) -> str:
    """Return the message on the error stream."""
    message: str = json.loads(spdy.stream_bytes(rest, 1))["message"]
    return message


LOST = "edgelet: the link to site-a was lost; the command may still be running"


async def test_a_stop_tells_running_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They get the deadline, then an error; never an end that looks like success."""
    monkeypatch.setattr(app, "DRAIN_S", 0.3)
    stop = asyncio.Event()
    async with FakeAPIServer() as api, asyncio.TaskGroup() as tasks:
        files = ProviderFiles(tmp_path, api_server_url=api.url)
        files.apply(api)
        serving = tasks.create_task(serve(files.config(), stop=stop))
        async with edge(files), kubectl_exec(files) as client:
            stop.set()
            assert told(await client.rest()) == LOST
            await serving


async def test_a_loop_that_fails_ends_all_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever supervises the process starts it again; running calls are told even then."""
    monkeypatch.setattr(app, "DRAIN_S", 0.1)
    fail = asyncio.Event()

    async def broken(self: NodeLease) -> None:
        del self
        await fail.wait()
        raise KeyError("surprise")

    monkeypatch.setattr(NodeLease, "run", broken)
    failures: list[BaseException] = []

    async def serve_and_fail(files: ProviderFiles) -> None:
        try:
            await serve(files.config(), stop=asyncio.Event())
        except BaseExceptionGroup as group:
            failures.append(first_error(group))

    async with FakeAPIServer() as api, asyncio.TaskGroup() as tasks:
        files = ProviderFiles(tmp_path, api_server_url=api.url)
        files.apply(api)
        serving = tasks.create_task(serve_and_fail(files))
        async with edge(files), kubectl_exec(files) as client:
            fail.set()
            assert told(await client.rest()) == LOST
            await serving
    (failure,) = failures
    assert isinstance(failure, LoopFailed)
    assert str(failure) == "node lease failed: KeyError: 'surprise'"


async def _metrics(files: ProviderFiles) -> str:
    context = files.cluster.client_context(API_SERVER)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", files.fields["kubeletPort"], ssl=context
    )
    client = RawClient(reader, writer)
    try:
        await client.request("GET", "/edgelet/metrics", "Connection: close")
        status, headers = await client.head()
        assert (status, headers["content-type"].split(";")[0]) == (200, "text/plain")
        return (await client.rest()).decode()
    finally:
        writer.transport.abort()


async def test_the_providers_own_figures_are_on_the_kubelet_port(tmp_path: Path) -> None:
    """Also while the site is offline: what waits, what was called, when certificates end."""
    stop, texts = asyncio.Event(), []

    async def ask(files: ProviderFiles) -> None:
        texts.extend([await _metrics(files), await _metrics(files)])
        stop.set()

    async with FakeAPIServer() as api, asyncio.TaskGroup() as tasks:
        files = ProviderFiles(tmp_path, api_server_url=api.url)
        files.apply(api)
        config = files.config()
        await serve(config, stop=stop, started=lambda _: _forget(tasks.create_task(ask(files))))
    for line in (
        "edgelet_writer ",
        "edgelet_tunnel_connected 0.0",
        "edgelet_statuses_pending 0.0",
        'edgelet_certificate_expiration_timestamp_seconds{certificate="site_ca"} ',
        'edgelet_certificate_expiration_timestamp_seconds{certificate="kubelet_port"} ',
        'edgelet_api_requests_total{code="200",method="GET"} ',
        'edgelet_kubelet_requests_total{code="200",path="/edgelet/metrics"} 1.0',
    ):
        assert line in texts[1]


def _forget(_task: asyncio.Task[None]) -> None:
    """Leave a task to its group."""


async def test_started_is_told_when_both_ports_listen(tmp_path: Path) -> None:
    """Whoever embeds the provider knows when it serves."""
    stop, ports = asyncio.Event(), []

    def started(provider: Provider) -> None:
        ports.extend([provider.kubelet.port, provider.edge_listener.port])
        stop.set()

    async with FakeAPIServer() as api:
        files = ProviderFiles(tmp_path, api_server_url=api.url)
        files.apply(api)
        await serve(files.config(), stop=stop, started=started)
    assert ports == [files.fields["kubeletPort"], files.fields["edgePort"]]


async def test_sigterm_ends_a_running_exec_with_a_message(tmp_path: Path) -> None:
    """The real process: exit status 0, and kubectl told why its command ended."""
    async with FakeAPIServer() as api:
        files = ProviderFiles(tmp_path, api_server_url=api.url)
        files.apply(api)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "provider", "run", "--config", str(files.write())),
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with edge(files), kubectl_exec(files) as client:
                process.send_signal(signal.SIGTERM)
                async with asyncio.timeout(25):
                    assert told(await client.rest()) == LOST
                    _, log = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert process.returncode == 0, log.decode()
    assert b"Traceback" not in log


async def test_a_site_without_its_secrets_does_not_start(tmp_path: Path) -> None:
    """They come with the manifests; nobody here may make them."""
    async with FakeAPIServer() as api:
        files = ProviderFiles(tmp_path, api_server_url=api.url)
        with pytest.raises(StartError, match="edgelet-site-ca"):
            await serve(files.config(), stop=asyncio.Event())


async def test_a_provider_waits_for_an_api_server_that_is_away(tmp_path: Path) -> None:
    """It may come up last; and a stop ends the wait."""
    stop, asked = asyncio.Event(), asyncio.Event()

    def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        asked.set()
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        files = ProviderFiles(tmp_path, api_server_url=f"http://127.0.0.1:{port}")
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            tasks.create_task(serve(files.config(), stop=stop))
            await asked.wait()
            stop.set()
