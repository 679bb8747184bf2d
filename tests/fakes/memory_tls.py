"""TLS handshakes with no socket: what one context makes of another."""

from __future__ import annotations

import ssl


def shake_hands(
    server: ssl.SSLContext, client: ssl.SSLContext, *, name: str
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Connect a client to a server and return both ends, the client's first.

    Args:
        server: Its context.
        client: Its context.
        name: What the client expects and sends as SNI.

    Raises:
        ssl.SSLError: One of them refused the other.
    """
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_end = client.wrap_bio(to_client, to_server, server_hostname=name)
    server_end = server.wrap_bio(to_server, to_client, server_side=True)
    waiting = [client_end, server_end]
    for _ in range(10):
        waiting = [end for end in waiting if not _advance(end)]
    assert not waiting, "the handshake does not end"
    # TLS 1.3 tells a client that its certificate was refused after its own handshake.
    server_end.write(b"ok")
    assert client_end.read(2) == b"ok"
    return client_end, server_end


def _advance(end: ssl.SSLObject) -> bool:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def edge_context(
    ca_pem: bytes, *, certificate_pem: bytes = b"", key_pem: bytes = b"", folder: str = ""
) -> ssl.SSLContext:
    """Make an edge's context, as strict as later versions of Python make it.

    Args:
        ca_pem: What it trusts.
        certificate_pem: What it shows; nothing without one.
        key_pem: Its key.
        folder: For a file with both, which OpenSSL wants.
    """
    context = ssl.create_default_context(cadata=ca_pem.decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    if certificate_pem:
        file = f"{folder}/identity.pem"
        with open(file, "wb") as identity:
            identity.write(key_pem + certificate_pem)
        context.load_cert_chain(file)
    return context
