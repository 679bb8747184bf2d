"""A provider's edge port: accepts tunnels over TLS on loopback and is the client in them."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Response

from tunnel.errors import SessionClosed
from tunnel.protocol import RECEIVED_HEADER, SESSION_HEADER, TUNNEL_SUBPROTOCOL, Role
from tunnel.session import Session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from websockets.http11 import Request

    from tests.fakes.site_pki import SitePki


class ServerPipe:
    """The provider's end of a WebSocket."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def receive(self) -> bytes:
        """Return the next message."""
        try:
            return await self._connection.recv(decode=False)
        except ConnectionClosed as exc:
            raise SessionClosed("the edge went away") from exc

    async def send(self, message: bytes) -> None:
        """Send one message."""
        try:
            await self._connection.send(message)
        except ConnectionClosed as exc:
            raise SessionClosed("the edge went away") from exc

    def limit_unsent(self, limit_bytes: int) -> None:
        """Leave it to the kernel."""

    def abort(self) -> None:
        """Drop the connection."""
        self._connection.transport.abort()


@dataclass
class FakeProvider:
    """Accepts tunnels and is the HTTP/2 client in them."""

    port: int = 0
    requests: list[Request] = field(default_factory=list)
    connections: list[ServerConnection] = field(default_factory=list)
    sessions: asyncio.Queue[Session] = field(default_factory=asyncio.Queue)
    answer: tuple[int, str] | None = None
    gives_sessions: bool = True

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Look at the upgrade request, refuse it if the test wants so."""
        self.requests.append(request)
        if self.answer is None:
            return None
        status, text = self.answer
        headers = Headers({"Content-Length": str(len(text)), "Location": "wss://192.0.2.1/"})
        return Response(status, "Refused", headers, text.encode())

    def name(self, _: ServerConnection, __: Request, response: Response) -> Response:
        """Give a new session with its id; none is ever gone on with."""
        if self.gives_sessions:
            response.headers[SESSION_HEADER] = f"{len(self.requests):032x}"
            response.headers[RECEIVED_HEADER] = "0"
        return response

    async def run(self, connection: ServerConnection) -> None:
        """Serve one tunnel."""
        self.connections.append(connection)
        session = Session(role=Role.CLIENT, session_id="s" * 32)
        self.sessions.put_nowait(session)
        await session.run(ServerPipe(connection))


@contextlib.asynccontextmanager
async def tunnel_provider(
    pki: SitePki, *, subprotocol: str = TUNNEL_SUBPROTOCOL
) -> AsyncIterator[FakeProvider]:
    """Listen on a port of loopback, asking for a client certificate of the site's CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.server_certificate_file, pki.server_key_file)
    context.load_verify_locations(pki.ca_file)
    context.verify_mode = ssl.CERT_REQUIRED
    fake = FakeProvider()
    async with serve(
        fake.run,
        "127.0.0.1",
        0,
        ssl=context,
        subprotocols=[subprotocol],  # type: ignore[list-item]
        process_request=fake.admit,
        process_response=fake.name,
        compression=None,
        ping_interval=None,
        close_timeout=1,
    ) as server:
        fake.port = next(iter(server.sockets)).getsockname()[1]
        yield fake
