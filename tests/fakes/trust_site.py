"""A site's trust over a fake API server, under a clock of the test's own, and machines that ask."""

from __future__ import annotations

import contextlib
import datetime
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from provider.trust.errors import CertificateRefused, EnrolmentRefused
from provider.trust.issued_certificates import CERTIFICATES_DOCUMENT, IssuedCertificates
from provider.trust.secret_store import SecretStore
from provider.trust.site_administration import SiteAdministration
from provider.trust.site_trust import SiteTrust, TrustSettings
from tests.fakes.edge_requests import csr_pem, new_key
from tests.fakes.site_objects import put_site, secret_data
from tunnel.enrolment import RefusalReason, recovery_message
from tunnel.identity import SiteName

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provider.kube.client import KubeClient
    from tests.fakes.fake_api_server import FakeAPIServer
    from tunnel.enrolment import IssuedCertificate

SITE = SiteName("site-a")
NAMESPACE = "edgelet-site-a"
DAY_S = 86400.0


class Clock:
    """A wall clock that the test sets."""

    def __init__(self) -> None:
        self.now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)

    def __call__(self) -> datetime.datetime:
        """Return the time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += datetime.timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A key, and what was issued for it.

    Attributes:
        key: The one in use.
        der: The certificate; b"" before there is one.
        authorities: What came with it.
    """

    key: ec.EllipticCurvePrivateKey
    der: bytes = b""
    authorities: str = ""

    @property
    def csr(self) -> bytes:
        """A request for this key, PEM."""
        return csr_pem(self.key)

    @property
    def pem(self) -> bytes:
        """The certificate, PEM."""
        return x509.load_der_x509_certificate(self.der).public_bytes(Encoding.PEM)

    @property
    def serial(self) -> str:
        """The certificate's serial number."""
        return f"{x509.load_der_x509_certificate(self.der).serial_number:x}"

    def took(self, issued: IssuedCertificate) -> Machine:
        """Return the machine with what it was answered."""
        certificate = x509.load_pem_x509_certificate(issued.certificate.encode())
        assert certificate.public_key() == self.key.public_key()
        return replace(
            self, der=certificate.public_bytes(Encoding.DER), authorities=issued.authorities
        )


def machine() -> Machine:
    """Return a machine that has a key only."""
    return Machine(key=new_key())


class TrustSite:
    """One site: the trust of one provider, the operator, and what was reported.

    Attributes:
        trust: Loaded by ``load`` or by the test.
        administration: What the operator's commands do.
        clock: Of both.
        events: Reasons of the events.
        changes: How often ``on_change`` was called.
    """

    def __init__(
        self,
        server: FakeAPIServer,
        kube: KubeClient,
        *,
        clock: Clock | None = None,
        settings: TrustSettings | None = None,
    ) -> None:
        self.server = server
        self.clock = clock or Clock()
        self.events: list[str] = []
        self.messages: list[str] = []
        self.changes = 0
        self.trust = SiteTrust(
            api=kube.as_self,
            site=SITE,
            settings=settings or TrustSettings(namespace=NAMESPACE),
            report=self._report,
            now=self.clock,
        )
        self.trust.on_change(self._count)
        self.administration = SiteAdministration(
            SecretStore(kube.as_self, namespace=NAMESPACE), site=SITE, now=self.clock
        )

    @property
    def issued(self) -> IssuedCertificates:
        """What the Secret of certificates holds."""
        return CERTIFICATES_DOCUMENT.decode(secret_data(self.server, "edgelet-site-certificates"))

    async def token(self, *, ttl_s: float = DAY_S, uses: int = 1) -> str:
        """Make a token and return its JWT."""
        made = await self.administration.create_token(ttl_s=ttl_s, uses=uses)
        return made.token.jwt

    async def joined(self) -> Machine:
        """Return a machine that has joined."""
        new = machine()
        return new.took(await self.trust.join(jwt=await self.token(), csr_pem=new.csr))

    async def renewed(self, asker: Machine, new: Machine | None = None) -> Machine:
        """Return what a machine is after a renewal."""
        new = new or machine()
        return new.took(await self.trust.renew(peer_der=asker.der, csr_pem=new.csr))

    async def recovered(self, asker: Machine, new: Machine | None = None) -> Machine:
        """Return what a machine is after a recovery."""
        new = new or machine()
        csr = x509.load_pem_x509_csr(new.csr)
        signature = asker.key.sign(
            recovery_message(csr.public_bytes(Encoding.DER)), ec.ECDSA(hashes.SHA256())
        )
        issued = await self.trust.recover(
            csr_pem=csr.public_bytes(Encoding.PEM), expired_pem=asker.pem, signature=signature
        )
        return new.took(issued)

    async def use(self, user: Machine) -> None:
        """Do what the edge port does when a tunnel opens."""
        await self.trust.certificate_used(self.trust.check(user.der))

    def refusal_of(self, user: Machine) -> RefusalReason:
        """Return why a machine may not open a tunnel."""
        with pytest.raises(CertificateRefused) as caught:
            self.trust.check(user.der)
        return caught.value.reason

    def _report(self, *, reason: str, message: str) -> None:
        self.events.append(reason)
        self.messages.append(message)

    def _count(self) -> None:
        self.changes += 1


async def load_site(
    server: FakeAPIServer, kube: KubeClient, *, settings: TrustSettings | None = None
) -> TrustSite:
    """Apply the manifests and load the trust."""
    put_site(server)
    site = TrustSite(server, kube, settings=settings)
    await site.trust.load()
    return site


@contextlib.contextmanager
def refused(status: int, reason: RefusalReason) -> Iterator[None]:
    """Expect that there is no certificate."""
    with pytest.raises(EnrolmentRefused) as caught:
        yield
    assert (caught.value.status, caught.value.reason) == (status, reason), caught.value.message
