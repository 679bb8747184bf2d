"""The kubelet port's context: a new one after a change, the same one otherwise.

What becomes of open connections after a change is in tests/provider/kubelet_api.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import pytest

from provider.edge_link.edge_client import EdgeClient
from provider.trust.kubelet_certificate import self_signed
from provider.trust.kubelet_tls import KubeletTls
from tests.fakes.kubelet_port import SITE, Authorities, ClusterPki, Serving, kubelet_port

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def pki(tmp_path: Path) -> ClusterPki:
    """Make the cluster's certificates."""
    return ClusterPki(tmp_path)


def test_the_context_is_made_once_for_what_there_is(pki: ClusterPki) -> None:
    """Every handshake asks for it."""
    serving, authorities = Serving(pki.serving_certificate()), Authorities(pem=b"")
    tls = KubeletTls(serving=serving, authorities=authorities)
    first = tls.context()
    assert tls.context() is first
    authorities.pem = pki.ca_file.read_bytes()
    second = tls.context()
    assert second is not first
    serving.certificate = pki.serving_certificate()
    assert tls.context() is not second


async def test_a_new_certificate_is_shown_without_a_restart(pki: ClusterPki) -> None:
    """To the next handshake; the connection from before goes on."""
    async with kubelet_port(EdgeClient(site=SITE), pki) as port, port.connect() as client:
        now = port.serving.certificate.not_before
        port.serving.certificate = self_signed(site=SITE, address="127.0.0.1", now=now)
        with pytest.raises(ssl.SSLCertVerificationError):
            async with port.connect():
                pass
        shown = await asyncio.to_thread(
            ssl.get_server_certificate, ("127.0.0.1", port.server.port), timeout=5
        )
        assert shown.strip() == port.serving.certificate.chain_pem.decode().strip()
        await client.request("GET", "/pods")
        assert (await client.head())[0] == 503
