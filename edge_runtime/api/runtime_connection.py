"""One TCP connection to a streaming server of the container runtime.

Plain non-blocking sockets instead of a transport: the two directions fail separately here. A
runtime that takes no more input (EPIPE) may still have output, which a transport would throw away.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from edge_runtime.api.request import ApiError

if TYPE_CHECKING:
    from types import TracebackType

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 5.0
# One read: large enough that 100 MB are a few thousand turns of the loop, small enough to share it.
READ_BYTES = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamingAddress:
    """Where on loopback the runtime serves one stream, and under which path."""

    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """``host:port`` as the Host header has it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_streaming_url(url: str) -> StreamingAddress:
    """Accept a URL of the container runtime's streaming server.

    Raises:
        ApiError: 500, unless it is plain HTTP to a loopback address with a port: whatever the
            runtime says, the edge dials no other machine for it.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        address = ipaddress.ip_address(parts.hostname or "")
    except ValueError as exc:
        raise ApiError(500, "the container runtime's streaming URL is not a loopback URL") from exc
    if parts.scheme != "http" or not port or not address.is_loopback or parts.username is not None:
        raise ApiError(500, "the container runtime's streaming URL is not a loopback URL")
    path = parts.path or "/"
    if parts.query:
        path += "?" + parts.query
    if not re.fullmatch(r"[\x21-\x7e]+", path):
        raise ApiError(500, "the container runtime's streaming URL has no usable path")
    return StreamingAddress(host=str(address), port=port, path=path)


class RuntimeConnection:
    """A connected socket; a context manager that closes it.

    One task may receive while another sends.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._was_reset = False
        self._is_torn = False

    @classmethod
    async def open(cls, address: StreamingAddress) -> Self:
        """Connect. Cancelling leaves nothing open.

        Raises:
            ApiError: 500, nobody answers there.
        """
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        kind = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        opened = socket.socket(family, kind)
        try:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await asyncio.get_running_loop().sock_connect(opened, (address.host, address.port))
        except OSError as exc:
            opened.close()
            raise ApiError(500, f"error dialing the container runtime: {exc}") from exc
        except BaseException:
            opened.close()
            raise
        return cls(opened)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()

    async def receive(self) -> bytes:
        """Return the next bytes; b"" at the orderly end, and only there.

        Cancelling is safe: no byte is lost.

        Raises:
            ConnectionResetError: The runtime broke the connection off.
            OSError: It was lost otherwise.
        """
        data = await asyncio.get_running_loop().sock_recv(self._socket, READ_BYTES)
        if not data and self._was_reset:
            # The kernel tells of a reset once. If the sender was told, the receiver sees an end
            # like an orderly one, which would make a lost command a successful one.
            raise ConnectionResetError(errno.ECONNRESET, "connection reset by the runtime")
        return data

    async def send(self, data: bytes) -> bool:
        """Send all bytes; return False when the runtime takes no more.

        That is no failure: the command may have ended, and its output still be on the way. Also
        after a ``send`` that was cancelled: nobody knows how much of it went out.

        Raises:
            OSError: The connection was lost otherwise.
        """
        if self._is_torn:
            return False
        self._is_torn = True
        try:
            await asyncio.get_running_loop().sock_sendall(self._socket, data)
        except BrokenPipeError:
            return False
        except ConnectionResetError:
            self._was_reset = True
            return False
        self._is_torn = False
        return True

    def end_input(self) -> None:
        """Send the end of input; nothing happens when the runtime has gone already."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as exc:
            logger.debug("runtime was already gone", extra={"error": str(exc)})
