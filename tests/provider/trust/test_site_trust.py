"""A site's trust as a whole: first start, memory, changes, what the front doors see."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from provider.trust.authority_secret import decode_authority
from provider.trust.errors import SecretCorrupt, SecretMissing, SecretUnavailable, TrustError
from provider.trust.site_trust import SiteTrust, TrustSettings
from tests.fakes.edge_pods import until
from tests.fakes.edge_requests import key_pem
from tests.fakes.fake_api_server import FakeAPIServer, on_api_server
from tests.fakes.memory_tls import edge_context, shake_hands
from tests.fakes.site_objects import put_secrets, put_site, secret_data
from tests.fakes.trust_site import NAMESPACE, SITE, Machine, TrustSite, load_site, refused
from tunnel.enrolment import RefusalReason
from tunnel.identity import SiteName, ca_pin, provider_dns_name

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator
    from pathlib import Path

    from provider.kube.client import KubeClient

CA_SECRET = "edgelet-site-ca"
CERTIFICATES = "edgelet-site-certificates"


@contextlib.asynccontextmanager
async def running(site: TrustSite) -> AsyncIterator[None]:
    """Run the trust's loops, with both watches begun."""
    before = len(site.server.seen("watch"))
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        loop = tasks.create_task(site.trust.run())
        await until(lambda: len(site.server.seen("watch")) >= before + 2)
        yield
        loop.cancel()


@on_api_server
async def test_the_first_start_makes_a_ca(server: FakeAPIServer, kube: KubeClient) -> None:
    """Later ones find it."""
    site = await load_site(server, kube)
    data = secret_data(server, CA_SECRET)
    assert site.trust.authorities_pem().encode() == data["ca.crt"]
    again = TrustSite(server, kube)
    await again.trust.load()
    assert secret_data(server, CA_SECRET) == data
    assert again.trust.authorities_pem() == site.trust.authorities_pem()


@on_api_server
async def test_concurrent_first_starts_leave_one_ca(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Each decides that there is none; one write counts."""
    put_site(server)
    sites = [TrustSite(server, kube) for _ in range(4)]
    async with asyncio.TaskGroup() as tasks:
        for site in sites:
            tasks.create_task(site.trust.load())
    # They did collide.
    assert len(server.seen("update", CA_SECRET)) > 1
    assert {site.trust.authorities_pem() for site in sites} == {
        secret_data(server, CA_SECRET)["ca.crt"].decode()
    }


@pytest.mark.parametrize(
    "secrets",
    [
        {CA_SECRET: {"ca.crt": b"junk"}},
        {CA_SECRET: {"token.key": b"x" * 32}},
        {"edgelet-join-tokens": {"tokens.json": b"{"}},
        {CERTIFICATES: {"certificates.json": b'{"current": 1}'}},
    ],
)
async def test_a_corrupt_secret_is_said_and_left_as_it_is(
    secrets: dict[str, dict[str, bytes]],
) -> None:
    """By name; no start writes over what a person may still rescue."""
    async with FakeAPIServer() as server, server.client() as kube:
        put_site(server)
        put_secrets(server, secrets)
        site = TrustSite(server, kube)
        (name,) = secrets
        with pytest.raises(SecretCorrupt, match=name):
            await site.trust.load()
        assert secret_data(server, name) == secrets[name]


@on_api_server
async def test_a_start_without_manifests_is_said(server: FakeAPIServer, kube: KubeClient) -> None:
    """Nothing is created: RBAC would not allow it."""
    with pytest.raises(SecretMissing, match="manifests"):
        await TrustSite(server, kube).trust.load()
    put_site(server)
    server.fail("get", CERTIFICATES, 503, times=3)
    with pytest.raises(SecretUnavailable, match=CERTIFICATES):
        await TrustSite(server, kube).trust.load()


@on_api_server
async def test_a_site_name_that_fits_no_certificate_is_said(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Before anything is made."""
    trust = SiteTrust(
        api=kube.as_self,
        site=SiteName("s" * 53),
        settings=TrustSettings(namespace=NAMESPACE),
        report=lambda **_: None,
        now=TrustSite(server, kube).clock,
    )
    with pytest.raises(TrustError, match="at most 52"):
        await trust.load()


@on_api_server
async def test_nothing_is_open_before_anything_was_read(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Neither for a certificate nor for a request."""
    site = await load_site(server, kube)
    joined = await site.joined()
    other = TrustSite(server, kube)
    assert other.refusal_of(joined) is RefusalReason.UNAVAILABLE
    with pytest.raises(TrustError):
        other.trust.edge_context()
    with refused(503, RefusalReason.UNAVAILABLE):
        await other.trust.join(jwt=await site.token(), csr_pem=joined.csr)


@on_api_server
async def test_a_tunnel_comes_back_while_the_api_server_is_away(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """What is decided, is decided from memory; what is written, waits."""
    site = await load_site(server, kube)
    joined = await site.joined()
    for verb in ("get", "update"):
        server.fail(verb, "/secrets/", 503, times=100)
    assert site.trust.check(joined.der).is_current
    assert (await site.trust.check_newest(joined.der)).serial == joined.serial
    await site.use(joined)
    with refused(503, RefusalReason.UNAVAILABLE):
        await site.renewed(joined)


@on_api_server
async def test_a_revocation_acts_at_once(server: FakeAPIServer, kube: KubeClient) -> None:
    """Through the watch: the holder of the session is told, and an event says it."""
    site = await load_site(server, kube)
    joined = await site.joined()
    accepted = site.trust.check(joined.der)
    async with running(site):
        site.trust.check_session(accepted)
        changes = site.changes
        revocation = await site.administration.revoke_site(by="anna")
        assert revocation.serials == (joined.serial,)
        await until(lambda: site.changes > changes)
        assert site.refusal_of(joined) is RefusalReason.CERTIFICATE_REVOKED
        with pytest.raises(Exception, match="anna"):
            site.trust.check_session(accepted)
        assert site.events == ["CertificateRevoked"]
    with refused(403, RefusalReason.CERTIFICATE_REVOKED):
        await site.renewed(joined)
    with refused(403, RefusalReason.CERTIFICATE_REVOKED):
        await site.recovered(joined)


@on_api_server
async def test_a_session_outlives_renewals_but_no_revocation(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """It was opened by a certificate that has had two successors since."""
    site = await load_site(server, kube)
    joined = await site.joined()
    accepted = site.trust.check(joined.der)
    newest = joined
    for _ in range(2):
        newest = await site.renewed(newest)
        await site.use(newest)
        site.trust.check_session(accepted)
    async with running(site):
        await site.administration.revoke_site(by="anna")
        await until(lambda: "CertificateRevoked" in site.events)
    with pytest.raises(Exception, match="revoked"):
        site.trust.check_session(accepted)


@on_api_server
async def test_another_provider_s_certificate_is_found(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Before the watch told of it."""
    here, there = await load_site(server, kube), TrustSite(server, kube)
    await there.trust.load()
    joined = await there.joined()
    assert here.refusal_of(joined) is RefusalReason.CERTIFICATE_UNKNOWN
    assert (await here.trust.check_newest(joined.der)).is_current
    assert here.trust.check(joined.der).serial == joined.serial


@on_api_server
async def test_corruption_at_run_time_changes_nothing(
    server: FakeAPIServer, kube: KubeClient, caplog: pytest.LogCaptureFixture
) -> None:
    """The last good content counts, nothing is written over, and the log says so."""
    site = await load_site(server, kube)
    joined = await site.joined()
    bundle = site.trust.authorities_pem()
    async with running(site):
        put_secrets(server, {CERTIFICATES: {"certificates.json": b"{"}, CA_SECRET: {}})
        await until(lambda: caplog.text.count("counts on") + caplog.text.count("stays in use") == 2)
    assert site.trust.check(joined.der).is_current
    assert site.trust.authorities_pem() == bundle
    with refused(503, RefusalReason.UNAVAILABLE):
        await site.renewed(joined)
    assert secret_data(server, CERTIFICATES) == {"certificates.json": b"{"}
    assert secret_data(server, CA_SECRET) == {}


@on_api_server
async def test_a_rotation_reaches_a_running_provider(
    server: FakeAPIServer, kube: KubeClient, tmp_path: Path
) -> None:
    """New handshakes have the new CA; machines of both sides of it connect, and renew into it."""
    site = await load_site(server, kube)
    before = await site.joined()
    old_context, old_bundle = site.trust.edge_context(), before.authorities
    async with running(site):
        rotation = await site.administration.rotate_authority(
            certificate_lifetime_s=30 * 86400.0, recovery_grace_s=90 * 86400.0
        )
        await until(lambda: site.trust.edge_context() is not old_context)
    new_bundle = site.trust.authorities_pem()
    first, second = x509.load_pem_x509_certificates(new_bundle.encode())
    assert ca_pin(first.public_bytes(Encoding.DER)) == rotation.ca_pin
    assert second == x509.load_pem_x509_certificate(old_bundle.encode())
    name = provider_dns_name(SITE)
    shake_hands(site.trust.edge_context(), context_of(before, tmp_path), name=name)
    site.trust.check(before.der)
    after = await site.renewed(before)
    assert after.authorities == new_bundle
    shake_hands(site.trust.edge_context(), context_of(after, tmp_path), name=name)
    await site.use(after)
    # Beyond the overlap there is one CA again.
    site.clock.advance(121 * 86400.0)
    assert len(x509.load_pem_x509_certificates(site.trust.authorities_pem().encode())) == 1


def context_of(user: Machine, folder: Path) -> ssl.SSLContext:
    """Make a machine's TLS context from what it was answered."""
    return edge_context(
        user.authorities.encode(),
        certificate_pem=user.pem,
        key_pem=key_pem(user.key),
        folder=str(folder),
    )


@on_api_server
async def test_the_stored_ca_is_what_is_shown(server: FakeAPIServer, kube: KubeClient) -> None:
    """And its name is the site's."""
    await load_site(server, kube)
    authority = decode_authority(secret_data(server, CA_SECRET), site=SITE)
    assert authority is not None
    assert authority.overlap_until is None
