"""TLS contexts of the two ports, and what must be true of their files before anything listens."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature

if TYPE_CHECKING:
    import datetime
    from collections.abc import Mapping, Sequence

# The longest chain of intermediates that a serving certificate may come with.
_MAX_CHAIN = 8


class CredentialError(Exception):
    """A certificate, key or CA file that cannot be used; the message names the file."""


def server_context(*, certificate_file: str, key_file: str, client_ca_file: str) -> ssl.SSLContext:
    """Make a server context: TLS 1.2 or newer, HTTP/1.1, client certificates verified if given.

    A client certificate of another CA fails in the handshake; whether one must be there is for the
    requests to decide. There are no session tickets: every connection shows its certificate again,
    so that one that expired does not live on in a resumed session.

    Raises:
        CredentialError: A file cannot be read, or the key is not the certificate's.
    """
    for file in (certificate_file, key_file, client_ca_file):
        _read(file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_OPTIONAL
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate_file, key_file, password=_no_password)
    except (ssl.SSLError, ValueError) as exc:
        raise CredentialError(
            f"{key_file} is not the private key of the certificate in {certificate_file}"
        ) from exc
    try:
        context.load_verify_locations(cafile=client_ca_file)
    except ssl.SSLError as exc:
        raise CredentialError(f"{client_ca_file} holds no CA certificate in PEM form") from exc
    return context


def check_serving_certificate(
    *, certificate_file: str, ca_file: str | None, dns_name: str | None, now: datetime.datetime
) -> None:
    """Check what peers will check: a wrong file is told at the start, not at every handshake.

    Args:
        certificate_file: The certificate, then its intermediates.
        ca_file: The CA that it must come from; None where that is not known here.
        dns_name: A name that it must carry.
        now: UTC.

    Raises:
        CredentialError: It is out of its time, of another CA, or for another name.
    """
    chain = _certificates(certificate_file)
    leaf = chain[0]
    if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
        raise CredentialError(
            f"the certificate in {certificate_file} is valid from {leaf.not_valid_before_utc} to "
            f"{leaf.not_valid_after_utc}, and it is {now:%Y-%m-%d %H:%M:%S}+00:00 now"
        )
    if ca_file is not None and not _comes_from(chain, _certificates(ca_file)):
        raise CredentialError(
            f"the certificate in {certificate_file} does not come from the CA in {ca_file}"
        )
    if dns_name is not None and dns_name not in _dns_names(leaf):
        raise CredentialError(
            f"the certificate in {certificate_file} does not carry the name {dns_name}"
        )


def subject_of(certificate: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    """Read a verified certificate's subject as ``ssl`` gives it: attribute name to its values."""
    subject: dict[str, list[str]] = {}
    for attributes in certificate.get("subject", ()):
        for name, value in attributes:
            subject.setdefault(name, []).append(value)
    return {name: tuple(values) for name, values in subject.items()}


def _no_password() -> str:
    # Without a callback OpenSSL would ask on the terminal.
    raise ValueError("the key is encrypted")


def _read(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as exc:
        raise CredentialError(f"cannot read {file}: {exc.strerror}") from exc


def _certificates(file: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_read(file))
    except ValueError as exc:
        raise CredentialError(f"{file} holds no certificate in PEM form") from exc


def _comes_from(chain: list[x509.Certificate], authorities: list[x509.Certificate]) -> bool:
    certificate, *intermediates = chain[:_MAX_CHAIN]
    while True:
        if any(_is_issued_by(certificate, authority) for authority in authorities):
            return True
        if not intermediates or not _is_issued_by(certificate, intermediates[0]):
            return False
        certificate, *intermediates = intermediates


def _is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _dns_names(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return extension.value.get_values_for_type(x509.DNSName)
