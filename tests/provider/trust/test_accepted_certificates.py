"""Which certificates are accepted, from memory; and what is left to do when a write fails."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from provider.trust.errors import CertificateRefused
from tests.fakes.edge_pods import until
from tests.fakes.fake_api_server import FakeAPIServer, on_api_server
from tests.fakes.trust_site import TrustSite, load_site
from tunnel.enrolment import RefusalReason

if TYPE_CHECKING:
    from provider.kube.client import KubeClient

CERTIFICATES = "edgelet-site-certificates"


@on_api_server
async def test_a_predecessor_that_could_not_be_dropped_is_dropped_later(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """The tunnel does not wait for the API server."""
    site = await load_site(server, kube)
    old = await site.joined()
    new = await site.renewed(old)
    server.fail("update", CERTIFICATES, 503, times=2)
    await site.use(new)
    assert not site.trust.check(old.der).is_current
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        loop = tasks.create_task(site.trust.run())
        await until(lambda: site.issued.previous is None)
        await until(lambda: new.serial == site.trust.check(new.der).serial)
        loop.cancel()
    assert site.refusal_of(old) is RefusalReason.CERTIFICATE_SUPERSEDED


@on_api_server
async def test_a_predecessor_that_shows_itself_is_dropped_all_the_same(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Whoever holds the old one keeps it no longer by using it while the API server is away."""
    site = await load_site(server, kube)
    old = await site.joined()
    new = await site.renewed(old)
    server.fail("update", CERTIFICATES, 503, times=1)
    await site.use(new)
    await site.use(old)
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        loop = tasks.create_task(site.trust.run())
        await until(lambda: site.issued.previous is None)
        loop.cancel()
    assert site.refusal_of(old) is RefusalReason.CERTIFICATE_SUPERSEDED


@on_api_server
async def test_a_use_seen_before_the_secret_was_is_not_forgotten(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Another provider issued it: this one learns of the predecessor later."""
    here, there = await load_site(server, kube), TrustSite(server, kube)
    await there.trust.load()
    old = await here.joined()
    await there.trust.check_newest(old.der)
    await there.use(old)
    new = await there.renewed(old)
    accepted = await here.trust.check_newest(new.der)
    await here.trust.certificate_used(accepted)
    assert there.issued.previous is None
    assert here.refusal_of(old) is RefusalReason.CERTIFICATE_SUPERSEDED


@on_api_server
async def test_use_writes_nothing_when_nothing_changes(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """A reconnect costs the API server nothing."""
    site = await load_site(server, kube)
    joined = await site.joined()
    before = len(server.requests)
    for _ in range(3):
        await site.use(joined)
    assert len(server.requests) == before


@on_api_server
async def test_a_lookup_that_fails_is_a_refusal(server: FakeAPIServer, kube: KubeClient) -> None:
    """Not an error: the edge comes again."""
    here, there = await load_site(server, kube), TrustSite(server, kube)
    await there.trust.load()
    joined = await there.joined()
    server.fail("get", CERTIFICATES, 503, times=3)
    assert here.refusal_of(joined) is RefusalReason.CERTIFICATE_UNKNOWN
    with pytest.raises(CertificateRefused):
        await here.trust.check_newest(joined.der)
