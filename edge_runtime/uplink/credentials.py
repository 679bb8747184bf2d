"""The edge's client certificate and the site's CAs: checked, and read again for every dial.

The check is a TLS handshake with ourselves in memory: OpenSSL decides, exactly as it will at the
provider, whether key and certificate belong together, one of the CAs signed it, and it is for
client authentication. Its time is looked at apart, since an expired certificate still proves who
asks for the next one. (The cryptography package would cost 10 MiB of resident memory for the same
answer.)
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any

from tunnel.errors import IdentityError
from tunnel.identity import (
    SiteName,
    node_user_name,
    provider_dns_name,
    site_of_peer_certificate,
)

# OpenSSL's x509_vfy.h, X509_V_FLAG_NO_CHECK_TIME; the ssl module has no name for it.
_NO_CHECK_TIME = 0x200000


class CredentialsError(Exception):
    """A file is missing, unreadable, or not what it must be; one sentence that names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """What a client certificate says.

    Attributes:
        site: Whose it is.
        serial: Hexadecimal.
        not_before: Unix time, seconds.
        not_after: The same.
    """

    site: SiteName
    serial: str
    not_before: float
    not_after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Where the edge's identity lies on disk, and whose it must be.

    Attributes:
        site: The site that the process serves; a certificate of another one is refused.
        ca_file: The CAs by which the provider is known, PEM.
        identity_file: Key and certificate in one file, PEM.
    """

    site: SiteName
    ca_file: str
    identity_file: str

    @property
    def server_hostname(self) -> str:
        """The DNS name that the provider's certificate must carry; also sent as SNI."""
        return provider_dns_name(self.site)

    def tls_context(self) -> ssl.SSLContext:
        """Read the files, return a context for one dial: these CAs alone, TLS 1.2 or later.

        Raises:
            CredentialsError: A file is missing or cannot be used.
        """
        context = provider_context()
        _load(context, identity_file=self.identity_file, ca_file=self.ca_file)
        return context

    def anonymous_context(self) -> ssl.SSLContext:
        """Return a context for one dial that shows no certificate; the provider is checked.

        Raises:
            CredentialsError: The CAs cannot be read.
        """
        context = provider_context()
        _load_authorities(context, self.ca_file)
        return context

    def facts(self) -> CertificateFacts:
        """Read the files and check that they are this site's, signed by one of its CAs.

        The certificate's time is not looked at.

        Raises:
            CredentialsError: They are not; the sentence names the file and what is wrong with it.
        """
        facts = read_certificate(identity_file=self.identity_file, ca_file=self.ca_file)
        if facts.site != self.site:
            raise CredentialsError(
                f"{self.identity_file} is for {node_user_name(facts.site)}, "
                f"not for {node_user_name(self.site)}: restart edgelet to serve the new site"
            )
        return facts


def provider_context() -> ssl.SSLContext:
    """Return a context for a connection to a provider, which trusts nobody yet."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def read_certificate(*, identity_file: str, ca_file: str) -> CertificateFacts:
    """Check key, certificate and CAs and return what the certificate says.

    Args:
        identity_file: Key and certificate, PEM.
        ca_file: The CAs, PEM.

    Raises:
        CredentialsError: A file is missing or is not what it must be; the sentence names it.
    """
    acceptor = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    acceptor.minimum_version = ssl.TLSVersion.TLSv1_3
    acceptor.verify_mode = ssl.CERT_REQUIRED
    acceptor.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
    _load(acceptor, identity_file=identity_file, ca_file=ca_file)
    dialer = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    dialer.check_hostname = False
    dialer.verify_mode = ssl.CERT_NONE
    _load(dialer, identity_file=identity_file, ca_file=ca_file)
    try:
        certificate = _accepted_certificate(dialer, acceptor)
    except ssl.SSLCertVerificationError as exc:
        raise CredentialsError(
            f"{identity_file} is not accepted by the CA in {ca_file}: {exc.verify_message}"
        ) from exc
    except ssl.SSLError as exc:
        raise CredentialsError(f"{identity_file} cannot be used: {exc.reason or exc}") from exc
    try:
        site = site_of_peer_certificate(certificate)
    except IdentityError as exc:
        raise CredentialsError(f"{identity_file}: {exc}") from exc
    return CertificateFacts(
        site=site,
        serial=str(certificate["serialNumber"]),
        not_before=float(ssl.cert_time_to_seconds(certificate["notBefore"])),
        not_after=float(ssl.cert_time_to_seconds(certificate["notAfter"])),
    )


def _load(context: ssl.SSLContext, *, identity_file: str, ca_file: str) -> None:
    _load_authorities(context, ca_file)
    # load_cert_chain does not tell which of its files was missing.
    try:
        with open(identity_file, "rb"):
            pass
    except OSError as exc:
        raise CredentialsError(f"cannot read {identity_file}: {exc.strerror}") from exc
    try:
        context.load_cert_chain(identity_file, password=_no_password)
    except ssl.SSLError as exc:
        raise CredentialsError(
            f"{identity_file} holds no certificate with its own key in PEM form"
        ) from exc


def _load_authorities(context: ssl.SSLContext, ca_file: str) -> None:
    try:
        context.load_verify_locations(cafile=ca_file)
    except ssl.SSLError as exc:
        raise CredentialsError(f"{ca_file} holds no CA certificate in PEM form") from exc
    except OSError as exc:
        raise CredentialsError(f"cannot read {ca_file}: {exc.strerror}") from exc


def _no_password() -> str:
    # Else OpenSSL would ask the terminal for one, and a service would hang.
    return ""


def _accepted_certificate(
    client_context: ssl.SSLContext, server_context: ssl.SSLContext
) -> dict[str, Any]:
    """Shake hands in memory and return the client's certificate as the server verified it."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    unfinished: list[ssl.SSLObject] = [client, server]
    # Each turn moves every byte that is there; a TLS 1.3 handshake takes three.
    for _ in range(8):
        unfinished = [side for side in unfinished if not _is_done(side)]
        if not unfinished:
            break
    return dict(server.getpeercert() or {})


def _is_done(side: ssl.SSLObject) -> bool:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True
