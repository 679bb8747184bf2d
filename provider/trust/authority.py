"""The site's CA: make it, rotate it with an overlap, sign with it.

Rotation: the new CA has the old one's name and a new key. The old one signs that key once more,
and the server shows this cross-signed copy behind its certificate, so that an edge that knows only
the old CA still verifies it:

    edge that knows the new CA    server certificate ── new CA
    edge that knows the old CA    server certificate ── new key, signed by the old CA ── old CA

Both names are equal, so the copy is self-issued and does not count against the path length of 0
(RFC 5280 §4.2.1.9); key identifiers tell the keys apart. The old CA's key is forgotten at once:
it has signed all that it ever will.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from provider.trust.token_signature import TOKEN_KEY_BYTES
from tunnel.identity import NODE_GROUP, SiteName, ca_pin, node_user_name

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
    from cryptography.x509.oid import ObjectIdentifier

CA_LIFETIME: Final = timedelta(days=3652)
# Certificates begin this long ago: a peer's clock may be behind.
BACKDATED: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """The CA, its keys, and its predecessor during an overlap.

    Attributes:
        certificate: The CA that signs now.
        key: Its key; a secret.
        token_key: Signs join tokens; a secret of its own.
        cross_signed: The same key, signed by the predecessor; shown behind server certificates.
        previous: The predecessor, which some edges and their certificates still count on.
        overlap_until: The predecessor counts until then, UTC; None when there is none.
    """

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)
    token_key: bytes = field(repr=False)
    cross_signed: x509.Certificate | None = None
    previous: x509.Certificate | None = None
    overlap_until: datetime | None = None

    @property
    def pin(self) -> str:
        """What join tokens name the CA by."""
        return ca_pin(self.certificate.public_bytes(Encoding.DER))

    def is_overlap(self, now: datetime) -> bool:
        """Whether the predecessor still counts."""
        return self.overlap_until is not None and now < self.overlap_until

    def accepted(self, now: datetime) -> tuple[x509.Certificate, ...]:
        """Return the CAs that count for clients and edges, the one that signs now first."""
        if self.previous is not None and self.is_overlap(now):
            return (self.certificate, self.previous)
        return (self.certificate,)

    def server_chain(self, now: datetime) -> tuple[x509.Certificate, ...]:
        """Return what is shown behind a server certificate."""
        if self.cross_signed is not None and self.is_overlap(now):
            return (self.cross_signed,)
        return ()


def make_authority(site: SiteName, *, now: datetime) -> Authority:
    """Make the first CA of a site, with new keys."""
    key = ec.generate_private_key(ec.SECP256R1())
    return Authority(
        certificate=_ca_certificate(site, key.public_key(), signed_by=key, now=now),
        key=key,
        token_key=secrets.token_bytes(TOKEN_KEY_BYTES),
    )


def rotate_authority(
    old: Authority, site: SiteName, *, now: datetime, overlap_until: datetime
) -> Authority:
    """Make the next CA of a site, with new keys; tokens of the old one are void.

    Args:
        old: The CA that signed until now; an older one that it still carries is dropped.
        site: Of both.
        now: UTC.
        overlap_until: The old CA counts until then.
    """
    new = make_authority(site, now=now)
    return Authority(
        certificate=new.certificate,
        key=new.key,
        token_key=new.token_key,
        cross_signed=_ca_certificate(
            site,
            new.key.public_key(),
            signed_by=old.key,
            now=now,
            not_after=min(old.certificate.not_valid_after_utc, new.certificate.not_valid_after_utc),
        ),
        previous=old.certificate,
        overlap_until=overlap_until,
    )


def sign_edge_certificate(
    authority: Authority,
    site: SiteName,
    public_key: CertificatePublicKeyTypes,
    *,
    now: datetime,
    lifetime_s: float,
) -> x509.Certificate:
    """Sign a client certificate of the site's Node: client authentication only."""
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, NODE_GROUP),
            x509.NameAttribute(NameOID.COMMON_NAME, node_user_name(site)),
        ]
    )
    builder = _leaf(
        authority,
        subject,
        public_key,
        usage=ExtendedKeyUsageOID.CLIENT_AUTH,
        now=now,
        lifetime_s=lifetime_s,
    )
    return builder.sign(authority.key, hashes.SHA256())


def sign_server_certificate(
    authority: Authority,
    public_key: CertificatePublicKeyTypes,
    *,
    names: list[x509.GeneralName],
    common_name: str,
    now: datetime,
    lifetime_s: float,
) -> x509.Certificate:
    """Sign a server certificate: server authentication only.

    Args:
        authority: Signs.
        public_key: The server's.
        names: What it may be called; at least one.
        common_name: For people; at most 64 characters, the rest is cut.
        now: UTC.
        lifetime_s: From now; never beyond the CA's end.
    """
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])
    builder = _leaf(
        authority,
        subject,
        public_key,
        usage=ExtendedKeyUsageOID.SERVER_AUTH,
        now=now,
        lifetime_s=lifetime_s,
    )
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(authority.key, hashes.SHA256())


def authority_name(site: SiteName) -> x509.Name:
    """Return the name of every CA of a site; it says no more than a person needs.

    A common name has at most 64 characters (RFC 5280, ub-common-name), a site name up to 63.
    """
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"edgelet-site-{site}"[:64])])


def _ca_certificate(
    site: SiteName,
    public_key: ec.EllipticCurvePublicKey,
    *,
    signed_by: ec.EllipticCurvePrivateKey,
    now: datetime,
    not_after: datetime | None = None,
) -> x509.Certificate:
    name = authority_name(site)
    builder = _builder(public_key, issuer_key=signed_by.public_key())
    return (
        builder.subject_name(name)
        .issuer_name(name)
        .not_valid_before(now - BACKDATED)
        .not_valid_after(not_after or now + CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(is_ca=True), critical=True)
        .sign(signed_by, hashes.SHA256())
    )


def _leaf(
    authority: Authority,
    subject: x509.Name,
    public_key: CertificatePublicKeyTypes,
    *,
    usage: ObjectIdentifier,
    now: datetime,
    lifetime_s: float,
) -> x509.CertificateBuilder:
    not_after = min(now + timedelta(seconds=lifetime_s), authority.certificate.not_valid_after_utc)
    return (
        _builder(public_key, issuer_key=authority.key.public_key())
        .subject_name(subject)
        .issuer_name(authority.certificate.subject)
        .not_valid_before(now - BACKDATED)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(is_ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    )


def _builder(
    public_key: CertificatePublicKeyTypes, *, issuer_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False
        )
    )


def _key_usage(*, is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        encipher_only=False,
        decipher_only=False,
    )
