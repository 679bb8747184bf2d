"""A kubelet port on loopback with real TLS, and clients with and without certificates."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import itertools
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from provider.kubelet_api.authentication import Authenticator
from provider.kubelet_api.authorization import Authorizer
from provider.kubelet_api.server import KubeletServer
from provider.kubelet_api.token_review import TokenReviewer
from provider.serving.tls import server_context
from provider.trust.kubelet_certificate import KubeletCertificate
from provider.trust.kubelet_tls import KubeletTls
from tests.fakes.fake_api_server import FakeAPIServer
from tunnel.identity import parse_site_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from provider.edge_link.edge_client import EdgeClient

API_SERVER = "kube-apiserver-kubelet-client"
SITE = parse_site_name("site-a")
VERBS = ("get", "create", "update", "patch", "delete", "")
SUBRESOURCES = (
    *("proxy", "pods", "healthz", "configz", "stats", "metrics", "log", "checkpoint", "statusz"),
)


class ClusterPki:
    """The cluster's CA, the kubelet's serving certificate and clients' certificates."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = trustme.CA()
        self.ca_file = folder / "cluster-ca.pem"
        self.certificate_file = folder / "kubelet.pem"
        self.key_file = folder / "kubelet-key.pem"
        self.authority.cert_pem.write_to_path(self.ca_file)
        serving = self.authority.issue_cert("127.0.0.1")
        serving.cert_chain_pems[0].write_to_path(self.certificate_file)
        serving.private_key_pem.write_to_path(self.key_file)

    def server_context(self) -> ssl.SSLContext:
        """Make the port's context."""
        return server_context(
            certificate_pem=self.certificate_file.read_bytes(),
            key_pem=self.key_file.read_bytes(),
            client_ca_pem=self.ca_file.read_bytes(),
        )

    def client_context(
        self, common_name: str | None, *, authority: trustme.CA | None = None
    ) -> ssl.SSLContext:
        """Make a client's context, with a certificate for this name if any."""
        context = ssl.create_default_context(cafile=self.ca_file)
        if common_name is not None:
            leaf = (authority or self.authority).issue_cert("c.test", common_name=common_name)
            leaf.configure_cert(context)
        return context

    def client_context_of(
        self,
        *names: tuple[str, str],
        usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH,
        lifetime: datetime.timedelta = datetime.timedelta(days=1),
        authority: trustme.CA | None = None,
    ) -> ssl.SSLContext:
        """Make a client's context with a certificate of any subject, as (OID, value) pairs."""
        issuer = authority or self.authority
        ca = x509.load_pem_x509_certificate(issuer.cert_pem.bytes())
        ca_key = serialization.load_pem_private_key(issuer.private_key_pem.bytes(), password=None)
        assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
        key = ec.generate_private_key(ec.SECP256R1())
        end = datetime.datetime.now(datetime.UTC) + lifetime
        attributes = [x509.NameAttribute(x509.ObjectIdentifier(oid), text) for oid, text in names]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(attributes))
            .issuer_name(ca.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(end - datetime.timedelta(days=2))
            .not_valid_after(end)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .sign(ca_key, hashes.SHA256())
        )
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        key_pem = key.private_bytes(encoding, form, serialization.NoEncryption())
        context = ssl.create_default_context(cafile=self.ca_file)
        pair = trustme.Blob(key_pem + certificate.public_bytes(encoding))
        with pair.tempfile() as file:
            context.load_cert_chain(file)
        return context

    def serving_certificate(self) -> KubeletCertificate:
        """Return the kubelet's certificate as trust would have it."""
        now = datetime.datetime.now(datetime.UTC)
        return KubeletCertificate(
            chain_pem=self.certificate_file.read_bytes(),
            key_pem=self.key_file.read_bytes(),
            not_before=now,
            not_after=now + datetime.timedelta(days=1),
            is_self_signed=False,
        )


@dataclass
class Serving:
    """Has a certificate; a test may change it."""

    certificate: KubeletCertificate


@dataclass
class Authorities:
    """Has the CA of clients; a test may change it."""

    pem: bytes


class RawClient:
    """One connection that speaks HTTP/1.1 by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def request(self, method: str, target: str, *lines: str, body: bytes = b"") -> None:
        """Send a request head, and bytes behind it."""
        head = "\r\n".join([f"{method} {target} HTTP/1.1", "Host: node", *lines, "", ""])
        self.writer.write(head.encode() + body)
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        """Read a response head."""
        text = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        status, *lines = text.rstrip("\r\n").split("\r\n")
        pairs = [line.partition(": ") for line in lines]
        return int(status.split()[1]), {name.lower(): value for name, _, value in pairs}

    async def rest(self) -> bytes:
        """Read to the end of the connection."""
        return await self.reader.read()


class KubeletPort:
    """A running port.

    Attributes:
        api: Whom it asks who calls and what they may; the API server's own name may everything.
        answered: Row and status of each answer.
        serving: Has its certificate.
        authorities: Has the CA of its clients.
    """

    def __init__(
        self,
        server: KubeletServer,
        pki: ClusterPki,
        *,
        api: FakeAPIServer,
        serving: Serving,
        authorities: Authorities,
    ) -> None:
        self.server = server
        self.pki = pki
        self.api = api
        self.answered: list[tuple[str, int]] = []
        self.serving = serving
        self.authorities = authorities

    @contextlib.asynccontextmanager
    async def connect(
        self, common_name: str | None = API_SERVER, *, authority: trustme.CA | None = None
    ) -> AsyncIterator[RawClient]:
        """Open a connection with a client certificate of this name, or with none."""
        context = self.pki.client_context(common_name, authority=authority)
        async with self.connect_with(context) as client:
            yield client

    @contextlib.asynccontextmanager
    async def connect_with(self, context: ssl.SSLContext) -> AsyncIterator[RawClient]:
        """Open a connection with a context of the test's own."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.server.port, ssl=context, limit=1 << 20
        )
        try:
            yield RawClient(reader, writer)
        finally:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def ask(
        self,
        method: str,
        target: str,
        *lines: str,
        token: str | None = None,
        common_name: str | None = None,
    ) -> tuple[int, str]:
        """Make one request on a connection of its own and return status and text."""
        if token is not None:
            lines = (*lines, f"Authorization: Bearer {token}")
        if not any(line.lower().startswith("connection:") for line in lines):
            lines = (*lines, "Connection: close")
        async with self.connect(common_name) as client:
            await client.request(method, target, *lines)
            status, headers = await client.head()
            if method == "HEAD":
                return status, ""
            if "content-length" in headers:
                body = await client.reader.readexactly(int(headers["content-length"]))
            else:
                body = await client.rest()
            return status, body.decode()


def allow_everything(api: FakeAPIServer, user: str) -> None:
    """Let a user do whatever there is on the node, as ``system:kubelet-api-admin`` does."""
    api.reviews.allowed |= {
        (user, verb, subresource) for verb, subresource in itertools.product(VERBS, SUBRESOURCES)
    }


@contextlib.asynccontextmanager
async def kubelet_port(
    edge: EdgeClient, pki: ClusterPki, *, clock: Callable[[], float] = time.time
) -> AsyncIterator[KubeletPort]:
    """Serve the kubelet API until the block is left; the cluster is asked over real HTTP."""
    serving, authorities = Serving(pki.serving_certificate()), Authorities(pki.ca_file.read_bytes())
    tls = KubeletTls(serving=serving, authorities=authorities)
    answered: list[tuple[str, int]] = []
    async with FakeAPIServer() as api, api.client(SITE) as kube:
        allow_everything(api, API_SERVER)
        server = KubeletServer(
            edge=edge,
            authenticator=Authenticator(
                tokens=TokenReviewer(kube.as_node), authorities=tls, clock=clock
            ),
            authorizer=Authorizer(kube.as_node, node_name=SITE),
            context=tls.context,
            answered=lambda *, path, status: answered.append((path, status)),
        )
        await server.listen(host="127.0.0.1", port=0)
        try:
            port = KubeletPort(server, pki, api=api, serving=serving, authorities=authorities)
            port.answered = answered
            yield port
        finally:
            await server.shutdown(timeout_s=0.2)
