"""TLS contexts of the two ports, made from what is in memory, and the change of one at run time."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Gives the context of the next handshake; called for each, and must not fail.
ContextSource = Callable[[], ssl.SSLContext]


class CredentialError(Exception):
    """A certificate, key or CA that cannot be used; the message says which of them."""


def server_context(
    *, certificate_pem: bytes, key_pem: bytes, client_ca_pem: bytes
) -> ssl.SSLContext:
    """Make a server context: TLS 1.2 or newer, HTTP/1.1, client certificates verified if given.

    A client certificate of another CA fails in the handshake; whether one must be there is for the
    requests to decide. There are no session tickets: every connection shows its certificate again,
    so that one that expired does not live on in a resumed session.

    Args:
        certificate_pem: The certificate, then its intermediates.
        key_pem: Its key, not encrypted.
        client_ca_pem: One CA or more, each of which may have signed a client's certificate; empty
            where none may: then every client certificate fails.

    Raises:
        CredentialError: One of them is not what it should be, or the key is another certificate's.
    """
    context = _base_context()
    _load_key_pair(context, certificate_pem=certificate_pem, key_pem=key_pem)
    try:
        if client_ca_pem:
            context.load_verify_locations(cadata=client_ca_pem.decode("ascii"))
    except (ssl.SSLError, ValueError) as exc:
        raise CredentialError("there is no CA certificate in PEM form for clients") from exc
    return context


def changing_context(current: ContextSource) -> ssl.SSLContext:
    """Make a context for a listening socket that hands each handshake to the current one.

    Connections that there are go on as they began. Certificate, key and the CAs for clients are
    those of the current context; versions, options and whether clients are verified belong to the
    connection from its start and are the same for all contexts of ``server_context``.

    Source: OpenSSL SSL_set_SSL_CTX, ssl_verify_cert_chain (the store is that of the new context).
    """
    context = _base_context()

    def choose(connection: ssl.SSLObject, name: str | None, first: ssl.SSLContext) -> None:
        # Called for every ClientHello, with or without a name.
        del name, first
        connection.context = current()

    context.sni_callback = choose
    return context


def subject_of(certificate: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    """Read a verified certificate's subject as ``ssl`` gives it: attribute name to its values."""
    subject: dict[str, list[str]] = {}
    for attributes in certificate.get("subject", ()):
        for name, value in attributes:
            subject.setdefault(name, []).append(value)
    return {name: tuple(values) for name, values in subject.items()}


def _base_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_OPTIONAL
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0
    context.set_alpn_protocols(["http/1.1"])
    return context


def _load_key_pair(context: ssl.SSLContext, *, certificate_pem: bytes, key_pem: bytes) -> None:
    # ssl takes files alone; one in memory never reaches a disk.
    file = os.memfd_create("edgelet-serving", os.MFD_CLOEXEC)
    try:
        with open(file, "wb", closefd=False) as stream:
            stream.write(certificate_pem.rstrip() + b"\n" + key_pem)
        context.load_cert_chain(f"/proc/self/fd/{file}", password=_no_password)
    except (ssl.SSLError, ValueError) as exc:
        raise CredentialError(_key_pair_fault(exc)) from exc
    finally:
        os.close(file)


def _key_pair_fault(error: Exception) -> str:
    if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
        return "the private key is not that of the serving certificate"
    return "there is no serving certificate with its private key in PEM form"


def _no_password() -> str:
    # Without a callback OpenSSL would ask on the terminal.
    raise ValueError("the key is encrypted")
