"""The one form of every refusal."""

from __future__ import annotations

import msgspec
import pytest

from provider.edge_link.refusal import Refused, not_found, refusal_answer, unavailable
from tunnel.enrolment import Refusal, RefusalReason


@pytest.mark.parametrize(
    ("refused", "status", "reason"),
    [
        (not_found(), 404, "BadRequest"),
        (unavailable("later"), 503, "Unavailable"),
        (Refused(403, RefusalReason.CERTIFICATE_REVOKED, "no"), 403, "CertificateRevoked"),
    ],
)
def test_a_refusal_is_json_and_ends_the_connection(
    refused: Refused, status: int, reason: str
) -> None:
    """Programs read the reason, people the message."""
    answer = refusal_answer(refused)
    assert answer.status == status
    assert answer.keep_alive is False
    body = answer.body
    assert isinstance(body, bytes)
    assert msgspec.json.decode(body, type=Refusal) == Refusal(reason=reason, message=str(refused))


def test_the_wait_is_whole_seconds_and_never_too_short() -> None:
    """As HTTP has it (RFC 9110 §10.2.3)."""
    refused = Refused(429, RefusalReason.TOO_MANY_REQUESTS, "later", retry_after_s=4.2)
    assert refusal_answer(refused).headers["Retry-After"] == "5"
