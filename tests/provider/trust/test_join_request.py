"""What a JWT is worth before its record is looked at."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.trust.errors import EnrolmentRefused
from provider.trust.join_request import check_jwt
from provider.trust.token_signature import TokenClaims, sign_claims
from tunnel.enrolment import RefusalReason
from tunnel.identity import SiteName

KEY = b"k" * 32
SITE = SiteName("site-a")
NOW = datetime.datetime(2026, 5, 1, 12, tzinfo=datetime.UTC)


def jwt(*, site: str = "site-a", ends_in_s: int = 60, key: bytes = KEY) -> str:
    """Make a token."""
    now = int(NOW.timestamp())
    return sign_claims(TokenClaims(site=site, jti="t1", iat=now, exp=now + ends_in_s), key=key)


def reason_of(text: str) -> RefusalReason:
    """Return why a token is refused."""
    with pytest.raises(EnrolmentRefused) as caught:
        check_jwt(text, site=SITE, key=KEY, now=NOW)
    # What is refused is not repeated: it may be half of a good one.
    assert len(text) < 20 or text not in caught.value.message
    return caught.value.reason


def test_a_token_of_this_site_is_good() -> None:
    """Until it expires."""
    assert check_jwt(jwt(), site=SITE, key=KEY, now=NOW).jti == "t1"
    assert reason_of(jwt(ends_in_s=0)) is RefusalReason.TOKEN_EXPIRED


def test_a_token_of_another_site_is_told_as_such() -> None:
    """Whoever signed it."""
    assert reason_of(jwt(site="site-b", key=b"b" * 32)) is RefusalReason.OTHER_SITE
    assert reason_of(jwt(site="site-b")) is RefusalReason.OTHER_SITE


def test_a_forged_token_is_refused() -> None:
    """With the right site in it, or with nothing."""
    assert reason_of(jwt(key=b"x" * 32)) is RefusalReason.BAD_TOKEN
    for text in ("", "a", "a.b", "a.b.c", "a.b.c.d", "é.é.é", jwt() + "x"):
        assert reason_of(text) is RefusalReason.BAD_TOKEN


@given(st.text(max_size=300))
def test_junk_is_refused(text: str) -> None:
    """And nothing worse happens."""
    assert reason_of(text) in {RefusalReason.BAD_TOKEN, RefusalReason.OTHER_SITE}
