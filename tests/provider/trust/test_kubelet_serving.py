"""The kubelet port's certificate over days, under virtual time, with a cluster that decides."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from provider.trust.kubelet_certificate import certificate_request, new_key_pem
from provider.trust.kubelet_request import REPORT_PENDING_AFTER_S
from provider.trust.kubelet_serving import DENIED_DELAY_S, KubeletServing, ServingSettings
from provider.trust.secret_store import SecretStore
from tests.fakes.fake_api_server import FakeAPIServer, on_api_server
from tests.fakes.kubelet_signer import REQUESTS, KubeletSigner, decide, requests
from tests.fakes.site_objects import put_site, secret_data, secrets_path
from tunnel.identity import SiteName

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from provider.kube.client import KubeClient

pytestmark = pytest.mark.looptime

SITE = SiteName("site-a")
ADDRESS = "10.1.2.3"
START = datetime.datetime(2026, 5, 1, tzinfo=datetime.UTC)
LIFETIME = datetime.timedelta(hours=10)
SECRET = "edgelet-kubelet-serving"


def clock() -> datetime.datetime:
    """Return the wall clock that goes with the loop's."""
    return START + datetime.timedelta(seconds=asyncio.get_running_loop().time())


async def until(condition: Callable[[], bool]) -> None:
    """Let virtual time pass until something is so."""
    while not condition():  # noqa: ASYNC110 - it is what others do that is waited for
        await asyncio.sleep(1)


@dataclass
class Provider:
    """A provider's share of it."""

    serving: KubeletServing
    server: FakeAPIServer
    signer: KubeletSigner = field(default_factory=lambda: KubeletSigner(clock, lifetime=LIFETIME))
    reports: list[str] = field(default_factory=list)

    async def request(self) -> str:
        """Wait for the one request that there is and return its name."""
        await until(lambda: bool(requests(self.server)))
        (name,) = requests(self.server)
        return name

    async def approve(self) -> bytes:
        """Approve the request once it is there, and wait until its certificate is shown."""
        chain_pem = self.signer.approve(self.server, await self.request())
        await until(lambda: self.serving.certificate.chain_pem == chain_pem)
        await asyncio.sleep(1)
        return chain_pem


@contextlib.asynccontextmanager
async def running(
    server: FakeAPIServer, kube: KubeClient, *, address: str = ADDRESS
) -> AsyncIterator[Provider]:
    """Load, then run, until the block is left."""
    reports: list[str] = []
    serving = KubeletServing(
        settings=ServingSettings(site=SITE, address=address),
        as_node=kube.as_node,
        secrets=SecretStore(kube.as_self, namespace="edgelet-site-a"),
        report=lambda *, reason, message: reports.append(f"{reason}: {message}"),
        clock=clock,
    )
    await serving.load()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(serving.run())
        try:
            yield Provider(serving=serving, server=server, reports=reports)
        finally:
            task.cancel()


@on_api_server
async def test_self_signed_until_it_is_approved(server: FakeAPIServer, kube: KubeClient) -> None:
    """Asked for as the node; key and certificate are in the Secret afterwards."""
    put_site(server)
    async with running(server, kube) as provider:
        assert provider.serving.certificate.is_self_signed
        name = await provider.request()
        (asked,) = server.seen("create", "certificatesigningrequests")
        assert asked.user == "system:node:site-a"
        assert set(secret_data(server, SECRET)) == {"pending.key"}
        await asyncio.sleep(3600)
        assert provider.serving.certificate.is_self_signed
        assert requests(server) == [name]
        chain_pem = await provider.approve()
        stored = secret_data(server, SECRET)
        assert set(stored) == {"tls.crt", "tls.key"}
        assert stored["tls.crt"] == chain_pem
        assert stored["tls.key"] == provider.serving.certificate.key_pem


@on_api_server
async def test_somebody_is_told_when_nobody_approves(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Once, with the command that does it; not when a program has approved by then."""
    put_site(server)
    async with running(server, kube) as provider:
        name = await provider.request()
        assert not provider.reports
        await asyncio.sleep(REPORT_PENDING_AFTER_S + 1)
        (report,) = provider.reports
        assert report.startswith("ServingCertificatePending: ")
        assert f"kubectl certificate approve {name}" in report
        await asyncio.sleep(3600)
        assert len(provider.reports) == 1


@on_api_server
async def test_a_restarted_provider_finds_its_request_again(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Approved while it was away, it is not made again."""
    put_site(server)
    async with running(server, kube) as provider:
        name = await provider.request()
    provider.signer.approve(server, name)
    async with running(server, kube) as provider:
        await asyncio.sleep(1)
        assert not provider.serving.certificate.is_self_signed
        assert requests(server) == [name]


@on_api_server
async def test_a_restarted_provider_shows_what_is_stored(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """At once, and asks for nothing."""
    put_site(server)
    async with running(server, kube) as provider:
        chain_pem = await provider.approve()
    server.remove(REQUESTS, requests(server)[0])
    async with running(server, kube) as provider:
        assert provider.serving.certificate.chain_pem == chain_pem
        await asyncio.sleep(3600)
        assert not requests(server)


@on_api_server
async def test_it_is_renewed_in_time(server: FakeAPIServer, kube: KubeClient) -> None:
    """Between 70 and 90 % of its life, with another key; the old one is shown until then."""
    put_site(server)
    async with running(server, kube) as provider:
        first = await provider.approve()
        old_key = provider.serving.certificate.key_pem
        issued_at = provider.serving.certificate.not_before
        server.remove(REQUESTS, requests(server)[0])
        await asyncio.sleep(0.69 * LIFETIME.total_seconds())
        assert not requests(server)
        await provider.request()
        share = (clock() - issued_at) / LIFETIME
        assert 0.7 <= share <= 0.91
        assert provider.serving.certificate.chain_pem == first
        assert await provider.approve() != first
        assert provider.serving.certificate.key_pem != old_key
        assert set(secret_data(server, SECRET)) == {"tls.crt", "tls.key"}


@on_api_server
async def test_without_renewal_the_end_is_told_and_a_self_signed_one_shown(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """An expired one would be no better for anybody; the request still waits."""
    put_site(server)
    async with running(server, kube) as provider:
        await provider.approve()
        server.remove(REQUESTS, requests(server)[0])
        await asyncio.sleep(LIFETIME.total_seconds() + 60)
        assert provider.serving.certificate.is_self_signed
        assert any(one.startswith("ServingCertificateExpired") for one in provider.reports)
        await provider.approve()
        assert not provider.serving.certificate.is_self_signed


@on_api_server
async def test_a_new_address_is_a_new_request(server: FakeAPIServer, kube: KubeClient) -> None:
    """The stored certificate is of no use there; it is asked for with what the Node publishes."""
    put_site(server)
    async with running(server, kube) as provider:
        await provider.approve()
    server.remove(REQUESTS, requests(server)[0])
    async with running(server, kube, address="10.9.9.9") as provider:
        assert provider.serving.certificate.is_self_signed
        await provider.approve()
        assert not provider.serving.certificate.is_self_signed


@on_api_server
@pytest.mark.parametrize("kind", ["Denied", "Failed"])
async def test_a_denied_request_is_made_again_after_an_hour(
    server: FakeAPIServer, kube: KubeClient, kind: str
) -> None:
    """With another key, and said why; not before, or whoever denies would be flooded."""
    put_site(server)
    async with running(server, kube) as provider:
        name = await provider.request()
        decide(server, name, kind)
        await asyncio.sleep(DENIED_DELAY_S - 10)
        assert requests(server) == [name]
        (report,) = provider.reports
        assert report == (
            f"ServingCertificateRefused: certificate signing request {name}: {kind}, Test: as told"
        )
        assert secret_data(server, SECRET) == {}
        await asyncio.sleep(20)
        assert len(requests(server)) == 2


@on_api_server
async def test_a_deleted_request_is_made_again(server: FakeAPIServer, kube: KubeClient) -> None:
    """The cluster deletes one that nobody decided after a day."""
    put_site(server)
    async with running(server, kube) as provider:
        name = await provider.request()
        server.remove(REQUESTS, name)
        await asyncio.sleep(60)
        assert requests(server) == [name]
        await provider.approve()


@on_api_server
async def test_a_certificate_of_another_key_is_not_shown(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Whoever made a request of our name gets nothing by it."""
    put_site(server)
    async with running(server, kube) as provider:
        name = await provider.request()
        foreign = certificate_request(site=SITE, address=ADDRESS, key_pem=new_key_pem())
        certificate = provider.signer.sign(foreign)
        decide(server, name, "Approved", certificate=certificate)
        await asyncio.sleep(10)
        assert provider.serving.certificate.is_self_signed
        assert "another key" in provider.reports[0]


@on_api_server
async def test_without_an_api_server_it_starts_and_catches_up(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Neither a missing Secret nor a server that is away keeps the port closed."""
    async with running(server, kube) as provider:
        assert provider.serving.certificate.is_self_signed
        await asyncio.sleep(120)
        assert not requests(server)
        put_site(server)
        server.fail("create", "certificatesigningrequests", 503, times=3)
        await provider.approve()


@on_api_server
async def test_a_certificate_is_stored_however_long_that_takes(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Its request is soon deleted, and would have to be approved again."""
    put_site(server)
    async with running(server, kube) as provider:
        name = await provider.request()
        server.fail("update", SECRET, 503, times=5)
        chain_pem = provider.signer.approve(server, name)
        await asyncio.sleep(120)
        assert provider.serving.certificate.chain_pem == chain_pem
        assert secret_data(server, SECRET)["tls.crt"] == chain_pem


@on_api_server
async def test_two_providers_of_a_site_do_not_tear_the_secret(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """In a rolling update each has an address of its own; key and certificate stay a pair."""
    put_site(server)
    async with running(server, kube) as one, running(server, kube, address="10.9.9.9") as other:
        await until(lambda: len(requests(server)) == 2)
        for name in requests(server):
            one.signer.approve(server, name)
        await asyncio.sleep(5)
        pairs = {
            (provider.serving.certificate.chain_pem, provider.serving.certificate.key_pem)
            for provider in (one, other)
        }
        assert not any(provider.serving.certificate.is_self_signed for provider in (one, other))
        stored = secret_data(server, SECRET)
        assert (stored["tls.crt"], stored["tls.key"]) in pairs
        assert "pending.key" not in stored


@on_api_server
async def test_broken_contents_of_the_secret_are_replaced(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Nothing in it is worth a person's time: there is always a new certificate."""
    put_site(server)
    body = server.objects[secrets_path("site-a"), SECRET]
    junk = base64.b64encode(b"junk").decode()
    body |= {"data": {"tls.crt": junk, "tls.key": junk, "pending.key": junk}}
    server.put(secrets_path("site-a"), body)
    async with running(server, kube) as provider:
        await provider.approve()
        assert set(secret_data(server, SECRET)) == {"tls.crt", "tls.key"}
