"""TCP connections whose failures read as a kubelet's.

Source: Go's net.OpError and net.DNSError texts; kubernetes pkg/probe/tcp/tcp.go.
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

# An answer's head and the part of its body that is read fit several times.
STREAM_LIMIT_BYTES = 64 * 1024


class DialError(Exception):
    """No connection; the text is Go's: ``dial tcp 10.0.0.1:80: connect: connection refused``."""


def join_host_port(host: str, port: int) -> str:
    """Write an address as Go does: IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def dial(
    host: str, port: int, *, tls: ssl.SSLContext | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect. The caller sets the time limit, and closes; cancelling leaves nothing open.

    Args:
        host: An address or a name; names are looked up with the machine's own resolver.
        port: Port.
        tls: Secures the connection, None for a plain one.

    Raises:
        DialError: Nobody listens there, or there is no way.
        ssl.SSLError: The handshake failed.
    """
    try:
        return await asyncio.open_connection(
            host,
            port,
            ssl=tls,
            server_hostname=host if tls is not None else None,
            limit=STREAM_LIMIT_BYTES,
        )
    except socket.gaierror as exc:
        raise DialError(f"dial tcp: lookup {host}: no such host") from exc
    except OSError as exc:
        if exc.__class__.__module__ == "ssl":
            raise
        raise DialError(f"dial tcp {join_host_port(host, port)}: {_reason(exc)}") from exc


async def close(writer: asyncio.StreamWriter) -> None:
    """Close a connection; what its other end still has to say does not matter any more."""
    writer.close()
    try:
        await writer.wait_closed()
    except OSError:
        return  # it was closed from there


def go_errno(number: int | None, otherwise: str) -> str:
    """Write an error number as Go does: ``connection refused``."""
    return os.strerror(number).lower() if number else otherwise


def _reason(exc: OSError) -> str:
    return f"connect: {go_errno(exc.errno, str(exc))}"
