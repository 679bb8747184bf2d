"""A join token's JWT: one algorithm, one spelling, one key."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.trust.token_signature import BadSignature, TokenClaims, check_claims, sign_claims

KEY = b"k" * 32
CLAIMS = TokenClaims(site="site-a", jti="0123", iat=1_000, exp=2_000)


def encode(value: object) -> str:
    """Encode a part of a JWT."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signed(header: object, claims: object, *, key: bytes = KEY) -> str:
    """Sign any header and claims with HMAC-SHA-256."""
    text = f"{encode(header)}.{encode(claims)}"
    digest = hmac.digest(key, text.encode(), hashlib.sha256)
    return f"{text}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def test_what_was_signed_is_read() -> None:
    """A token of this key is what it was."""
    assert check_claims(sign_claims(CLAIMS, key=KEY), key=KEY) == CLAIMS


def test_another_implementation_agrees() -> None:
    """It is a JWT as RFC 7519 has it, not something of our own."""
    jwt = sign_claims(CLAIMS, key=KEY)
    text, _, signature = jwt.rpartition(".")
    digest = hmac.new(KEY, text.encode(), "sha256").digest()
    assert base64.urlsafe_b64decode(signature + "=") == digest
    payload = text.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims == {"site": "site-a", "jti": "0123", "iat": 1_000, "exp": 2_000}


def test_a_token_of_another_key_is_refused() -> None:
    """Each site has a key of its own."""
    with pytest.raises(BadSignature):
        check_claims(sign_claims(CLAIMS, key=b"x" * 32), key=KEY)


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", "HS512", "RS256", "hs256"])
def test_no_algorithm_is_chosen_by_the_token(algorithm: str) -> None:
    """Without a signature, and even with a good one under another header."""
    header = {"alg": algorithm, "typ": "JWT"}
    claims = {"site": "site-a", "jti": "0123", "iat": 1_000, "exp": 9_000}
    for jwt in (
        f"{encode(header)}.{encode(claims)}.",
        f"{encode(header)}.{encode(claims)}",
        signed(header, claims),
        signed({**header, "jwk": {"kty": "oct", "k": "AAAA"}}, claims),
    ):
        with pytest.raises(BadSignature):
            check_claims(jwt, key=KEY)


@pytest.mark.parametrize(
    "claims",
    [
        [],
        {},
        {"site": "site-a", "jti": "1", "iat": 1},
        {"site": "site-a", "jti": "1", "iat": 1, "exp": "tomorrow"},
        {"site": "site-a", "jti": "1", "iat": 1, "exp": 10**18},
        {"site": "site-a", "jti": "1", "iat": 1, "exp": -1},
        {"site": "site-a", "jti": "", "iat": 1, "exp": 2},
    ],
)
def test_claims_that_are_no_token_s_are_refused(claims: object) -> None:
    """Even where the signature is good."""
    with pytest.raises(BadSignature):
        check_claims(signed({"alg": "HS256", "typ": "JWT"}, claims), key=KEY)


@given(st.data())
def test_any_change_voids_a_token(data: st.DataObject) -> None:
    """There is no second spelling: padding bits, characters, length."""
    jwt = sign_claims(CLAIMS, key=KEY)
    index = data.draw(st.integers(min_value=0, max_value=len(jwt) - 1))
    character = data.draw(st.sampled_from("Aa0-_.=\x00é"))
    changed = jwt[:index] + character + jwt[index + 1 :]
    if changed != jwt:
        with pytest.raises(BadSignature):
            check_claims(changed, key=KEY)
    for other in (jwt + "=", jwt + "A", jwt[:-1], "A" + jwt, jwt + "\n"):
        with pytest.raises(BadSignature):
            check_claims(other, key=KEY)


@given(st.text(max_size=3000))
def test_junk_is_refused(text: str) -> None:
    """Whatever comes in the header."""
    with pytest.raises(BadSignature):
        check_claims(text, key=KEY)
