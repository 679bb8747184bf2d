"""An edge port on loopback with real TLS and trust, and an edge that dials it as the real one does.

The site's Secrets are in a fake API server of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from typing import TYPE_CHECKING

from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from edge_runtime.uplink.websocket_pipe import ClientWebSocketPipe
from provider.edge_link.edge_client import EdgeClient
from provider.edge_link.listener import EdgeListener
from provider.edge_link.site_session import SiteSession
from provider.kube.timestamps import utc_now
from provider.trust.site_trust import SiteTrust, TrustSettings
from tests.fakes.fake_api_server import FakeAPIServer
from tests.fakes.site_objects import put_secrets, put_site
from tunnel.errors import ProtocolError
from tunnel.identity import parse_site_name, provider_dns_name
from tunnel.metrics import TunnelMetrics
from tunnel.pipe import MAX_MESSAGE_BYTES
from tunnel.protocol import (
    INSTANCE_HEADER,
    TUNNEL_PATH,
    TUNNEL_SUBPROTOCOL,
    ResponseHead,
)
from tunnel.session import Limits, Role, Session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from websockets.asyncio.client import ClientConnection

    from provider.kube.client import KubeClient
    from tests.fakes.site_pki import SitePki
    from tunnel.stream import Stream

SITE = parse_site_name("site-a")
INSTANCE_A = "a" * 32
INSTANCE_B = "b" * 32


async def healthy(stream: Stream) -> None:
    """Answer every call with `ok`."""
    await stream.respond(ResponseHead(status=200))
    await stream.write(b"ok")
    await stream.close_write()


class EdgePort:
    """A running port.

    Attributes:
        client: What the front doors get.
        site_session: Who has the site.
        api: Where the site's Secrets are.
        trust: Who may have a tunnel or a certificate.
        events: Reasons and messages of the events that were reported.
        metrics: What the port counts.
        refusals: The reason of each request that it refused.
    """

    def __init__(
        self, pki: SitePki, api: FakeAPIServer, kube: KubeClient, *, limits: Limits | None = None
    ) -> None:
        self.pki = pki
        self.api = api
        self.events: list[tuple[str, str]] = []
        self.refusals: list[str] = []
        self.client = EdgeClient(site=SITE)
        self.metrics = TunnelMetrics()
        self.site_session = SiteSession(
            edge_client=self.client,
            report=self._report,
            limits=limits,
            metrics=self.metrics,
        )
        self.trust = SiteTrust(
            api=kube.as_self,
            site=SITE,
            settings=TrustSettings(namespace=f"edgelet-{SITE}"),
            report=self._report,
            now=utc_now,
        )
        self.listener = EdgeListener(
            site=SITE,
            site_session=self.site_session,
            trust=self.trust,
            monotonic=time.monotonic,
            refused=self.refusals.append,
        )

    def _report(self, *, reason: str, message: str) -> None:
        self.events.append((reason, message))

    def edge_context(
        self, pki: SitePki | None = None, *, anonymous: bool = False
    ) -> ssl.SSLContext:
        """Make an edge's context, with its certificate from another site's PKI if given."""
        context = ssl.create_default_context(cafile=self.pki.ca_file)
        chosen = pki or self.pki
        if not anonymous:
            context.load_cert_chain(chosen.client_certificate_file, chosen.client_key_file)
        return context

    def dial(
        self,
        *,
        instance: str = INSTANCE_A,
        headers: dict[str, str] | None = None,
        context: ssl.SSLContext | None = None,
        path: str = TUNNEL_PATH,
        subprotocol: str = TUNNEL_SUBPROTOCOL,
    ) -> connect:
        """Dial as an edge does."""
        return connect(
            f"wss://127.0.0.1:{self.listener.port}{path}",
            ssl=context or self.edge_context(),
            server_hostname=provider_dns_name(SITE),
            subprotocols=[Subprotocol(subprotocol)],
            additional_headers={INSTANCE_HEADER: instance, **(headers or {})},
            user_agent_header=None,
            compression=None,
            proxy=None,
            ping_interval=None,
            max_size=MAX_MESSAGE_BYTES,
            close_timeout=1,
        )

    @contextlib.asynccontextmanager
    async def edge(
        self,
        handler: Callable[[Stream], Awaitable[None]] = healthy,
        *,
        instance: str = INSTANCE_A,
    ) -> AsyncIterator[DialledEdge]:
        """Dial and serve until the block is left."""
        async with self.dial(instance=instance) as connection, asyncio.TaskGroup() as tasks:
            session = Session(role=Role.SERVER, session_id="edge", handler=handler)
            edge = DialledEdge(session, connection)
            running = tasks.create_task(edge.run())
            await self.client.wait_connected()
            try:
                yield edge
            finally:
                running.cancel()


class DialledEdge:
    """The edge's end of a tunnel.

    Attributes:
        ended: Set once its session has ended.
    """

    def __init__(self, session: Session, connection: ClientConnection) -> None:
        self.session = session
        self.connection = connection
        self.ended = asyncio.Event()

    async def run(self) -> None:
        """Serve until the tunnel ends."""
        try:
            with contextlib.suppress(ProtocolError):
                await self.session.run(ClientWebSocketPipe(self.connection))
        finally:
            self.ended.set()


@contextlib.asynccontextmanager
async def edge_port(pki: SitePki, *, limits: Limits | None = None) -> AsyncIterator[EdgePort]:
    """Serve the edge port until the block is left."""
    async with FakeAPIServer() as api, api.client(SITE) as kube, asyncio.TaskGroup() as tasks:
        put_site(api, SITE)
        put_secrets(api, pki.secrets(), site=SITE)
        port = EdgePort(pki, api, kube, limits=limits)
        await port.trust.load()
        watching = tasks.create_task(port.trust.run())
        tasks.create_task(port.site_session.run())
        await port.listener.listen(host="127.0.0.1", port=0)
        try:
            yield port
        finally:
            port.listener.stop_accepting()
            await port.site_session.drain(deadline_s=0)
            await port.listener.shutdown(timeout_s=1)
            watching.cancel()
