"""The CA of the cluster's clients: followed, and kept when there is nothing better."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest
import trustme

from provider.trust.kubelet_client_ca import KubeletClientCA
from tests.fakes.fake_api_server import FakeAPIServer, on_api_server
from tests.fakes.site_objects import CLIENT_CA_NAME, CONFIG_MAPS, put_client_ca

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from provider.kube.client import KubeClient

pytestmark = pytest.mark.looptime


def ca_pem() -> str:
    """Make a CA."""
    return trustme.CA().cert_pem.bytes().decode()


@contextlib.asynccontextmanager
async def following(kube: KubeClient) -> AsyncIterator[KubeletClientCA]:
    """Load, then follow, until the block is left."""
    client_ca = KubeletClientCA(kube.as_self)
    await client_ca.load()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(client_ca.run())
        try:
            yield client_ca
        finally:
            task.cancel()


@on_api_server
async def test_it_is_there_after_loading(server: FakeAPIServer, kube: KubeClient) -> None:
    """Read as the provider itself: a node may not read it."""
    pem = ca_pem()
    put_client_ca(server, pem)
    client_ca = KubeletClientCA(kube.as_self)
    assert client_ca.pem == b""
    await client_ca.load()
    assert client_ca.pem == pem.encode()
    assert [one.user for one in server.seen("get")] == [""]


@on_api_server
async def test_a_change_is_seen_at_once(server: FakeAPIServer, kube: KubeClient) -> None:
    """And watched for in this one object only."""
    put_client_ca(server, ca_pem())
    async with following(kube) as client_ca:
        await asyncio.sleep(1)
        bundle = ca_pem() + ca_pem()
        put_client_ca(server, bundle)
        await asyncio.sleep(1)
        assert client_ca.pem == bundle.encode()
        server.put(CONFIG_MAPS, {"metadata": {"name": "other"}, "data": {"client-ca-file": "x"}})
        await asyncio.sleep(1)
        assert client_ca.pem == bundle.encode()


@on_api_server
@pytest.mark.parametrize(
    "text", ["", "junk", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "\u00e9"]
)
async def test_what_is_no_ca_changes_nothing(
    server: FakeAPIServer, kube: KubeClient, text: str
) -> None:
    """The port would have no context with it."""
    pem = ca_pem()
    put_client_ca(server, pem)
    async with following(kube) as client_ca:
        put_client_ca(server, text)
        await asyncio.sleep(1)
        assert client_ca.pem == pem.encode()


@on_api_server
async def test_an_object_that_is_gone_changes_nothing(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """The API server writes it again within a minute."""
    pem = ca_pem()
    put_client_ca(server, pem)
    async with following(kube) as client_ca:
        await asyncio.sleep(1)
        server.remove(CONFIG_MAPS, CLIENT_CA_NAME)
        await asyncio.sleep(1)
        assert client_ca.pem == pem.encode()


@on_api_server
async def test_what_could_not_be_read_at_the_start_is_had_later(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Until then nobody has a certificate."""
    server.fail("get", CLIENT_CA_NAME, 503)
    pem = ca_pem()
    put_client_ca(server, pem)
    async with following(kube) as client_ca:
        assert client_ca.pem == b""
        await asyncio.sleep(1)
        assert client_ca.pem == pem.encode()
