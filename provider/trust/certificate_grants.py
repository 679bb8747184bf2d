"""Who may have a new certificate: three proofs, each against what was issued before.

The same key gets the same certificate again: a request that is repeated, or that arrives late and
twice, changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

from provider.trust.errors import CertificateRefused, EnrolmentRefused
from provider.trust.issued_certificates import CertificateRecord, Proof, find_accepted, find_issued
from tunnel.enrolment import RefusalReason

if TYPE_CHECKING:
    from datetime import datetime

    from provider.trust.issued_certificates import IssuedCertificates
    from provider.trust.presented_certificate import PresentedCertificate


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A request that may have a certificate.

    Attributes:
        proof: What it showed.
        predecessor: The certificate that asked; it stays accepted until the new one was used.
        repeated: The answer was given before: hand out this one again.
    """

    proof: Proof
    predecessor: CertificateRecord | None = None
    repeated: CertificateRecord | None = None


def grant_join(issued: IssuedCertificates, *, key_hash: str, replace: bool, now: datetime) -> Grant:
    """Decide on a key that showed a valid token.

    Raises:
        EnrolmentRefused: SITE_HAS_EDGE, or CERTIFICATE_REVOKED for a key that was revoked.
    """
    _check_key(issued, key_hash)
    current = issued.current
    if current is None or now >= current.not_after:
        return Grant(proof=Proof.JOIN)
    if current.key_hash == key_hash:
        return Grant(proof=Proof.JOIN, repeated=current)
    if not replace:
        raise EnrolmentRefused(
            HTTPStatus.CONFLICT,
            RefusalReason.SITE_HAS_EDGE,
            f"the site has a machine, with the certificate {current.serial} until "
            f"{current.not_after:%Y-%m-%d %H:%M:%S} UTC; edgelet-provider site replace makes a "
            "token for another one",
        )
    return Grant(proof=Proof.JOIN)


def grant_renewal(
    issued: IssuedCertificates, presented: PresentedCertificate, *, key_hash: str, now: datetime
) -> Grant:
    """Decide on a key for which an accepted certificate asks.

    Raises:
        EnrolmentRefused: The certificate is not accepted, or the key was revoked.
    """
    try:
        record = find_accepted(issued, presented, now=now)
    except CertificateRefused as exc:
        raise EnrolmentRefused(HTTPStatus.FORBIDDEN, exc.reason, exc.message) from exc
    return _grant_successor(issued, record, proof=Proof.RENEWAL, key_hash=key_hash, now=now)


def grant_recovery(
    issued: IssuedCertificates,
    presented: PresentedCertificate,
    *,
    key_hash: str,
    now: datetime,
    grace_s: float,
) -> Grant:
    """Decide on a key for which an expired certificate's key vouches.

    One that has not expired may do so too: the edge's clock may be ahead.

    Raises:
        EnrolmentRefused: The certificate was not the last one, was revoked or is too old, or the
            new key was revoked.
    """
    try:
        record = find_issued(issued, presented)
    except CertificateRefused as exc:
        raise EnrolmentRefused(HTTPStatus.FORBIDDEN, exc.reason, exc.message) from exc
    if now >= record.not_after + timedelta(seconds=grace_s):
        raise EnrolmentRefused(
            HTTPStatus.FORBIDDEN,
            RefusalReason.RECOVERY_TOO_LATE,
            f"the certificate {record.serial} expired at {record.not_after:%Y-%m-%d %H:%M:%S} UTC, "
            f"and could be recovered for {grace_s / 86400:g} days",
        )
    return _grant_successor(issued, record, proof=Proof.RECOVERY, key_hash=key_hash, now=now)


def _grant_successor(
    issued: IssuedCertificates,
    record: CertificateRecord,
    *,
    proof: Proof,
    key_hash: str,
    now: datetime,
) -> Grant:
    _check_key(issued, key_hash)
    current = issued.current
    is_repeated = (
        record is issued.previous
        and current is not None
        and current.key_hash == key_hash
        and now < current.not_after
    )
    return Grant(proof=proof, predecessor=record, repeated=current if is_repeated else None)


def _check_key(issued: IssuedCertificates, key_hash: str) -> None:
    if any(revoked.key_hash == key_hash for revoked in issued.revoked):
        raise EnrolmentRefused(
            HTTPStatus.FORBIDDEN,
            RefusalReason.CERTIFICATE_REVOKED,
            "this key's certificate was revoked; join again with a new key",
        )
