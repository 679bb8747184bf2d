"""What a CSR may ask for: a certificate for its key, in the name of this site, and nothing else.

What it requests in extensions is never looked at.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from provider.trust.errors import EnrolmentRefused
from tunnel.enrolment import MAX_REQUEST_BYTES, RefusalReason
from tunnel.identity import NODE_GROUP, SiteName, node_user_name

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

MIN_RSA_BITS: Final = 2048
# Signatures of larger keys cost the provider more than they add.
MAX_RSA_BITS: Final = 4096
RSA_EXPONENT: Final = 65537
_CURVES = (ec.SECP256R1, ec.SECP384R1)
# What reading X.509 that anybody may send can raise; InvalidVersion is no ValueError.
UNREADABLE: Final = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion)
_HASHES = ("sha256", "sha384", "sha512")

SiteKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRequest:
    """A CSR that may be signed.

    Attributes:
        public_key: For this key.
        key_hash: As ``key_hash`` gives it.
        der: The whole CSR, which a recovery's signature covers.
    """

    public_key: SiteKey = field(repr=False)
    key_hash: str
    der: bytes = field(repr=False)


def parse_certificate_request(csr_pem: bytes, *, site: SiteName) -> CertificateRequest:
    """Accept a CSR for exactly this site, signed by the key it names.

    Args:
        csr_pem: PEM.
        site: Its subject must be this site's and nothing more.

    Raises:
        EnrolmentRefused: BAD_REQUEST, or OTHER_SITE for another subject.
    """
    if len(csr_pem) > MAX_REQUEST_BYTES:
        raise _bad_request(f"a request has at most {MAX_REQUEST_BYTES} bytes")
    try:
        csr = x509.load_pem_x509_csr(csr_pem)
        subject = [(attribute.oid, attribute.value) for attribute in csr.subject]
        public_key = _allowed_key(csr.public_key())
        algorithm = csr.signature_hash_algorithm
    except UNREADABLE as exc:
        raise _bad_request("the body is no certificate signing request in PEM form") from exc
    # The cheap checks come first: a signature is only verified for what could be signed.
    wanted = [(NameOID.COMMON_NAME, node_user_name(site)), (NameOID.ORGANIZATION_NAME, NODE_GROUP)]
    if len(subject) != len(wanted) or any(attribute not in subject for attribute in wanted):
        raise EnrolmentRefused(
            HTTPStatus.FORBIDDEN,
            RefusalReason.OTHER_SITE,
            f"the request's subject must be exactly CN={node_user_name(site)}, O={NODE_GROUP}",
        )
    if algorithm is None or algorithm.name not in _HASHES or not _is_signature_valid(csr):
        raise _bad_request("the request is not signed by the key that it names")
    return CertificateRequest(
        public_key=public_key,
        key_hash=key_hash(public_key),
        der=csr.public_bytes(Encoding.DER),
    )


def key_hash(public_key: PublicKeyTypes) -> str:
    """Return SHA-256 of a public key (SubjectPublicKeyInfo, DER), lower-case hexadecimal."""
    der = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def _allowed_key(key: object) -> SiteKey:
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES):
        return key
    if (
        isinstance(key, rsa.RSAPublicKey)
        and MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS
        # A large one would make each verification as dear as a signature.
        and key.public_numbers().e == RSA_EXPONENT
    ):
        return key
    raise _bad_request(
        f"the key must be EC P-256 or P-384, or RSA of {MIN_RSA_BITS} to {MAX_RSA_BITS} bits with "
        f"the exponent {RSA_EXPONENT}"
    )


def _is_signature_valid(csr: x509.CertificateSigningRequest) -> bool:
    try:
        return csr.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature):
        return False


def _bad_request(message: str) -> EnrolmentRefused:
    return EnrolmentRefused(HTTPStatus.BAD_REQUEST, RefusalReason.BAD_REQUEST, message)
