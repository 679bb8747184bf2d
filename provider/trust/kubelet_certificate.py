"""Certificates of the kubelet port: what is asked of the cluster, and what may be shown.

Pure: the time is an argument.

Source: kubernetes pkg/apis/certificates/helpers.go (ValidateKubeletServingCSR),
    pkg/kubelet/certificate/kubelet.go; client-go util/cert (self-signed until there is another).
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tunnel.identity import NODE_GROUP, SiteName, node_user_name

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

SELF_SIGNED_LIFETIME: Final = datetime.timedelta(days=365)
# For clocks of others that are slow.
_EARLIER: Final = datetime.timedelta(minutes=5)


class UnusableCertificate(Exception):
    """A certificate that cannot be shown; the message says why, without anything secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeletCertificate:
    """A certificate with its key, ready to be shown.

    Attributes:
        chain_pem: The certificate, then its intermediates.
        key_pem: Its private key, PKCS #8.
        not_before: UTC.
        not_after: UTC.
        is_self_signed: Nobody vouches for it.
    """

    chain_pem: bytes
    key_pem: bytes = field(repr=False)
    not_before: datetime.datetime
    not_after: datetime.datetime
    is_self_signed: bool

    def due(self, share: float) -> datetime.datetime:
        """Return the time at which this share of its life is over."""
        return self.not_before + share * (self.not_after - self.not_before)


def new_key_pem() -> bytes:
    """Make a private key."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def certificate_request(*, site: SiteName, address: str, key_pem: bytes) -> bytes:
    """Return the CSR, PEM, that a kubelet of this address would make.

    Raises:
        UnusableCertificate: The key is none of ours.
    """
    builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(site))
    request = builder.add_extension(_addresses(address), critical=False).sign(
        _load_key(key_pem), hashes.SHA256()
    )
    return request.public_bytes(serialization.Encoding.PEM)


def request_name(*, site: SiteName, address: str, key_pem: bytes) -> str:
    """Return the name of the request for a key and an address: asked again, it is the same.

    Raises:
        UnusableCertificate: The key is none of ours.
    """
    public = _public_bytes(_load_key(key_pem).public_key())
    digest = hashlib.sha256(public + address.encode()).hexdigest()
    return f"edgelet-{site}-{digest[:16]}"


def self_signed(*, site: SiteName, address: str, now: datetime.datetime) -> KubeletCertificate:
    """Make a certificate that nobody vouches for."""
    key_pem = new_key_pem()
    key = _load_key(key_pem)
    not_before = (now - _EARLIER).replace(microsecond=0)
    not_after = not_before + SELF_SIGNED_LIFETIME
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_subject(site))
        .issuer_name(_subject(site))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(_addresses(address), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return KubeletCertificate(
        chain_pem=certificate.public_bytes(serialization.Encoding.PEM),
        key_pem=key_pem,
        not_before=not_before,
        not_after=not_after,
        is_self_signed=True,
    )


def usable_certificate(
    *, chain_pem: bytes, key_pem: bytes, address: str, now: datetime.datetime
) -> KubeletCertificate:
    """Accept an issued certificate with its key.

    Raises:
        UnusableCertificate: It is no certificate, of another key or address, not for servers, or
            out of its time.
    """
    try:
        leaf = x509.load_pem_x509_certificates(chain_pem)[0]
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        public_key = leaf.public_key()
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension) as exc:
        raise UnusableCertificate(f"it is no serving certificate: {exc}") from exc
    if _public_bytes(public_key) != _public_bytes(_load_key(key_pem).public_key()):
        raise UnusableCertificate("it is another key's")
    if ipaddress.ip_address(address) not in names.get_values_for_type(x509.IPAddress):
        raise UnusableCertificate(f"it is not for the address {address}")
    if ExtendedKeyUsageOID.SERVER_AUTH not in usage:
        raise UnusableCertificate("it is not for servers")
    if not leaf.not_valid_before_utc <= now < leaf.not_valid_after_utc:
        raise UnusableCertificate(
            f"it is valid from {leaf.not_valid_before_utc} to {leaf.not_valid_after_utc}"
        )
    return KubeletCertificate(
        chain_pem=chain_pem,
        key_pem=key_pem,
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        is_self_signed=False,
    )


def _subject(site: SiteName) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, NODE_GROUP),
            x509.NameAttribute(NameOID.COMMON_NAME, node_user_name(site)),
        ]
    )


def _addresses(address: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])


def _load_key(key_pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError) as exc:
        raise UnusableCertificate("its key is no private key in PEM form") from exc
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise UnusableCertificate("its key is no elliptic-curve key")
    return key


def _public_bytes(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
