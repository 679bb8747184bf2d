"""Raw TLS and HTTP/1.1 towards the provider's two ports."""

from __future__ import annotations

import socket
import ssl
import tempfile
from dataclasses import dataclass

from devcluster.netns import inside

REFUSED_IN_THE_HANDSHAKE = 0
READ_BYTES = 65536
TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A TLS port, reached from inside a network namespace."""

    netns: str
    address: str
    port: int
    server_name: str | None = None


def ask(endpoint: Endpoint, request: bytes, *, pair: bytes | None = None) -> tuple[int, bytes]:
    """Send one request and return status and everything that came back.

    A refusal in the handshake (TLS 1.3 reports it on the first read) gives status 0. The server's
    certificate is not verified: what is tested is whether the server lets us in.

    Args:
        endpoint: Where.
        request: The whole request, head and body.
        pair: PEM of a client certificate with its key; none is offered without it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if pair is not None:
        with tempfile.NamedTemporaryFile() as file:
            file.write(pair)
            file.flush()
            context.load_cert_chain(file.name)
    raw = inside(endpoint.netns, lambda: _connect(endpoint))
    with raw:
        try:
            with context.wrap_socket(raw, server_hostname=endpoint.server_name) as connection:
                connection.sendall(request)
                answer = _read(connection)
        except (ssl.SSLError, ConnectionResetError, BrokenPipeError):
            return REFUSED_IN_THE_HANDSHAKE, b""
    if not answer:
        return REFUSED_IN_THE_HANDSHAKE, b""
    return int(answer.split(b" ", 2)[1]), answer


def request(method: str, path: str, **headers: str) -> bytes:
    """Return an HTTP/1.1 request that asks to close the connection unless it upgrades it."""
    headers.setdefault("Connection", "close")
    lines = [f"{method} {path} HTTP/1.1", "Host: provider"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _connect(endpoint: Endpoint) -> socket.socket:
    return socket.create_connection((endpoint.address, endpoint.port), timeout=TIMEOUT_S)


def _read(connection: ssl.SSLSocket) -> bytes:
    """Read until the peer closes or falls silent; a head is enough."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        data = connection.recv(READ_BYTES)
        if not data:
            break
        answer += data
    return answer
