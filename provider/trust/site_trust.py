"""SiteTrust: all that the front doors know of trust.

Secrets ──read, watch──> EdgeCredentials       the CA ──> server certificate, TLS context
                         AcceptedCertificates  who may open a tunnel
Secrets <──CAS────────── CertificateIssuer     who gets a certificate
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from provider.trust.accepted_certificates import AcceptedCertificate, AcceptedCertificates
from provider.trust.authority_store import ensure_authority
from provider.trust.certificate_issuer import CertificateIssuer
from provider.trust.edge_credentials import EdgeCredentials
from provider.trust.errors import EnrolmentRefused
from provider.trust.join_tokens import TOKENS_DOCUMENT
from provider.trust.secret_store import (
    AUTHORITY_SECRET,
    CERTIFICATES_SECRET,
    TOKENS_SECRET,
    SecretStore,
)
from provider.trust.settings import Report, TrustSettings

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from datetime import datetime

    from provider.kube.client import KubeApi
    from tunnel.enrolment import IssuedCertificate
    from tunnel.identity import SiteName

__all__ = ["AcceptedCertificate", "Report", "SiteTrust", "TrustSettings"]


class SiteTrust:
    """The site's CA, tokens and certificates, as of the last read of its Secrets.

    ``check`` decides from memory, so that a tunnel comes back while the API server is away; what
    must be written needs the API server.
    """

    def __init__(
        self,
        *,
        api: KubeApi,
        site: SiteName,
        settings: TrustSettings,
        report: Report,
        now: Callable[[], datetime],
    ) -> None:
        """Know nothing yet: ``load`` comes first.

        Args:
            api: The provider's own identity.
            site: The one site that is served.
            settings: What can be configured.
            report: Takes the events ``SupersededCertificate`` and ``CertificateRevoked``.
            now: The wall clock, UTC.
        """
        self._site = site
        self._now = now
        self._store = SecretStore(api, namespace=settings.namespace)
        self._callbacks: list[Callable[[], None]] = []
        self._credentials = EdgeCredentials(
            site=site, settings=settings, report=report, now=now, changed=self._tell
        )
        self._certificates = AcceptedCertificates(
            self._store, report=report, now=now, changed=self._tell
        )
        self._issuer = CertificateIssuer(
            self._store, site=site, settings=settings, credentials=self._credentials, now=now
        )

    async def load(self) -> None:
        """Read the Secrets, and make the CA if nobody has yet.

        Raises:
            TrustError: They cannot be read or made; the message is one sentence.
        """
        await ensure_authority(self._store, self._site, now=self._now)
        # A Secret that cannot be used is told at the start, and not to the first edge that joins.
        TOKENS_DOCUMENT.decode(await self._store.read(TOKENS_SECRET))
        self._credentials.use(await self._store.read(AUTHORITY_SECRET))
        self._certificates.use(await self._store.read(CERTIFICATES_SECRET))
        self._store.observe(AUTHORITY_SECRET, self._credentials.take)
        self._store.observe(CERTIFICATES_SECRET, self._certificates.take)

    async def run(self) -> None:
        """Watch the Secrets and renew the server certificate, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._store.watch(AUTHORITY_SECRET))
            tasks.create_task(self._store.watch(CERTIFICATES_SECRET))
            tasks.create_task(self._credentials.run())
            tasks.create_task(self._certificates.run())

    def edge_context(self) -> ssl.SSLContext:
        """Return the edge port's TLS context: server certificate, CAs of clients.

        The same object until something changes; then a new one, for the handshakes to come. The
        client's certificate is verified if it shows one; TLS 1.2 or newer, no tickets, HTTP/1.1.
        """
        return self._credentials.context()

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` after each change of the TLS context or of what is accepted.

        It is called in the event loop, must not block and must not raise. The holder of a live
        session then asks ``check_session``.
        """
        self._callbacks.append(callback)

    def certificate_ends(self) -> tuple[tuple[str, datetime | None], ...]:
        """Return what each certificate is for and when it ends, UTC; None where there is none."""
        return (
            ("Edge", self._certificates.current_end()),
            ("Edge port", self._credentials.serving_end()),
            ("Site CA", self._credentials.authority().certificate.not_valid_after_utc),
        )

    def authorities_pem(self) -> str:
        """Return the body of ``/ca.crt``: the CA that signs now, then others that still count.

        A token's pin is the first one's. What stands behind it counts for an edge only when it
        came over a connection that was verified (``IssuedCertificate.authorities``).
        """
        return self._credentials.authorities_pem()

    def check(self, peer_der: bytes) -> AcceptedCertificate:
        """Decide, from memory, whether this client certificate may open ``/tunnel`` now.

        Raises:
            CertificateRefused: With UNAVAILABLE (answer 503) while nothing was ever read; with
                CERTIFICATE_UNKNOWN, CERTIFICATE_EXPIRED, CERTIFICATE_SUPERSEDED or
                CERTIFICATE_REVOKED otherwise (403).
        """
        return self._certificates.check(peer_der)

    async def check_newest(self, peer_der: bytes) -> AcceptedCertificate:
        """Like ``check``, but a serial that is not known is looked up in the Secret once.

        Another replica may have issued it a moment ago. Use this one for ``/tunnel`` and GET
        ``/edge.crt``; it raises the same, and never waits for the API server for a known serial.
        """
        return await self._certificates.check_newest(peer_der)

    def check_session(self, accepted: AcceptedCertificate) -> None:
        """Decide whether a live session may go on that this certificate opened.

        A successor or the certificate's end does not close what is open; a revocation does.

        Raises:
            CertificateRefused: With CERTIFICATE_REVOKED: close the session at once.
        """
        self._certificates.check_session(accepted)

    async def certificate_used(self, accepted: AcceptedCertificate) -> None:
        """Note that a tunnel or GET ``/edge.crt`` worked with it: its predecessor is void now.

        Best effort: what fails is tried again by ``run``. Never raises for the API server.
        """
        await self._certificates.certificate_used(accepted)

    async def join(self, *, jwt: str, csr_pem: bytes) -> IssuedCertificate:
        """Issue a certificate for a join token.

        Args:
            jwt: From the Authorization header.
            csr_pem: At most MAX_REQUEST_BYTES.

        Raises:
            EnrolmentRefused: There is none; carries status, reason and message.
        """
        return await self._issuer.join(jwt=jwt, csr_pem=csr_pem)

    async def renew(self, *, peer_der: bytes, csr_pem: bytes) -> IssuedCertificate:
        """Issue a successor for the client certificate of this connection.

        Raises:
            EnrolmentRefused: There is none.
        """
        try:
            return await self._issuer.renew(peer_der=peer_der, csr_pem=csr_pem)
        except EnrolmentRefused as exc:
            self._certificates.report_refusal(exc.reason, exc.message)
            raise

    async def recover(
        self, *, csr_pem: bytes, expired_pem: bytes, signature: bytes
    ) -> IssuedCertificate:
        """Issue a successor for an expired certificate whose key signed this CSR.

        Args:
            csr_pem: The CSR.
            expired_pem: The expired certificate, PEM.
            signature: By its key, SHA-256, over ``recovery_message`` of the CSR's DER; ECDSA as
                DER, RSA with PKCS #1 v1.5.

        Raises:
            EnrolmentRefused: There is none.
        """
        try:
            return await self._issuer.recover(
                csr_pem=csr_pem, expired_pem=expired_pem, signature=signature
            )
        except EnrolmentRefused as exc:
            self._certificates.report_refusal(exc.reason, exc.message)
            raise

    def _tell(self) -> None:
        for callback in self._callbacks:
            callback()
