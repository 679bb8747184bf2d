"""A client certificate as it was shown: which one it is, and whether a signature is its key's."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from provider.trust.certificate_request import UNREADABLE, key_hash
from provider.trust.errors import CertificateRefused, EnrolmentRefused
from tunnel.enrolment import MAX_REQUEST_BYTES, RefusalReason, recovery_message

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentedCertificate:
    """Names one certificate: only what the site's CA issued under both counts.

    Attributes:
        serial: Lower-case hexadecimal.
        key_hash: Of its public key.
        public_key: It itself.
    """

    serial: str
    key_hash: str
    public_key: PublicKeyTypes = field(repr=False)


def presented_in_tls(peer_der: bytes) -> PresentedCertificate:
    """Read the client certificate of a connection, which TLS has verified.

    Raises:
        CertificateRefused: It cannot be read.
    """
    try:
        return present(x509.load_der_x509_certificate(peer_der))
    except UNREADABLE as exc:
        raise CertificateRefused(
            RefusalReason.CERTIFICATE_UNKNOWN, "the client certificate cannot be read"
        ) from exc


def presented_for_recovery(
    expired_pem: bytes, *, csr_der: bytes, signature: bytes
) -> PresentedCertificate:
    """Read an expired certificate whose key signed the recovery of this CSR.

    Whether it was ever issued here is not known yet: the signature proves the key, and the caller
    finds serial and key in what was issued.

    Raises:
        EnrolmentRefused: It cannot be read, or the signature is not its key's.
    """
    if len(expired_pem) > MAX_REQUEST_BYTES:
        raise _bad_request(f"a request has at most {MAX_REQUEST_BYTES} bytes")
    try:
        presented = present(x509.load_pem_x509_certificate(expired_pem))
        _verify(presented.public_key, signature, recovery_message(csr_der))
    except UNREADABLE as exc:
        raise _bad_request("the expired certificate cannot be read") from exc
    except InvalidSignature as exc:
        raise _bad_request("the recovery is not signed by the expired certificate's key") from exc
    return presented


def present(certificate: x509.Certificate) -> PresentedCertificate:
    """Take what names a certificate.

    Raises:
        UNREADABLE: Its key cannot be read.
    """
    public_key = certificate.public_key()
    return PresentedCertificate(
        serial=format_serial(certificate), key_hash=key_hash(public_key), public_key=public_key
    )


def format_serial(certificate: x509.Certificate) -> str:
    """Return the serial number as the Secret and the logs have it."""
    return f"{certificate.serial_number:x}"


def _verify(public_key: PublicKeyTypes, signature: bytes, message: bytes) -> None:
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        public_key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    elif isinstance(public_key, rsa.RSAPublicKey):
        public_key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
    else:
        raise InvalidSignature


def _bad_request(message: str) -> EnrolmentRefused:
    return EnrolmentRefused(HTTPStatus.BAD_REQUEST, RefusalReason.BAD_REQUEST, message)
