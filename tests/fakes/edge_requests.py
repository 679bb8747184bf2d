"""What anybody may send to an edge port: requests over TLS, CSRs and certificates of any kind."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tunnel.enrolment import IssuedCertificate, Refusal

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Sequence

    from cryptography.hazmat.primitives.asymmetric.types import (
        CertificateIssuerPrivateKeyTypes,
    )
    from cryptography.x509.oid import ObjectIdentifier

PEM = serialization.Encoding.PEM


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer of the port."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def refusal(self) -> Refusal:
        """The body of an answer that is no success."""
        assert self.status >= 400, self
        assert self.headers["content-type"] == "application/json"
        return msgspec.json.decode(self.body, type=Refusal)

    @property
    def said(self) -> tuple[int, str]:
        """Status and reason of a refusal."""
        return self.status, self.refusal.reason

    @property
    def issued(self) -> IssuedCertificate:
        """The body of an answer to a CSR."""
        assert self.status == 200, self
        return msgspec.json.decode(self.body, type=IssuedCertificate)


@contextlib.asynccontextmanager
async def _connected(
    port: int, context: ssl.SSLContext, *, name: str, source: str
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname=name, local_addr=(source, 0)
    )
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def ask(
    port: int,
    method: str,
    path: str,
    *,
    context: ssl.SSLContext,
    name: str,
    headers: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
    length: int | None = None,
    source: str = "127.0.0.1",
) -> Answer:
    """Send one request and read the answer, as an edge that speaks HTTP/1.1.

    Args:
        port: On 127.0.0.1.
        method: HTTP method.
        path: With a query, if any.
        context: TLS of the client.
        name: Which server is expected, and sent as SNI.
        headers: More of them.
        body: Sent after the head.
        length: What the head says of it, where that is not true.
        source: From which address of loopback.

    Raises:
        OSError: The connection was refused, which ``ssl.SSLError`` is, too.
    """
    said = [("Host", name), ("Connection", "close"), *headers]
    if "Transfer-Encoding" not in dict(headers):
        said.append(("Content-Length", str(len(body) if length is None else length)))
    lines = [f"{method} {path} HTTP/1.1", *(f"{key}: {value}" for key, value in said), "", ""]
    connecting = _connected(port, context, name=name, source=source)
    async with asyncio.timeout(20), connecting as (reader, writer):
        writer.write("\r\n".join(lines).encode() + body)
        return await _read_answer(reader)


async def _read_answer(reader: asyncio.StreamReader) -> Answer:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError as exc:
        # TLS 1.3 tells a client that its certificate was refused after the client's handshake.
        raise ConnectionResetError("closed without an answer") from exc
    status, *lines = head.rstrip("\r\n").split("\r\n")
    fields = {key.lower(): value for key, _, value in (line.partition(": ") for line in lines)}
    body = await reader.readexactly(int(fields.get("content-length", "0")))
    return Answer(status=int(status.split()[1]), headers=fields, body=body)


def chunked(body: bytes, *, size: int = 4096) -> bytes:
    """Encode a body whose length nobody is told."""
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def node_name(site: str, *, group: str = "system:nodes") -> x509.Name:
    """Return the subject of a site's certificates."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, group),
            x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{site}"),
        ]
    )


def new_key() -> ec.EllipticCurvePrivateKey:
    """Make a key as the edge does."""
    return ec.generate_private_key(ec.SECP256R1())


def csr_pem(
    key: CertificateIssuerPrivateKeyTypes,
    *,
    subject: x509.Name | None = None,
    extensions: Sequence[x509.ExtensionType] = (),
    algorithm: hashes.SHA256 | None = hashes.SHA256(),  # noqa: B008 - immutable
) -> bytes:
    """Make a CSR; by default one of site-a, as it should be."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        node_name("site-a") if subject is None else subject
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key, algorithm).public_bytes(PEM)


def forge(
    *,
    ca_pem: bytes,
    ca_key_pem: bytes,
    key: ec.EllipticCurvePrivateKey,
    subject: x509.Name | None = None,
    usage: ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH,
    days: int = 1,
) -> bytes:
    """Sign a certificate behind the provider's back; with negative ``days`` one that expired.

    Returns:
        The certificate, PEM.
    """
    authority = x509.load_pem_x509_certificate(ca_pem)
    ca_key = serialization.load_pem_private_key(ca_key_pem, password=None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(node_name("site-a") if subject is None else subject)
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(secrets.randbits(120))
        .not_valid_before(end - datetime.timedelta(days=3))
        .not_valid_after(end)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    return certificate.public_bytes(PEM)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Encode a key."""
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
