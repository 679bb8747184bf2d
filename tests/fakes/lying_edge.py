"""A real provider before an edge that has the site's certificate and speaks the tunnel, but lies.

The provider is all of it, behind its own ports, with an API server that speaks the protocol. The
edge is either a session of ours whose calls are answered as the test likes, or frames of HTTP/2
that no session of ours would send.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import h2.config
import h2.connection
import h2.events
import h2.settings
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from edge_runtime.uplink.websocket_pipe import ClientWebSocketPipe
from provider.app import Provider, serve
from tests.fakes.fake_api_server import FakeAPIServer
from tests.fakes.fake_edge import make_hello
from tests.fakes.kubelet_port import API_SERVER, RawClient
from tests.fakes.provider_files import ProviderFiles
from tunnel.errors import TunnelError
from tunnel.identity import provider_dns_name
from tunnel.protocol import INSTANCE_HEADER, TUNNEL_PATH, TUNNEL_SUBPROTOCOL, ResponseHead
from tunnel.session import Role, Session
from tunnel.sync import FromEdge, Hello, encode_message
from tunnel.sync_fragments import encode_fragments

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tunnel.stream import Stream

Lie = Callable[["Stream"], Awaitable[None]]
RawLie = Callable[["RawEdge", int], None]
PATIENCE_S = 20.0
_DATA = b"\x01"


class SyncLiar:
    """The edge's end of one sync stream."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    async def send(self, message: FromEdge) -> None:
        """Send one message."""
        await self.send_payload(encode_message(message))

    async def send_payload(self, payload: bytes) -> None:
        """Send bytes as one message, in proper fragments."""
        for fragment in encode_fragments(payload):
            await self.stream.write(fragment)

    async def closed(self) -> None:
        """Wait until the provider has had enough of it."""
        async with asyncio.timeout(PATIENCE_S):
            await self.stream.wait_closed()


class LyingEdge:
    """Answers calls as it is told, others in good faith.

    Attributes:
        lies: What answers a path, without its query.
        reads_sync: Whether it reads what comes down on sync streams.
    """

    def __init__(self) -> None:
        self.lies: dict[str, Lie] = {}
        self.reads_sync = True
        self._syncs: asyncio.Queue[SyncLiar] = asyncio.Queue()

    async def sync(self, hello: Hello | None = None) -> SyncLiar:
        """Return the next sync stream, after Hello."""
        async with asyncio.timeout(PATIENCE_S):
            liar = await self._syncs.get()
        await liar.send(hello or make_hello())
        return liar

    async def handle(self, stream: Stream) -> None:
        """Answer one call."""
        path = stream.request.path.partition("?")[0]
        if path == "/sync":
            await stream.respond(ResponseHead(status=200))
            self._syncs.put_nowait(SyncLiar(stream))
            while self.reads_sync and await stream.read():
                pass
            await stream.wait_closed()
        elif path in self.lies:
            await self.lies[path](stream)
        else:
            await stream.respond(ResponseHead(status=200))
            await stream.write(b"ok")
            await stream.close_write()


class RawEdge:
    """HTTP/2 by hand: whatever the library can be brought to send.

    Attributes:
        h2: The library's connection, which checks nothing of what it sends.
    """

    def __init__(self, connection: ClientConnection, lies: dict[str, RawLie]) -> None:
        self._connection = connection
        self._lies = lies
        config = h2.config.H2Configuration(
            client_side=False,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
            validate_inbound_headers=False,
        )
        self.h2 = h2.connection.H2Connection(config)
        self.h2.local_settings = h2.settings.Settings(
            client=False,
            initial_values={h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL: 1},
        )

    async def run(self) -> None:
        """Answer until the provider hangs up."""
        self.h2.initiate_connection()
        with contextlib.suppress(ConnectionClosed):
            await self._flush()
            async for message in self._connection:
                assert isinstance(message, bytes)
                if message[:1] != _DATA:
                    continue
                for event in self.h2.receive_data(message[1:]):
                    if isinstance(event, h2.events.RequestReceived):
                        self._answer(event.stream_id, dict(event.headers or ()))
                await self._flush()

    def respond(self, stream_id: int, status: bytes, *headers: tuple[bytes, bytes]) -> None:
        """Queue a head, whatever it is."""
        self.h2.send_headers(stream_id, [(b":status", status), *headers])

    def _answer(self, stream_id: int, headers: dict[bytes, bytes]) -> None:
        path = headers[b":path"].decode().partition("?")[0]
        if path in self._lies:
            self._lies[path](self, stream_id)
        elif path == "/sync":
            self.respond(stream_id, b"503")
            self.h2.end_stream(stream_id)
        else:
            self.respond(stream_id, b"200")
            self.h2.send_data(stream_id, b"ok", end_stream=True)

    async def _flush(self) -> None:
        data = self.h2.data_to_send()
        for start in range(0, len(data), 60_000):
            await self._connection.send(_DATA + data[start : start + 60_000])


class LyingSite:
    """A running provider.

    Attributes:
        api: Its API server.
        provider: Its objects.
    """

    def __init__(self, api: FakeAPIServer, files: ProviderFiles, provider: Provider) -> None:
        self.api = api
        self.provider = provider
        self._files = files

    @contextlib.asynccontextmanager
    async def edge(self) -> AsyncIterator[LyingEdge]:
        """Connect an edge until the block is left."""
        lying = LyingEdge()
        session = Session(role=Role.SERVER, session_id="edge", handler=lying.handle)

        async def run(connection: ClientConnection) -> None:
            with contextlib.suppress(TunnelError):
                await session.run(ClientWebSocketPipe(connection))

        async with self._connected(run):
            yield lying

    @contextlib.asynccontextmanager
    async def raw_edge(self, lies: dict[str, RawLie]) -> AsyncIterator[asyncio.Event]:
        """Connect an edge that speaks by hand; yields what is set when the provider hangs up."""
        ended = asyncio.Event()

        async def run(connection: ClientConnection) -> None:
            await RawEdge(connection, lies).run()
            ended.set()

        async with self._connected(run):
            yield ended

    @contextlib.asynccontextmanager
    async def _connected(
        self, run: Callable[[ClientConnection], Awaitable[None]]
    ) -> AsyncIterator[None]:
        pki = self._files.site
        context = ssl.create_default_context(cafile=pki.ca_file)
        context.load_cert_chain(pki.client_certificate_file, pki.client_key_file)
        connection = await self._dial(context)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(_run(run, connection))
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await self.provider.edge.wait_connected()
                yield
            finally:
                connection.transport.abort()
                running.cancel()
                await connection.wait_closed()

    async def _dial(self, context: ssl.SSLContext) -> ClientConnection:
        """Dial until the provider has its Lease."""
        while True:
            with contextlib.suppress(InvalidStatus):
                return await self._dial_once(context)
            await asyncio.sleep(0.02)

    async def _dial_once(self, context: ssl.SSLContext) -> ClientConnection:
        return await connect(
            f"wss://127.0.0.1:{self.provider.edge_listener.port}{TUNNEL_PATH}",
            ssl=context,
            server_hostname=provider_dns_name(self._files.config().site),
            subprotocols=[Subprotocol(TUNNEL_SUBPROTOCOL)],
            # One process that dials anew: a second one would be refused while the first answers.
            additional_headers={INSTANCE_HEADER: "a" * 32},
            compression=None,
            proxy=None,
            ping_interval=None,
            close_timeout=1,
        )

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[RawClient]:
        """Connect to the kubelet port as the API server does."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            self.provider.kubelet.port,
            ssl=self._files.cluster.client_context(API_SERVER),
            limit=1 << 20,
        )
        try:
            yield RawClient(reader, writer)
        finally:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def ask(
        self, path: str, *lines: str, method: str = "GET"
    ) -> tuple[int, dict[str, str], bytes]:
        """Make one call; a connection that is cut before the answer is status 0."""
        if not lines:
            lines = ("Connection: close",)
        async with asyncio.timeout(PATIENCE_S), self.client() as client:
            await client.request(method, path, *lines)
            try:
                status, headers = await client.head()
                if "content-length" in headers:
                    body = await client.reader.readexactly(int(headers["content-length"]))
                else:
                    body = await client.rest()
            except (asyncio.IncompleteReadError, OSError):
                return 0, {}, b""
            return status, headers, body

    async def answers(self) -> bool:
        """Whether the edge's calls go through, now that it speaks the truth."""
        status, _, body = await self.ask("/healthz")
        return status == 200 and body.endswith((b"ok", b"2\r\nok\r\n0\r\n\r\n"))


async def _run(
    run: Callable[[ClientConnection], Awaitable[None]], connection: ClientConnection
) -> None:
    with contextlib.suppress(ConnectionClosed):
        await run(connection)


def _port() -> int:
    """Return a port that no client is given by the kernel meanwhile, and that is free."""
    for number in random.sample(range(15_000, 30_000), 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", number)):
            return number
    raise AssertionError("a hundred ports are all in use")


@contextlib.asynccontextmanager
async def lying_site(folder: Path) -> AsyncIterator[LyingSite]:
    """Run a whole provider until the block is left."""
    stop = asyncio.Event()
    started: asyncio.Future[Provider] = asyncio.get_running_loop().create_future()
    async with FakeAPIServer() as api, asyncio.TaskGroup() as tasks:
        files = ProviderFiles(folder, api_server_url=api.url)
        files.apply(api)
        files.fields |= {"kubeletPort": _port(), "edgePort": _port()}
        serving = tasks.create_task(
            serve(files.config(), stop=stop, started=started.set_result), name="provider"
        )
        # A provider that does not start says why by itself.
        serving.add_done_callback(lambda _: started.cancel())
        try:
            yield LyingSite(api, files, await started)
        finally:
            stop.set()
            await serving
