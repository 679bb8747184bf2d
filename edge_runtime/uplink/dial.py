"""One dial: TCP (perhaps through a proxy), TLS, the upgrade, and what the provider answered."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from typing import TYPE_CHECKING

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.proxy import get_proxy
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from edge_runtime.uplink.credentials import Credentials, CredentialsError
from edge_runtime.uplink.dial_error import DialError, dial_error
from edge_runtime.uplink.websocket_pipe import WRITE_LIMIT_BYTES, ClientWebSocketPipe, tune_socket
from tunnel.pipe import MAX_MESSAGE_BYTES
from tunnel.protocol import (
    INSTANCE_HEADER,
    RECEIVED_HEADER,
    SESSION_HEADER,
    TUNNEL_PATH,
    TUNNEL_SUBPROTOCOL,
)

if TYPE_CHECKING:
    from tunnel.session import WebSocketPipe

DIAL_TIMEOUT_S = 2.0
_CLOSE_TIMEOUT_S = 2.0
_SESSION_ID = re.compile(r"[0-9A-Za-z_-]{16,128}")
_COUNT = re.compile(r"[0-9]{1,20}")
# Messages that may wait between socket and session; the session reads at once, so a few will do.
_MAX_QUEUED_MESSAGES = 16


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Dialled:
    """A tunnel that the provider accepted.

    Attributes:
        pipe: The connection.
        session_id: The session that the provider gives, or goes on with.
        received_bytes: What the provider has received of it.
    """

    pipe: WebSocketPipe
    session_id: str
    received_bytes: int


class _Connect(connect):
    """``connect`` that follows no redirect: the edge dials the configured address and no other."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Take a redirect for the refusal that it is here."""
        return exc


class ProviderDial:
    """Dials the provider, through the proxy of the environment if it names one.

    Args:
        server: Host and port of the provider.
        credentials: Read again for every dial, so that a new certificate needs no restart.
        instance_id: 128 random bits of this process, as text.
        timeout_s: A dial that has no answer by then is abandoned.
    """

    def __init__(
        self,
        *,
        server: tuple[str, int],
        credentials: Credentials,
        instance_id: str,
        timeout_s: float = DIAL_TIMEOUT_S,
    ) -> None:
        host, port = self._server = server
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._credentials = credentials
        self._instance_id = instance_id
        self._timeout_s = timeout_s

    async def __call__(self, *, session_id: str, received_bytes: int) -> Dialled:
        """Dial once. Cancelling leaves no connection behind.

        Args:
            session_id: The session to go on with; "" for a new one.
            received_bytes: What has been received of it.

        Raises:
            DialError: There is no tunnel; the text says why, in one sentence.
        """
        headers = {INSTANCE_HEADER: self._instance_id}
        if session_id:
            headers |= {SESSION_HEADER: session_id, RECEIVED_HEADER: str(received_bytes)}
        try:
            connection = await self._connect(headers)
        # ImportError and ValueError: a proxy of a kind, or a name, that cannot be used.
        except (OSError, CredentialsError, WebSocketException, ImportError, ValueError) as exc:
            raise self._explain(exc) from exc
        try:
            tune_socket(connection.transport)
            return _accepted(connection)
        except (DialError, OSError) as exc:
            connection.transport.abort()
            raise self._explain(exc) from exc

    async def is_reachable(self) -> bool:
        """Whether the provider's port accepts a TCP connection as fast as a dial must be.

        Through a proxy nothing can be said: what accepts there is the proxy.
        """
        try:
            if get_proxy(parse_uri(f"wss://{self.address}{TUNNEL_PATH}")) is not None:
                return False
            async with asyncio.timeout(self._timeout_s):
                _, writer = await asyncio.open_connection(*self._server)
        except (OSError, ValueError, WebSocketException):
            return False
        writer.transport.abort()
        return True

    async def _connect(self, headers: dict[str, str]) -> ClientConnection:
        return await _Connect(
            f"wss://{self.address}{TUNNEL_PATH}",
            ssl=self._credentials.tls_context(),
            server_hostname=self._credentials.server_hostname,
            subprotocols=[Subprotocol(TUNNEL_SUBPROTOCOL)],
            additional_headers=headers,
            user_agent_header=None,
            compression=None,
            proxy=True,
            open_timeout=self._timeout_s,
            close_timeout=_CLOSE_TIMEOUT_S,
            ping_interval=None,
            max_size=MAX_MESSAGE_BYTES,
            max_queue=_MAX_QUEUED_MESSAGES,
            write_limit=WRITE_LIMIT_BYTES,
        )

    def _explain(self, exc: Exception) -> DialError:
        return dial_error(
            exc,
            address=self.address,
            server_hostname=self._credentials.server_hostname,
            ca_file=self._credentials.ca_file,
        )


def _accepted(connection: ClientConnection) -> Dialled:
    """Return what the provider's 101 gives.

    Raises:
        DialError: It is none of a provider.
    """
    if connection.subprotocol != TUNNEL_SUBPROTOCOL:
        raise DialError(f"the provider does not speak {TUNNEL_SUBPROTOCOL}")
    response = connection.response
    headers = response.headers if response is not None else {}
    session_id, received = headers.get(SESSION_HEADER, ""), headers.get(RECEIVED_HEADER, "")
    if not _SESSION_ID.fullmatch(session_id):
        raise DialError(f"the provider's answer has no usable {SESSION_HEADER}")
    if not _COUNT.fullmatch(received):
        raise DialError(f"the provider's answer has no usable {RECEIVED_HEADER}")
    return Dialled(
        pipe=ClientWebSocketPipe(connection), session_id=session_id, received_bytes=int(received)
    )
