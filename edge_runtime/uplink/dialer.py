"""Dials the provider, serves the session over the WebSocket, and dials again.

   ┌──────── wait ◀── failed ──┐
   ▼                           │
dialing ── upgraded ──▶ attached ── lost ──▶ wait …
   └───────── drain ───────────┴──▶ stopped
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
from typing import TYPE_CHECKING

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from edge_runtime.uplink.backoff import Backoff
from edge_runtime.uplink.credentials import Credentials, CredentialsError
from edge_runtime.uplink.dial_error import DialError, describe_dial_error
from edge_runtime.uplink.websocket_pipe import WRITE_LIMIT_BYTES, ClientWebSocketPipe, tune_socket
from tunnel.errors import TunnelError
from tunnel.pipe import MAX_MESSAGE_BYTES
from tunnel.protocol import (
    INSTANCE_HEADER,
    SESSION_HEADER,
    TUNNEL_PATH,
    TUNNEL_SUBPROTOCOL,
    Role,
)
from tunnel.session import Session

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tunnel.stream import Stream

logger = logging.getLogger(__name__)

DIAL_TIMEOUT_S = 2.0
_CLOSE_TIMEOUT_S = 2.0
_chance = random.SystemRandom().random
_SESSION_ID = re.compile(r"[0-9A-Za-z_-]{16,128}")
# Messages that may wait between socket and session; the session reads at once, so a few will do.
_MAX_QUEUED_MESSAGES = 16


class _Dial(connect):
    """``connect`` that follows no redirect: the edge dials the configured address and no other."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Take a redirect for the refusal that it is here."""
        return exc


class Dialer:
    """Keeps one session with the provider alive.

    Args:
        server: Host and port of the provider.
        credentials: Read again for every dial, so that a new certificate needs no restart.
        instance_id: 128 random bits of this process, as text.
        handler: Serves each stream that the provider opens.
        backoff: Delays between dials.
        clock: Monotonic seconds.
        chance: Uniform in [0, 1).
        dial_timeout_s: A dial that is not attached by then is abandoned.
    """

    def __init__(
        self,
        *,
        server: tuple[str, int],
        credentials: Credentials,
        instance_id: str,
        handler: Callable[[Stream], Awaitable[None]],
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = _chance,
        dial_timeout_s: float = DIAL_TIMEOUT_S,
    ) -> None:
        host, port = server
        self._address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._credentials = credentials
        self._instance_id = instance_id
        self._handler = handler
        self._backoff = backoff or Backoff()
        self._clock = clock
        self._chance = chance
        self._dial_timeout_s = dial_timeout_s
        self._session: Session | None = None
        self._stop = asyncio.Event()
        self._last_problem: str | None = None

    @property
    def is_attached(self) -> bool:
        """Whether a session with the provider is being served."""
        return self._session is not None

    async def run(self) -> None:
        """Dial and serve until drained or cancelled.

        Cancelling aborts the connection; all streams end with an error on both ends.
        """
        while not self._stop.is_set():
            try:
                connection, session_id = await self._dial()
            except DialError as exc:
                self._note_problem(str(exc))
            else:
                await self._serve(connection, session_id)
            await self._pause()

    async def drain(self, *, deadline_s: float) -> None:
        """Stop for good: no new dial, no new streams; running ones get ``deadline_s`` seconds."""
        self._stop.set()
        if self._session is not None:
            await self._session.drain(deadline_s)

    async def _dial(self) -> tuple[ClientConnection, str]:
        try:
            connection = await self._connect()
        # ImportError and ValueError: a proxy of a kind, or a name, that cannot be used.
        except (OSError, CredentialsError, WebSocketException, ImportError, ValueError) as exc:
            raise DialError(self._describe(exc)) from exc
        try:
            session_id = _check_answer(connection)
            tune_socket(connection.transport)
        except (DialError, OSError) as exc:
            connection.transport.abort()
            raise DialError(self._describe(exc)) from exc
        return connection, session_id

    async def _connect(self) -> ClientConnection:
        return await _Dial(
            f"wss://{self._address}{TUNNEL_PATH}",
            ssl=self._credentials.tls_context(),
            server_hostname=self._credentials.server_hostname,
            subprotocols=[Subprotocol(TUNNEL_SUBPROTOCOL)],
            additional_headers={INSTANCE_HEADER: self._instance_id},
            user_agent_header=None,
            compression=None,
            proxy=True,
            open_timeout=self._dial_timeout_s,
            close_timeout=_CLOSE_TIMEOUT_S,
            ping_interval=None,
            max_size=MAX_MESSAGE_BYTES,
            max_queue=_MAX_QUEUED_MESSAGES,
            write_limit=WRITE_LIMIT_BYTES,
        )

    def _describe(self, exc: Exception) -> str:
        return describe_dial_error(
            exc,
            address=self._address,
            server_hostname=self._credentials.server_hostname,
            ca_file=self._credentials.ca_certificate_file,
        )

    async def _serve(self, connection: ClientConnection, session_id: str) -> None:
        """Serve one session over one WebSocket until either ends."""
        self._backoff.attached()
        self._last_problem = None
        self._session = Session(role=Role.SERVER, session_id=session_id, handler=self._handler)
        pipe = ClientWebSocketPipe(connection)
        logger.info("tunnel open", extra={"server": self._address})
        try:
            reason = await self._session.run(pipe)
        except TunnelError as exc:
            reason = str(exc)
        finally:
            self._session = None
            self._backoff.lost(now=self._clock())
            pipe.abort()
        logger.warning("tunnel lost", extra={"server": self._address, "reason": reason})

    async def _pause(self) -> None:
        if self._stop.is_set():
            return
        delay_s = self._backoff.next_delay_s(now=self._clock(), chance=self._chance())
        try:
            async with asyncio.timeout(delay_s):
                await self._stop.wait()
        except TimeoutError:
            return

    def _note_problem(self, problem: str) -> None:
        # Once per change: an edge that is offline for a week must not fill its journal.
        if problem != self._last_problem:
            logger.warning("cannot reach the provider", extra={"reason": problem})
            self._last_problem = problem


def _check_answer(connection: ClientConnection) -> str:
    """Return the session id that the provider gave."""
    if connection.subprotocol != TUNNEL_SUBPROTOCOL:
        raise DialError(f"the provider does not speak {TUNNEL_SUBPROTOCOL}")
    response = connection.response
    session_id = response.headers.get(SESSION_HEADER, "") if response is not None else ""
    if not _SESSION_ID.fullmatch(session_id):
        raise DialError(f"the provider's answer has no usable {SESSION_HEADER}")
    return session_id
