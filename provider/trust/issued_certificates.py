"""Which certificates a site has: which one is accepted, and who may have a new one.

The document is ``certificates.json`` of the Secret ``edgelet-site-certificates``.

    join ──> current                                            previous: none
    renewal or recovery, asked by X ──> current                 previous: X
    current was used for a tunnel ──> current                   previous: none, superseded
    revoked ──> none                                            previous: none, both revoked

An edge that follows the protocol holds the current certificate or, when the answer to its last
request was lost, the previous one; so the one that asked stays accepted until its successor was
seen in use. The same key gets the same certificate again: a request that is repeated, or arrives
late and twice, changes nothing.
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from provider.trust.errors import CertificateRefused
from provider.trust.secret_document import SecretDocument
from tunnel.enrolment import RefusalReason

if TYPE_CHECKING:
    from provider.trust.presented_certificate import PresentedCertificate

CERTIFICATES_FIELD: Final = "certificates.json"
# Beyond them the oldest is forgotten; its certificate is then refused as unknown.
MAX_REMEMBERED: Final = 64
# Each revocation adds at most MAX_REMEMBERED and two more.
MAX_REVOKED: Final = 256

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


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
    not_before: Moment
    not_after: Moment
    proof: Proof
    issued_at: Moment
    certificate: str

    def is_that(self, presented: PresentedCertificate) -> bool:
        """Whether this is the certificate that was shown."""
        return self.serial == presented.serial and self.key_hash == presented.key_hash


class SupersededCertificate(msgspec.Struct, frozen=True, kw_only=True):
    """One certificate that had a successor.

    Attributes:
        serial: Lower-case hexadecimal.
        key_hash: Of its key, which a revocation of the site revokes, too.
    """

    serial: str
    key_hash: str


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
    revoked_at: Moment
    revoked_by: str


class IssuedCertificates(msgspec.Struct, frozen=True, kw_only=True):
    """The document.

    Attributes:
        current: The latest one, or None before the first join and after a revocation.
        previous: The one that asked for it, until the current one was used.
        superseded: Those that were accepted once, the newest last; bounded.
        revoked: The newest last; bounded.
    """

    current: CertificateRecord | None = None
    previous: CertificateRecord | None = None
    superseded: tuple[SupersededCertificate, ...] = ()
    revoked: tuple[RevokedCertificate, ...] = ()


CERTIFICATES_DOCUMENT: Final = SecretDocument(
    kept_in="edgelet-site-certificates",
    field=CERTIFICATES_FIELD,
    type=IssuedCertificates,
)


def find_accepted(
    issued: IssuedCertificates, presented: PresentedCertificate, *, now: datetime
) -> CertificateRecord:
    """Return the record of a certificate that may open a tunnel now.

    Raises:
        CertificateRefused: It may not.
    """
    record = find_issued(issued, presented)
    if now >= record.not_after:
        raise CertificateRefused(
            RefusalReason.CERTIFICATE_EXPIRED,
            f"the certificate {record.serial} expired at {record.not_after:%Y-%m-%d %H:%M:%S} UTC",
        )
    return record


def with_issued(
    issued: IssuedCertificates, record: CertificateRecord, *, predecessor: CertificateRecord | None
) -> IssuedCertificates:
    """Make a new certificate the current one; only the one that asked stays accepted."""
    kept = predecessor.serial if predecessor else ""
    gone = [old for old in (issued.previous, issued.current) if old and old.serial != kept]
    return msgspec.structs.replace(
        issued,
        current=record,
        previous=predecessor,
        superseded=_bounded(issued.superseded, gone),
    )


def with_used(issued: IssuedCertificates, serial: str) -> IssuedCertificates:
    """Note that a certificate was used; if it is the current one its predecessor is void.

    Returns:
        The same object when nothing changes.
    """
    current, previous = issued.current, issued.previous
    if current is None or previous is None or current.serial != serial:
        return issued
    superseded = _bounded(issued.superseded, [previous])
    return msgspec.structs.replace(issued, previous=None, superseded=superseded)


def with_revoked(
    issued: IssuedCertificates, *, by: str, now: datetime
) -> tuple[IssuedCertificates, tuple[str, ...]]:
    """Revoke all certificates that are accepted, and their keys.

    Those that they superseded are revoked with them: a session that one of them opened goes on
    through renewals, and must not outlive this.

    Returns:
        The document, the same object when there was none; and the serials.
    """
    gone = [record for record in (issued.previous, issued.current) if record]
    if not gone:
        return issued, ()
    ended: list[CertificateRecord | SupersededCertificate] = [*issued.superseded, *gone]
    revoked = [
        RevokedCertificate(
            serial=record.serial, key_hash=record.key_hash, revoked_at=now, revoked_by=by
        )
        for record in ended
    ]
    changed = msgspec.structs.replace(
        issued,
        current=None,
        previous=None,
        superseded=(),
        revoked=(*issued.revoked, *revoked)[-MAX_REVOKED:],
    )
    return changed, tuple(record.serial for record in gone)


def check_not_revoked(issued: IssuedCertificates, presented: PresentedCertificate) -> None:
    """Decide whether what a certificate opened may stay open.

    Raises:
        CertificateRefused: CERTIFICATE_REVOKED.
    """
    for revoked in issued.revoked:
        if presented.serial == revoked.serial or presented.key_hash == revoked.key_hash:
            raise CertificateRefused(
                RefusalReason.CERTIFICATE_REVOKED,
                f"the certificate {presented.serial} was revoked at "
                f"{revoked.revoked_at:%Y-%m-%d %H:%M:%S} UTC by {revoked.revoked_by}",
            )


def check_may_stay(issued: IssuedCertificates, presented: PresentedCertificate) -> None:
    """Decide whether what a certificate opened may stay open: a successor does not close it.

    One that was forgotten among those that were superseded could not be found by a revocation, so
    it is closed, too; whoever has a successor comes back at once.

    Raises:
        CertificateRefused: CERTIFICATE_REVOKED or CERTIFICATE_UNKNOWN.
    """
    if not _is_superseded(issued, presented):
        find_issued(issued, presented)


def find_issued(issued: IssuedCertificates, presented: PresentedCertificate) -> CertificateRecord:
    """Return the record of a certificate that is accepted, be it expired or not.

    Raises:
        CertificateRefused: It was revoked, superseded, or is not known.
    """
    check_not_revoked(issued, presented)
    for record in (issued.current, issued.previous):
        if record and record.is_that(presented):
            return record
    if _is_superseded(issued, presented):
        raise CertificateRefused(
            RefusalReason.CERTIFICATE_SUPERSEDED,
            f"the certificate {presented.serial} was superseded by a later one",
        )
    raise CertificateRefused(
        RefusalReason.CERTIFICATE_UNKNOWN,
        f"the certificate {presented.serial} is not known to this site",
    )


def _is_superseded(issued: IssuedCertificates, presented: PresentedCertificate) -> bool:
    return any(
        old.serial == presented.serial and old.key_hash == presented.key_hash
        for old in issued.superseded
    )


def _bounded(
    superseded: tuple[SupersededCertificate, ...], more: list[CertificateRecord]
) -> tuple[SupersededCertificate, ...]:
    added = [SupersededCertificate(serial=old.serial, key_hash=old.key_hash) for old in more]
    return (*superseded, *added)[-MAX_REMEMBERED:]
