"""The edge port's TLS context: renewed in time under any clock, and told of."""

from __future__ import annotations

import asyncio
import datetime
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from provider.trust.authority import CA_LIFETIME, make_authority, rotate_authority
from provider.trust.authority_secret import encode_authority
from provider.trust.edge_credentials import EdgeCredentials
from provider.trust.errors import SecretCorrupt, TrustError
from provider.trust.settings import TrustSettings
from tests.fakes.memory_tls import edge_context, shake_hands
from tunnel.identity import SiteName, provider_dns_name

if TYPE_CHECKING:
    import ssl

SITE = SiteName("site-a")
# Two renewals are within the five minutes by which certificates are backdated.
LIFETIME_S = 100.0


class Site:
    """Credentials, their clock (the event loop's), and what they told."""

    def __init__(self, *, lifetime_s: float = LIFETIME_S) -> None:
        self.skew_s = 0.0
        # Of this test: the handshakes judge the certificates by the real clock.
        self.start = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        self.changes: list[float] = []
        self.events: list[str] = []
        self.authority = make_authority(SITE, now=self.start)
        self.credentials = EdgeCredentials(
            site=SITE,
            settings=TrustSettings(namespace="edgelet-site-a", serving_lifetime_s=lifetime_s),
            report=self.report,
            now=self.now,
            changed=lambda: self.changes.append(self.loop_s()),
        )
        self.credentials.use(encode_authority({}, self.authority))

    def report(self, *, reason: str, message: str) -> None:
        """Take an event."""
        assert message
        self.events.append(reason)

    def loop_s(self) -> float:
        """Return the event loop's time; 0 outside one."""
        try:
            return asyncio.get_running_loop().time()
        except RuntimeError:
            return 0.0

    def now(self) -> datetime.datetime:
        """Return the wall clock."""
        return self.start + datetime.timedelta(seconds=self.loop_s() + self.skew_s)


def serial_of(context: ssl.SSLContext, authority_pem: bytes) -> str:
    """Return the serial number of the certificate that a context shows."""
    client, _ = shake_hands(context, edge_context(authority_pem), name=provider_dns_name(SITE))
    der = client.getpeercert(binary_form=True)
    assert der is not None
    return f"{x509.load_der_x509_certificate(der).serial_number:x}"


@pytest.mark.asyncio
@pytest.mark.looptime
async def test_the_server_certificate_is_renewed_at_seven_tenths() -> None:
    """Each time with a new context; the old one goes on for whoever has it."""
    site = Site()
    first = site.credentials.context()
    ca_pem = site.credentials.authorities_pem().encode()
    async with asyncio.TaskGroup() as tasks:
        loop = tasks.create_task(site.credentials.run())
        await asyncio.sleep(69)
        assert site.credentials.context() is first
        await asyncio.sleep(2)
        second = site.credentials.context()
        await asyncio.sleep(70)
        third = site.credentials.context()
        loop.cancel()
    serials = [serial_of(context, ca_pem) for context in (first, second, third)]
    assert len(set(serials)) == 3
    assert [round(at_s) for at_s in site.changes] == [0, 70, 140]


@pytest.mark.asyncio
@pytest.mark.looptime
async def test_a_clock_that_is_set_is_noticed() -> None:
    """Within a minute: a suspended machine's sleep was longer than it thinks."""
    site = Site(lifetime_s=90 * 86400.0)
    async with asyncio.TaskGroup() as tasks:
        loop = tasks.create_task(site.credentials.run())
        await asyncio.sleep(100)
        site.skew_s = 80 * 86400.0
        await asyncio.sleep(61)
        loop.cancel()
    assert len(site.changes) == 2


@pytest.mark.asyncio
@pytest.mark.looptime
async def test_an_overlap_ends_in_time() -> None:
    """The context that no longer takes the old CA is made at that moment."""
    site = Site(lifetime_s=90 * 86400.0)
    until = site.start + datetime.timedelta(seconds=500)
    new = rotate_authority(site.authority, SITE, now=site.start, overlap_until=until)
    site.credentials.use(encode_authority({}, new))
    assert site.credentials.authorities_pem().count("BEGIN") == 2
    async with asyncio.TaskGroup() as tasks:
        loop = tasks.create_task(site.credentials.run())
        await asyncio.sleep(600)
        loop.cancel()
    assert [round(at_s) for at_s in site.changes] == [0, 0, 500]
    assert site.credentials.authorities_pem().count("BEGIN") == 1
    assert len(site.credentials.context().get_ca_certs()) == 1


def test_the_same_ca_again_changes_nothing() -> None:
    """The watch tells what was read before."""
    site = Site()
    context = site.credentials.context()
    site.credentials.take(encode_authority({}, site.authority))
    assert site.credentials.context() is context


def test_a_secret_that_lost_its_ca_is_said() -> None:
    """And the CA that was read stays."""
    site = Site()
    context = site.credentials.context()
    with pytest.raises(SecretCorrupt):
        site.credentials.use({})
    site.credentials.take({"ca.crt": b"junk"})
    assert site.credentials.context() is context


@pytest.mark.asyncio
@pytest.mark.looptime
async def test_the_end_of_the_ca_is_told_in_time() -> None:
    """Half a year before as an event; after it there is no start, and a running one goes on."""
    site = Site()
    context = site.credentials.context()
    site.skew_s = (CA_LIFETIME - datetime.timedelta(days=179)).total_seconds()
    site.credentials.renew_if_due()
    assert site.events == ["SiteAuthorityExpires"]
    context = site.credentials.context()
    site.skew_s = CA_LIFETIME.total_seconds() + 1
    async with asyncio.TaskGroup() as tasks:
        loop = tasks.create_task(site.credentials.run())
        await asyncio.sleep(100)
        loop.cancel()
    assert site.credentials.context() is context
    with pytest.raises(TrustError, match="ca rotate"):
        site.credentials.use(encode_authority({}, site.authority) | {"note": b"changed"})
