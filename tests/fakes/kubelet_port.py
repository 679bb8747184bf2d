"""A kubelet port on loopback with real TLS, and clients with and without certificates."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING

import trustme

from provider.kubelet_api.authorization import Authorizer
from provider.kubelet_api.server import KubeletServer
from provider.serving.tls import server_context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from provider.edge_link.edge_client import EdgeClient

API_SERVER = "kube-apiserver-kubelet-client"


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
    """A running port."""

    def __init__(self, server: KubeletServer, pki: ClusterPki) -> None:
        self.server = server
        self.pki = pki

    @contextlib.asynccontextmanager
    async def connect(
        self, common_name: str | None = API_SERVER, *, authority: trustme.CA | None = None
    ) -> AsyncIterator[RawClient]:
        """Open a connection with a client certificate of this name, or with none."""
        context = self.pki.client_context(common_name, authority=authority)
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.server.port, ssl=context, limit=1 << 20
        )
        try:
            yield RawClient(reader, writer)
        finally:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def kubelet_port(edge: EdgeClient, pki: ClusterPki) -> AsyncIterator[KubeletPort]:
    """Serve the kubelet API until the block is left."""
    context = pki.server_context()
    authorizer = Authorizer(api_server_name=API_SERVER)
    server = KubeletServer(edge=edge, authorizer=authorizer, context=lambda: context)
    await server.listen(host="127.0.0.1", port=0)
    try:
        yield KubeletPort(server, pki)
    finally:
        await server.shutdown(timeout_s=0.2)
