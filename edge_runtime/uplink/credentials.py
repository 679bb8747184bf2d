"""The edge's client certificate and the site's CA: checked at start, read again for every dial.

The check is a TLS handshake with ourselves in memory: OpenSSL decides, exactly as it will at the
provider, whether key and certificate belong together, the CA signed it, and it is valid now and
for client authentication. (The cryptography package would cost 10 MiB of resident memory for the
same answer.)
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunnel.errors import IdentityError
from tunnel.identity import SiteName, node_user_name, provider_dns_name, site_of_subject

if TYPE_CHECKING:
    from collections.abc import Sequence


class CredentialsError(Exception):
    """A file is missing, unreadable, or not what it must be; one sentence that names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Where the edge's identity lies on disk, and whose it must be."""

    site: SiteName
    ca_certificate_file: str
    certificate_file: str
    key_file: str

    @property
    def server_hostname(self) -> str:
        """The DNS name that the provider's certificate must carry; also sent as SNI."""
        return provider_dns_name(self.site)

    def tls_context(self) -> ssl.SSLContext:
        """Read the files, return a context for one dial: this CA alone, TLS 1.2 or later.

        Raises:
            CredentialsError: A file is missing or cannot be used.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._load(context)
        return context

    def verify(self) -> None:
        """Check that the files are this site's, signed by its CA.

        Raises:
            CredentialsError: They are not; the sentence names the file and what is wrong with it.
        """
        acceptor = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        acceptor.minimum_version = ssl.TLSVersion.TLSv1_3
        acceptor.verify_mode = ssl.CERT_REQUIRED
        self._load(acceptor)
        dialer = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        dialer.check_hostname = False
        dialer.verify_mode = ssl.CERT_NONE
        self._load(dialer)
        try:
            subject = _subject(_accepted_certificate(dialer, acceptor))
        except ssl.SSLCertVerificationError as exc:
            raise CredentialsError(
                f"{self.certificate_file} is not accepted by the CA in {self.ca_certificate_file}: "
                f"{exc.verify_message}"
            ) from exc
        try:
            site = site_of_subject(subject)
        except IdentityError as exc:
            raise CredentialsError(f"{self.certificate_file}: {exc}") from exc
        if site != self.site:
            raise CredentialsError(
                f"{self.certificate_file} is for {node_user_name(site)}, "
                f"not for {node_user_name(self.site)}"
            )

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            context.load_verify_locations(cafile=self.ca_certificate_file)
        except ssl.SSLError as exc:
            raise CredentialsError(
                f"{self.ca_certificate_file} holds no CA certificate in PEM form"
            ) from exc
        except OSError as exc:
            raise CredentialsError(
                f"cannot read {self.ca_certificate_file}: {exc.strerror}"
            ) from exc
        for path in (self.certificate_file, self.key_file):
            # load_cert_chain does not tell which of its two files was missing.
            try:
                with open(path, "rb"):
                    pass
            except OSError as exc:
                raise CredentialsError(f"cannot read {path}: {exc.strerror}") from exc
        try:
            context.load_cert_chain(self.certificate_file, self.key_file, password=_no_password)
        except ssl.SSLError as exc:
            raise CredentialsError(
                f"{self.key_file} is not the key of the certificate in {self.certificate_file}"
            ) from exc


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


def _subject(certificate: dict[str, Any]) -> dict[str, Sequence[str]]:
    names: dict[str, list[str]] = {}
    for relative_name in certificate.get("subject", ()):
        for key, value in relative_name:
            names.setdefault(key, []).append(value)
    return {key: tuple(values) for key, values in names.items()}
