"""Keys and certificates: EC P-256, one PEM file each, keys readable by their owner only.

A certificate on disk is kept while it says what is asked for, is signed by its CA and has a month
to live; it is made again otherwise. Files appear whole (written beside, then renamed).
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from pathlib import Path

LIFETIME = datetime.timedelta(days=365)
RENEW_BEFORE = datetime.timedelta(days=30)
# A clock that is a little behind ours must not refuse a fresh certificate.
BACKDATE = datetime.timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a certificate says about its holder.

    Attributes:
        common_name: CN.
        organization: O, the Kubernetes group; empty for none.
        dns_names: Subject alternative names.
        addresses: IP addresses among them.
        server: It may serve TLS.
        client: It may be a TLS client.
    """

    common_name: str
    organization: str = ""
    dns_names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    server: bool = False
    client: bool = False

    def name(self) -> x509.Name:
        """Return the X.509 name."""
        organization = (
            [x509.NameAttribute(NameOID.ORGANIZATION_NAME, self.organization)]
            if self.organization
            else []
        )
        return x509.Name([*organization, x509.NameAttribute(NameOID.COMMON_NAME, self.common_name)])

    def alternative_names(self) -> list[x509.GeneralName]:
        """Return the subject alternative names."""
        return [
            *(x509.DNSName(n) for n in self.dns_names),
            *(x509.IPAddress(ipaddress.ip_address(a)) for a in self.addresses),
        ]

    def usages(self) -> list[x509.ObjectIdentifier]:
        """Return the extended key usages."""
        return [
            *([ExtendedKeyUsageOID.SERVER_AUTH] if self.server else []),
            *([ExtendedKeyUsageOID.CLIENT_AUTH] if self.client else []),
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """A certificate and its key as files."""

    certificate_file: Path
    key_file: Path

    def certificate(self) -> x509.Certificate:
        """Load the certificate."""
        return x509.load_pem_x509_certificate(self.certificate_file.read_bytes())

    def key(self) -> ec.EllipticCurvePrivateKey:
        """Load the key."""
        return ensure_key(self.key_file)


def key_pair(folder: Path, name: str) -> KeyPair:
    """Return the files of a certificate by its name: ``<name>.crt`` and ``<name>.key``."""
    return KeyPair(certificate_file=folder / f"{name}.crt", key_file=folder / f"{name}.key")


def ensure_key(file: Path) -> ec.EllipticCurvePrivateKey:
    """Return the key in a file, made where there is none."""
    try:
        key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    except FileNotFoundError:
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            # SEC 1, since the API server reads a service account key in no other form of EC key.
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        write_private(file, pem)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{file} holds no EC key")
    return key


def ensure_authority(pair: KeyPair, common_name: str) -> KeyPair:
    """Return a CA, made where there is none or it nears its end."""
    subject = Subject(common_name=common_name)
    key = pair.key() if pair.key_file.exists() else ensure_key(pair.key_file)
    if not _still_good(pair, subject, issuer=pair, authority=True):
        builder = _builder(subject, key, issuer=subject.name(), issuer_key=key)
        builder = builder.add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        ).add_extension(_key_usage(authority=True), critical=True)
        _write_certificate(pair, builder.sign(key, hashes.SHA256()))
    return pair


def ensure_certificate(pair: KeyPair, subject: Subject, *, issuer: KeyPair) -> KeyPair:
    """Return a certificate signed by `issuer`, made where there is none that says the same."""
    key = ensure_key(pair.key_file)
    if not _still_good(pair, subject, issuer=issuer, authority=False):
        builder = _builder(
            subject, key, issuer=issuer.certificate().subject, issuer_key=issuer.key()
        )
        builder = (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(subject.usages()), critical=False)
        )
        if subject.alternative_names():
            builder = builder.add_extension(
                x509.SubjectAlternativeName(subject.alternative_names()), critical=False
            )
        _write_certificate(pair, builder.sign(issuer.key(), hashes.SHA256()))
    return pair


def write_private(file: Path, content: bytes) -> None:
    """Write a file that only its owner may read, in one step."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f"{file.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(content)
    os.replace(new, file)


def _builder(
    subject: Subject,
    key: ec.EllipticCurvePrivateKey,
    *,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject.name())
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write_certificate(pair: KeyPair, certificate: x509.Certificate) -> None:
    new = pair.certificate_file.with_name(f"{pair.certificate_file.name}.new")
    new.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    os.replace(new, pair.certificate_file)


def _still_good(pair: KeyPair, subject: Subject, *, issuer: KeyPair, authority: bool) -> bool:
    try:
        certificate = pair.certificate()
        certificate.verify_directly_issued_by(issuer.certificate())
    except (FileNotFoundError, ValueError, TypeError, InvalidSignature):
        return False
    now = datetime.datetime.now(datetime.UTC)
    return (
        certificate.subject == subject.name()
        and certificate.public_key() == pair.key().public_key()
        and (authority or _alternative_names(certificate) == subject.alternative_names())
        and certificate.not_valid_after_utc - now > RENEW_BEFORE
    )


def _alternative_names(certificate: x509.Certificate) -> list[x509.GeneralName]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return list(found.value)
