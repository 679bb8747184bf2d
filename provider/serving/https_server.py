"""One HTTPS port: listen, hand requests to a function, stop.

Built on aiohttp's low-level server, so that a path reaches the function as it came over the wire.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from provider.serving.tls import changing_context

if TYPE_CHECKING:
    from provider.serving.tls import ContextSource

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

# The request line of an exec carries its command; the tunnel takes 64 KiB of headers in all.
MAX_LINE_BYTES = 48 << 10
MAX_FIELD_BYTES = 16 << 10
HANDSHAKE_TIMEOUT_S = 10.0
# TLS clients that never answer our close_notify.
TLS_SHUTDOWN_TIMEOUT_S = 5.0
_BACKLOG = 256
# One more, and the one that has waited longest for a request is dropped, so that whoever opens
# connections and says nothing keeps nobody out; if all have a request, the newcomer. Those whose
# handshake is not over are bounded by its time-out.
MAX_CONNECTIONS = 1024


class ListenError(Exception):
    """The address cannot be listened on; the message names it and the reason."""


class Connection(RequestHandler):
    """aiohttp's connection, which also remembers what came with and behind a request's head.

    aiohttp drops what follows the head of an upgrade that it does not know; the new protocol may
    begin there.
    """

    __slots__ = ("_has_request", "_record", "_server")

    def __init__(self, server: _Server, **options: Any) -> None:  # noqa: ANN401
        super().__init__(server, **options)
        self._server = server
        self._has_request = False
        self._record: bytearray | None = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a new connection."""
        super().connection_made(transport)
        self._server.take(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Let the connection go, and with it what waits for the rest of an answered request."""
        self._server.let_go(self)
        # aiohttp would wait on for a body that cannot come any more.
        task = self._task_handler if not self._has_request else None
        super().connection_lost(exc)
        if task is not None:
            task.cancel()

    def data_received(self, data: bytes) -> None:
        """Remember and pass on bytes of the client."""
        if self._record is not None:
            self._record += data
            if len(self._record) > MAX_LINE_BYTES * 4:
                # A body, or far too much behind a head: nothing that could be taken over.
                self._record = None
        super().data_received(data)

    def request_begun(self) -> None:
        """Count as one that works."""
        self._has_request = True
        self._server.waiting.pop(self, None)

    def request_done(self) -> None:
        """Begin to remember anew: the next head may come."""
        self._has_request = False
        self._record = bytearray()
        if self.transport is not None:
            self._server.waiting[self] = None

    def drop(self) -> None:
        """Reset the connection."""
        transport = self.transport
        if transport is not None:
            transport.abort()

    def take_early_bytes(self, request: web.BaseRequest) -> bytes | None:
        """Return what the client sent behind the head of its upgrade request.

        Returns:
            The bytes, mostly none; None when they cannot be told from other requests on the
            connection.
        """
        record, self._record = self._record, None
        line = f"{request.method} {request.raw_path} ".encode("utf-8", "surrogateescape")
        if record is None or not bytes(record).lstrip(b"\r\n").startswith(line):
            return None
        return bytes(record).lstrip(b"\r\n").partition(b"\r\n\r\n")[2]


class _Server(web.Server):
    """aiohttp's server with our connections.

    Attributes:
        waiting: Those that have no request now, the longest without one first.
    """

    def __init__(
        self, handler: Handler, *, handler_cancellation: bool, options: dict[str, Any]
    ) -> None:
        super().__init__(handler, handler_cancellation=handler_cancellation)
        self._options = options
        self._count = 0
        self.waiting: dict[Connection, None] = {}

    def take(self, connection: Connection) -> None:
        """Count a new connection, and drop one if that is one too many."""
        self._count += 1
        self.waiting[connection] = None
        if self._count > MAX_CONNECTIONS:
            oldest = next(iter(self.waiting))
            del self.waiting[oldest]
            oldest.drop()

    def let_go(self, connection: Connection) -> None:
        """Forget a connection that is no more."""
        self._count -= 1
        self.waiting.pop(connection, None)

    def __call__(self) -> RequestHandler:
        """Make the protocol of one new connection."""
        return Connection(self, loop=asyncio.get_running_loop(), **self._options)


class HttpsServer:
    """One TLS port; each port of the provider is one.

    Args:
        handler: Answers one request; must handle its own errors.
        context: Gives the TLS server context of the next handshake; None for plain HTTP, which only
            the health port speaks.
        cancel_on_disconnect: Cancel the handler of a request as soon as its client is gone.
        head_timeout_s: How long a connection may stay without a whole request head.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        context: ContextSource | None,
        cancel_on_disconnect: bool,
        head_timeout_s: float,
    ) -> None:
        self._handler = handler
        self._context = context
        self._cancel_on_disconnect = cancel_on_disconnect
        self._head_timeout_s = head_timeout_s
        self._server: _Server | None = None
        self._listener: asyncio.Server | None = None
        self._port = 0

    @property
    def port(self) -> int:
        """The TCP port; the real one after listening on port 0."""
        return self._port

    async def listen(self, *, host: str, port: int) -> None:
        """Bind and begin to accept.

        Raises:
            ListenError: The address is in use, not ours or not an address.
        """
        listening_socket = _bind(host, port)
        self._port = listening_socket.getsockname()[1]
        self._server = _Server(
            self._run_handler,
            handler_cancellation=self._cancel_on_disconnect,
            options={
                "keepalive_timeout": self._head_timeout_s,
                "access_log": None,
                "max_line_size": MAX_LINE_BYTES,
                "max_field_size": MAX_FIELD_BYTES,
                "lingering_time": 2.0,
            },
        )
        is_tls = self._context is not None
        self._listener = await asyncio.get_running_loop().create_server(
            self._server,
            sock=listening_socket,
            ssl=None if self._context is None else changing_context(self._context),
            backlog=_BACKLOG,
            ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S if is_tls else None,
            ssl_shutdown_timeout=TLS_SHUTDOWN_TIMEOUT_S if is_tls else None,
        )

    def stop_accepting(self) -> None:
        """Accept no more connections; those that there are go on, and what runs on them."""
        if self._listener is not None:
            self._listener.close()

    async def shutdown(self, *, timeout_s: float) -> None:
        """Stop: running requests get ``timeout_s``, then every connection is closed."""
        self.stop_accepting()
        if self._server is not None:
            await self._server.shutdown(timeout_s)

    async def _run_handler(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = cast("Connection", request.protocol)
        connection.request_begun()
        try:
            return await self._handler(request)
        finally:
            connection.request_done()


def _set_keepalive(listening_socket: socket.socket) -> None:
    """Let accepted connections notice a vanished client within 2.5 min, not the kernel's 2 h.

    They inherit it. Until then a log that is followed and quiet would keep its stream.

    Source: Go net.ListenConfig, the keep-alive of a kubelet's server (15 s, 9 probes).
    """
    listening_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15)
    listening_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)
    listening_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 9)
    listening_socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICHOST
        )[0]
        listening_socket = socket.socket(family, kind, protocol)
    except OSError as exc:
        raise ListenError(f"cannot listen on {host}:{port}: {exc.strerror or exc}") from exc
    try:
        listening_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _set_keepalive(listening_socket)
        listening_socket.setblocking(False)
        listening_socket.bind(address)
        listening_socket.listen(_BACKLOG)
    except OSError as exc:
        listening_socket.close()
        reason = os.strerror(exc.errno or errno.EINVAL).lower()
        raise ListenError(f"cannot listen on {host}:{port}: {reason}") from exc
    return listening_socket
