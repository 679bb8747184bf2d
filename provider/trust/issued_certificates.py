"""Which certificates a site has: which one is accepted, and who may have a new one.

The document is ``certificates.json`` of the Secret ``edgelet-site-certificates``.
"""

from __future__ import annotations

import enum
from datetime import datetime  # noqa: TC003 - msgspec reads the annotations

import msgspec


class Proof(enum.StrEnum):
    """What a certificate was issued for."""

    JOIN = "join"
    RENEWAL = "renewal"
    RECOVERY = "recovery"


class CertificateRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One certificate that was issued.

    Attributes:
        serial: Lower-case hexadecimal.
        key_hash: SHA-256 of the public key (SubjectPublicKeyInfo), hexadecimal.
        not_before: UTC.
        not_after: UTC.
        proof: What it was issued for.
        issued_at: UTC.
        certificate: PEM; the same key gets the same certificate again after a lost answer.
    """

    serial: str
    key_hash: str
    not_before: datetime
    not_after: datetime
    proof: Proof
    issued_at: datetime
    certificate: str


class RevokedCertificate(msgspec.Struct, frozen=True, kw_only=True):
    """One certificate that was revoked.

    Attributes:
        serial: Lower-case hexadecimal.
        key_hash: Of its key, which gets no certificate any more.
        revoked_at: UTC.
        revoked_by: Who asked.
    """

    serial: str
    key_hash: str
    revoked_at: datetime
    revoked_by: str


class IssuedCertificates(msgspec.Struct, frozen=True, kw_only=True):
    """The document.

    Attributes:
        current: The latest one, or None before the first join and after a revocation.
        previous: The one that asked for it, until the current one was used.
        superseded: Serials that were accepted once, the newest last; bounded.
        revoked: The newest last; bounded.
    """

    current: CertificateRecord | None = None
    previous: CertificateRecord | None = None
    superseded: tuple[str, ...] = ()
    revoked: tuple[RevokedCertificate, ...] = ()
