"""What joining and renewal say over the wire."""

from __future__ import annotations

import msgspec

from tunnel.enrolment import IssuedCertificate, Refusal, RefusalReason, recovery_message


def test_a_recovery_vouches_for_one_csr() -> None:
    """A signature over one CSR says nothing of another, nor of anything that is no recovery."""
    assert recovery_message(b"csr") != recovery_message(b"other")
    assert recovery_message(b"csr").startswith(b"edgelet certificate recovery v1\0")


def test_a_newer_provider_may_say_more() -> None:
    """Unknown fields and reasons are no error on an older edge."""
    text = b'{"reason": "MoonPhase", "message": "wait", "until": "tomorrow"}'
    refusal = msgspec.json.decode(text, type=Refusal)
    assert refusal == Refusal(reason="MoonPhase", message="wait")
    assert refusal.reason not in list(RefusalReason)


def test_an_issued_certificate_is_read_back() -> None:
    """Both fields are needed."""
    issued = IssuedCertificate(certificate="c", authorities="a")
    assert msgspec.json.decode(msgspec.json.encode(issued), type=IssuedCertificate) == issued
