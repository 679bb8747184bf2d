"""SiteTrust: all that the front doors know of trust."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from datetime import datetime

    from provider.kube.client import KubeApi
    from tunnel.enrolment import IssuedCertificate
    from tunnel.identity import SiteName


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustSettings:
    """What can be configured.

    Attributes:
        namespace: Where the site's Secrets are.
        serving_names: DNS names or IP addresses that the server certificate carries besides
            ``provider.<site>.edgelet.internal``.
        certificate_lifetime_s: Of an edge's certificate.
        recovery_grace_s: How long after its expiry an edge's certificate may still be recovered.
        serving_lifetime_s: Of the server certificate; renewed at 70 % of it.
    """

    namespace: str
    serving_names: tuple[str, ...] = ()
    certificate_lifetime_s: float = 30 * 86400.0
    recovery_grace_s: float = 90 * 86400.0
    serving_lifetime_s: float = 90 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedCertificate:
    """A client certificate that was accepted a moment ago.

    Attributes:
        serial: Its serial number, lower-case hexadecimal, as in the Secret and the logs.
        is_current: It is the latest one; else its successor was issued, but not used yet.
        not_after: Its end, UTC.
        der: The certificate.
    """

    serial: str
    is_current: bool
    not_after: datetime
    der: bytes = field(repr=False)


class Report(Protocol):
    """Takes a Warning event about the site's Node."""

    def __call__(self, *, reason: str, message: str) -> None:
        """Record it; must not block."""


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
        raise NotImplementedError

    async def load(self) -> None:
        """Read the Secrets, and make the CA if nobody has yet.

        Raises:
            TrustError: They cannot be read or made; the message is one sentence.
        """
        raise NotImplementedError

    async def run(self) -> None:
        """Watch the Secrets and renew the server certificate, until cancelled."""
        raise NotImplementedError

    def edge_context(self) -> ssl.SSLContext:
        """Return the edge port's TLS context: server certificate, CAs of clients.

        The same object until something changes; then a new one, for the handshakes to come. The
        client's certificate is verified if it shows one; TLS 1.2 or newer, no tickets, HTTP/1.1.
        """
        raise NotImplementedError

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` after each change of the TLS context or of what is accepted.

        It is called in the event loop, must not block and must not raise. The holder of a live
        session then asks ``check_session``.
        """
        raise NotImplementedError

    def authorities_pem(self) -> str:
        """Return the body of ``/ca.crt``: the CA that signs now, then others that still count.

        A token's pin is the first one's. What stands behind it counts for an edge only when it
        came over a connection that was verified (``IssuedCertificate.authorities``).
        """
        raise NotImplementedError

    def check(self, peer_der: bytes) -> AcceptedCertificate:
        """Decide, from memory, whether this client certificate may open ``/tunnel`` now.

        Raises:
            CertificateRefused: With UNAVAILABLE (answer 503) while nothing was ever read; with
                CERTIFICATE_UNKNOWN, CERTIFICATE_SUPERSEDED or CERTIFICATE_REVOKED otherwise (403).
        """
        raise NotImplementedError

    async def check_newest(self, peer_der: bytes) -> AcceptedCertificate:
        """Like ``check``, but a serial that is not known is looked up in the Secret once.

        Another replica may have issued it a moment ago. Use this one for ``/tunnel`` and GET
        ``/edge.crt``; it raises the same, and never waits for the API server for a known serial.
        """
        raise NotImplementedError

    def check_session(self, accepted: AcceptedCertificate) -> None:
        """Decide whether a live session may go on that this certificate opened.

        A successor or the certificate's end does not close what is open; a revocation does.

        Raises:
            CertificateRefused: With CERTIFICATE_REVOKED: close the session at once.
        """
        raise NotImplementedError

    async def certificate_used(self, accepted: AcceptedCertificate) -> None:
        """Note that a tunnel or GET ``/edge.crt`` worked with it: its predecessor is void now.

        Best effort: what fails is tried again by ``run``. Never raises for the API server.
        """
        raise NotImplementedError

    async def join(self, *, jwt: str, csr_pem: bytes) -> IssuedCertificate:
        """Issue a certificate for a join token.

        Args:
            jwt: From the Authorization header.
            csr_pem: At most MAX_REQUEST_BYTES.

        Raises:
            EnrolmentRefused: There is none; carries status, reason and message.
        """
        raise NotImplementedError

    async def renew(self, *, peer_der: bytes, csr_pem: bytes) -> IssuedCertificate:
        """Issue a successor for the client certificate of this connection.

        Raises:
            EnrolmentRefused: There is none.
        """
        raise NotImplementedError

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
        raise NotImplementedError
