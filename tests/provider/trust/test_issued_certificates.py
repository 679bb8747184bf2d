"""Which certificates are accepted."""

from __future__ import annotations

import pytest

from provider.trust.errors import CertificateRefused, SecretCorrupt
from provider.trust.issued_certificates import (
    CERTIFICATES_DOCUMENT,
    CERTIFICATES_FIELD,
    MAX_REMEMBERED,
    MAX_REVOKED,
    CertificateRecord,
    IssuedCertificates,
    check_may_stay,
    check_not_revoked,
    find_accepted,
    with_issued,
    with_revoked,
    with_used,
)
from tests.fakes.certificate_records import LIFETIME_S, START, moment, presented, record
from tunnel.enrolment import RefusalReason

A, B, C = record("a"), record("b"), record("c")
# A asked for B, and B was not used yet.
OVERLAP = IssuedCertificates(current=B, previous=A)


def refusal_of(
    issued: IssuedCertificates, certificate: CertificateRecord, *, at_s: float = 0.0
) -> RefusalReason:
    """Return why a certificate is refused."""
    with pytest.raises(CertificateRefused) as caught:
        find_accepted(issued, presented(certificate), now=moment(at_s))
    return caught.value.reason


def superseded(issued: IssuedCertificates) -> tuple[str, ...]:
    """Return the serials of those that had a successor."""
    return tuple(old.serial for old in issued.superseded)


def test_the_current_certificate_is_accepted() -> None:
    """And the one that asked for it, until it was used."""
    assert find_accepted(OVERLAP, presented(B), now=START) is B
    assert find_accepted(OVERLAP, presented(A), now=START) is A
    used = with_used(OVERLAP, "b")
    assert find_accepted(used, presented(B), now=START) is B
    assert refusal_of(used, A) is RefusalReason.CERTIFICATE_SUPERSEDED


def test_use_of_the_previous_one_drops_nothing() -> None:
    """The edge may not have the current one."""
    assert with_used(OVERLAP, "a") is OVERLAP
    assert with_used(OVERLAP, "unknown") is OVERLAP
    alone = with_used(OVERLAP, "b")
    assert with_used(alone, "b") is alone
    assert with_used(IssuedCertificates(), "b") == IssuedCertificates()


def test_only_the_one_that_asked_stays() -> None:
    """A certificate that nobody got ends when its predecessor asks again."""
    issued = with_issued(OVERLAP, C, predecessor=A)
    assert (issued.current, issued.previous, superseded(issued)) == (C, A, ("b",))
    issued = with_issued(OVERLAP, C, predecessor=B)
    assert (issued.current, issued.previous, superseded(issued)) == (C, B, ("a",))
    issued = with_issued(OVERLAP, C, predecessor=None)
    assert (issued.current, issued.previous, superseded(issued)) == (C, None, ("a", "b"))


def test_an_unknown_certificate_is_refused() -> None:
    """Although the site's CA signed it."""
    assert refusal_of(OVERLAP, C) is RefusalReason.CERTIFICATE_UNKNOWN
    assert refusal_of(IssuedCertificates(), A) is RefusalReason.CERTIFICATE_UNKNOWN


def test_a_known_serial_with_another_key_is_refused() -> None:
    """Both must be what was issued."""
    assert refusal_of(OVERLAP, record("b", key="other")) is RefusalReason.CERTIFICATE_UNKNOWN


def test_an_expired_certificate_is_refused() -> None:
    """At its end, to the second."""
    find_accepted(OVERLAP, presented(B), now=moment(LIFETIME_S - 1))
    assert refusal_of(OVERLAP, B, at_s=LIFETIME_S) is RefusalReason.CERTIFICATE_EXPIRED


def test_a_revocation_ends_both() -> None:
    """Their serials and their keys, and whatever is open."""
    issued, serials = with_revoked(OVERLAP, by="anna", now=START)
    assert serials == ("a", "b")
    for certificate in (A, B, record("new", key=A.key_hash)):
        assert refusal_of(issued, certificate) is RefusalReason.CERTIFICATE_REVOKED
        with pytest.raises(CertificateRefused, match="anna"):
            check_not_revoked(issued, presented(certificate))
    check_not_revoked(issued, presented(C))
    assert with_revoked(issued, by="bert", now=START) == (issued, ())


def test_a_revocation_ends_what_older_certificates_opened() -> None:
    """A session goes on through renewals, but not through this."""
    issued = with_used(with_issued(OVERLAP, C, predecessor=B), "c")
    assert superseded(issued) == ("a", "b")
    for certificate in (A, B, C):
        check_may_stay(issued, presented(certificate))
    issued, serials = with_revoked(issued, by="anna", now=START)
    assert serials == ("c",)
    for certificate in (A, B, C):
        with pytest.raises(CertificateRefused) as caught:
            check_may_stay(issued, presented(certificate))
        assert caught.value.reason is RefusalReason.CERTIFICATE_REVOKED


def test_memory_is_bounded() -> None:
    """What is forgotten is unknown, which is refused, too, and keeps nothing open."""
    issued = IssuedCertificates()
    for number in range(MAX_REVOKED):
        issued = with_issued(issued, record(f"s{number}"), predecessor=None)
        issued, _ = with_revoked(issued, by="anna", now=START)
    for number in range(MAX_REMEMBERED * 2):
        issued = with_issued(issued, record(f"t{number}"), predecessor=None)
    assert len(issued.superseded) == MAX_REMEMBERED
    issued, _ = with_revoked(issued, by="anna", now=START)
    assert len(issued.revoked) == MAX_REVOKED
    for certificate in (record("s0"), record("t0")):
        assert refusal_of(issued, certificate) is RefusalReason.CERTIFICATE_UNKNOWN
        with pytest.raises(CertificateRefused):
            check_may_stay(issued, presented(certificate))
    # Far below etcd's limit of 1.5 MiB.
    assert len(CERTIFICATES_DOCUMENT.encode({}, issued)[CERTIFICATES_FIELD]) < 64 * 1024


def test_the_document_is_what_it_was() -> None:
    """And other fields of the Secret stay."""
    issued, _ = with_revoked(OVERLAP, by="anna", now=START)
    issued = with_issued(issued, C, predecessor=A)
    data = CERTIFICATES_DOCUMENT.encode({"note": b"mine"}, issued)
    assert CERTIFICATES_DOCUMENT.decode(data) == issued
    assert data["note"] == b"mine"
    assert CERTIFICATES_DOCUMENT.decode({}) == IssuedCertificates()


@pytest.mark.parametrize("text", [b"{", b"[]", b"null", b'{"current": {}}', b"\xff"])
def test_a_document_that_is_none_is_said(text: bytes) -> None:
    """And is never taken for an empty one, which would let anybody join."""
    with pytest.raises(SecretCorrupt, match="edgelet-site-certificates"):
        CERTIFICATES_DOCUMENT.decode({CERTIFICATES_FIELD: text})
