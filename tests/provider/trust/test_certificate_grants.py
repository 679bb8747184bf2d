"""Who may have a new certificate; and what no order of events can break."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from provider.trust.certificate_grants import (
    Grant,
    grant_join,
    grant_recovery,
    grant_renewal,
)
from provider.trust.errors import CertificateRefused, EnrolmentRefused
from provider.trust.issued_certificates import (
    CERTIFICATES_DOCUMENT,
    CertificateRecord,
    IssuedCertificates,
    Proof,
    find_accepted,
    with_issued,
    with_revoked,
    with_used,
)
from tests.fakes.certificate_records import LIFETIME_S, START, moment, presented, record
from tunnel.enrolment import RefusalReason

GRACE_S = 3000.0
A, B = record("a"), record("b")
OVERLAP = IssuedCertificates(current=B, previous=A)


def reason_of(caught: pytest.ExceptionInfo[EnrolmentRefused]) -> tuple[int, RefusalReason]:
    """Return status and reason of a refusal."""
    return caught.value.status, caught.value.reason


def test_a_site_without_a_machine_is_joined() -> None:
    """And one whose certificate has expired."""
    for issued, at_s in ((IssuedCertificates(), 0.0), (IssuedCertificates(current=A), LIFETIME_S)):
        grant = grant_join(issued, key_hash="new", replace=False, now=moment(at_s))
        assert grant == Grant(proof=Proof.JOIN)


def test_a_site_with_a_machine_is_not_joined_by_another() -> None:
    """Unless the token was made to replace it."""
    issued = IssuedCertificates(current=A)
    with pytest.raises(EnrolmentRefused, match="site replace") as caught:
        grant_join(issued, key_hash="new", replace=False, now=START)
    assert reason_of(caught) == (409, RefusalReason.SITE_HAS_EDGE)
    assert grant_join(issued, key_hash="new", replace=True, now=START) == Grant(proof=Proof.JOIN)


def test_a_lost_answer_to_a_join_is_given_again() -> None:
    """The same certificate, as often as it is asked for."""
    grant = grant_join(IssuedCertificates(current=A), key_hash=A.key_hash, replace=False, now=START)
    assert grant.repeated is A


def test_a_certificate_gets_a_successor() -> None:
    """And stays accepted until that was used."""
    issued = IssuedCertificates(current=A)
    grant = grant_renewal(issued, presented(A), key_hash="new", now=START)
    assert grant == Grant(proof=Proof.RENEWAL, predecessor=A)


def test_a_lost_answer_to_a_renewal_is_given_again() -> None:
    """To the one that asked, for the same key; for another key there is another certificate."""
    assert grant_renewal(OVERLAP, presented(A), key_hash=B.key_hash, now=START).repeated is B
    assert grant_renewal(OVERLAP, presented(A), key_hash="new", now=START) == Grant(
        proof=Proof.RENEWAL, predecessor=A
    )


def test_a_certificate_may_renew_with_its_own_key() -> None:
    """That is a renewal and no repetition."""
    grant = grant_renewal(OVERLAP, presented(B), key_hash=B.key_hash, now=START)
    assert grant == Grant(proof=Proof.RENEWAL, predecessor=B)


def test_an_expired_certificate_does_not_renew() -> None:
    """It recovers, within the grace; to the second."""
    issued = IssuedCertificates(current=A)
    with pytest.raises(EnrolmentRefused) as caught:
        grant_renewal(issued, presented(A), key_hash="new", now=moment(LIFETIME_S))
    assert reason_of(caught) == (403, RefusalReason.CERTIFICATE_EXPIRED)
    for at_s in (0.0, LIFETIME_S, LIFETIME_S + GRACE_S - 1):
        grant = grant_recovery(
            issued, presented(A), key_hash="new", now=moment(at_s), grace_s=GRACE_S
        )
        assert grant == Grant(proof=Proof.RECOVERY, predecessor=A)
    with pytest.raises(EnrolmentRefused) as caught:
        grant_recovery(
            issued,
            presented(A),
            key_hash="new",
            now=moment(LIFETIME_S + GRACE_S),
            grace_s=GRACE_S,
        )
    assert reason_of(caught) == (403, RefusalReason.RECOVERY_TOO_LATE)


def test_a_lost_answer_to_a_recovery_is_given_again() -> None:
    """While what was lost is good."""
    successor = record("b", at_s=LIFETIME_S)
    issued = IssuedCertificates(current=successor, previous=A)
    again = {"key_hash": successor.key_hash, "grace_s": GRACE_S}
    grant = grant_recovery(issued, presented(A), now=moment(LIFETIME_S + 1), **again)  # type: ignore[arg-type]
    assert grant.repeated is successor
    late = grant_recovery(issued, presented(A), now=moment(2 * LIFETIME_S), **again)  # type: ignore[arg-type]
    assert late == Grant(proof=Proof.RECOVERY, predecessor=A)


@pytest.mark.parametrize("key_hash", ["new", A.key_hash])
def test_what_was_revoked_gets_nothing(key_hash: str) -> None:
    """Not the certificate, and not its key under any proof."""
    issued, _ = with_revoked(OVERLAP, by="anna", now=START)
    with pytest.raises(EnrolmentRefused) as caught:
        grant_renewal(issued, presented(A), key_hash=key_hash, now=START)
    assert caught.value.reason is RefusalReason.CERTIFICATE_REVOKED
    with pytest.raises(EnrolmentRefused) as caught:
        grant_recovery(issued, presented(A), key_hash=key_hash, now=START, grace_s=GRACE_S)
    assert caught.value.reason is RefusalReason.CERTIFICATE_REVOKED
    with pytest.raises(EnrolmentRefused) as caught:
        grant_join(issued, key_hash=A.key_hash, replace=True, now=START)
    assert caught.value.reason is RefusalReason.CERTIFICATE_REVOKED


def test_no_key_of_the_past_joins_after_a_revocation() -> None:
    """Not even one whose certificate was superseded before: its request may still travel."""
    issued, _ = with_revoked(with_used(OVERLAP, "b"), by="anna", now=START)
    for certificate in (A, B):
        with pytest.raises(EnrolmentRefused) as caught:
            grant_join(issued, key_hash=certificate.key_hash, replace=True, now=START)
        assert caught.value.reason is RefusalReason.CERTIFICATE_REVOKED


def test_what_was_superseded_gets_nothing() -> None:
    """By no proof: a copy of an old disk is worth nothing."""
    issued = with_used(OVERLAP, "b")
    with pytest.raises(EnrolmentRefused) as caught:
        grant_renewal(issued, presented(A), key_hash="new", now=START)
    assert reason_of(caught) == (403, RefusalReason.CERTIFICATE_SUPERSEDED)
    with pytest.raises(EnrolmentRefused) as caught:
        grant_recovery(issued, presented(A), key_hash="new", now=START, grace_s=GRACE_S)
    assert reason_of(caught) == (403, RefusalReason.CERTIFICATE_SUPERSEDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request of the edge, as it travels."""

    asker: CertificateRecord | None
    key: str
    at_s: float


class CertificateLives(RuleBasedStateMachine):
    """One edge that keeps to the protocol, a network that loses and repeats, an operator."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = itertools.count()
        self.now_s = 0.0
        self.data: dict[str, bytes] = {}
        self.token_key = ""
        self.pending = ""
        self.held: CertificateRecord | None = None
        self.in_flight: list[Request] = []
        self.refused: dict[str, CertificateRecord] = {}
        self.ever: dict[str, CertificateRecord] = {}

    @property
    def issued(self) -> IssuedCertificates:
        """What the Secret holds."""
        return CERTIFICATES_DOCUMENT.decode(self.data)

    def store(self, issued: IssuedCertificates) -> None:
        """Write the Secret."""
        self.data = CERTIFICATES_DOCUMENT.encode(self.data, issued)

    def is_expired(self) -> bool:
        """Whether the edge's certificate is."""
        return self.held is not None and moment(self.now_s) >= self.held.not_after

    @initialize()
    def start(self) -> None:
        """Give the machine a token, which is bound to its first key."""
        self.token_key = self.pending = f"k{next(self.numbers)}"

    def provide(self, request: Request) -> CertificateRecord:
        """Answer one request as the provider does."""
        issued, now = self.issued, moment(self.now_s)
        if request.asker is None:
            grant = grant_join(issued, key_hash=request.key, replace=False, now=now)
        elif now < request.asker.not_after:
            grant = grant_renewal(issued, presented(request.asker), key_hash=request.key, now=now)
        else:
            grant = grant_recovery(
                issued,
                presented(request.asker),
                key_hash=request.key,
                now=now,
                grace_s=GRACE_S,
            )
        if grant.repeated is not None:
            return grant.repeated
        new = msgspec.structs.replace(
            record(f"s{next(self.numbers)}", key=request.key, at_s=self.now_s), proof=grant.proof
        )
        self.ever[new.serial] = new
        self.store(with_issued(issued, new, predecessor=grant.predecessor))
        return new

    @rule(is_answer_lost=st.booleans(), is_repeated=st.booleans())
    def ask(self, *, is_answer_lost: bool, is_repeated: bool) -> None:
        """Let the edge ask for its first or its next certificate.

        The key is on its disk until there is an answer.
        """
        if not self.pending:
            self.pending = f"k{next(self.numbers)}"
        request = Request(asker=self.held, key=self.pending, at_s=self.now_s)
        answer = self.provide(request)
        if is_repeated:
            self.in_flight.append(request)
        if not is_answer_lost:
            self.held, self.pending = answer, ""

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data())
    def arrive_late(self, data: st.DataObject) -> None:
        """Let a request arrive once more, to whatever the provider makes of it now."""
        request = data.draw(st.sampled_from(self.in_flight))
        self.in_flight.remove(request)
        try:
            self.provide(request)
        except EnrolmentRefused:
            assert request.asker is None or request.asker is not self.held

    @precondition(lambda self: self.held is not None)
    @rule()
    def dial(self) -> None:
        """Let the edge open a tunnel, if its certificate is still good."""
        assert self.held is not None
        if not self.is_expired():
            find_accepted(self.issued, presented(self.held), now=moment(self.now_s))
            self.store(with_used(self.issued, self.held.serial))
            issued = self.issued
            assert issued.previous is None or self.held.serial == issued.previous.serial

    @rule(seconds=st.sampled_from([10.0, 300.0, LIFETIME_S - 1, LIFETIME_S, 2000.0]))
    def wait(self, seconds: float) -> None:
        """Let time pass, but not so much that the edge may not come back."""
        at_s = self.now_s + seconds
        if self.held is not None:
            end_s = (self.held.not_after - START).total_seconds() + GRACE_S
            at_s = min(at_s, end_s - 1)
        self.now_s = max(at_s, self.now_s)
        # Nothing travels for so long.
        self.in_flight = [item for item in self.in_flight if self.now_s - item.at_s < 60]

    @precondition(lambda self: self.held is not None)
    @rule()
    def revoke_and_join_anew(self) -> None:
        """Let an operator revoke all; the machine joins with a new key and token."""
        issued, _ = with_revoked(self.issued, by="operator", now=moment(self.now_s))
        self.store(issued)
        self.held = None
        self.token_key = self.pending = f"k{next(self.numbers)}"

    @invariant()
    def the_edge_is_never_locked_out(self) -> None:
        """What it holds is accepted, or can be recovered."""
        if self.held is None:
            return
        now = moment(self.now_s)
        if self.is_expired():
            grant_recovery(
                self.issued, presented(self.held), key_hash="any", now=now, grace_s=GRACE_S
            )
        else:
            find_accepted(self.issued, presented(self.held), now=now)

    @invariant()
    def what_was_refused_is_refused_for_ever(self) -> None:
        """Superseded or revoked: no later event brings a certificate back."""
        accepted = []
        for serial, certificate in self.ever.items():
            try:
                find_accepted(self.issued, presented(certificate), now=certificate.not_before)
            except CertificateRefused:
                self.refused[serial] = certificate
            else:
                assert serial not in self.refused
                accepted.append(serial)
        assert len(accepted) <= 2


TestCertificateLives = CertificateLives.TestCase
TestCertificateLives.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
