"""A join token's JWT: signed with HMAC-SHA-256 and the site's token key, and nothing else.

    base64url(header) "." base64url(claims) "." base64url(HMAC-SHA-256(key, all before))

There is one header, and it is compared as text: no algorithm is chosen by who shows the token, so
that neither ``none`` nor a confusion of key types exists here. The signature is compared as text,
too: a token has one spelling.

Source: RFC 7515 §3.1, RFC 7519 §4.1, RFC 8725 §3.1 (the verifier states the algorithm).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Annotated, Final

import msgspec

TOKEN_KEY_BYTES: Final = 32
_HEADER: Final = '{"alg":"HS256","typ":"JWT"}'
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
# Years of four digits: whatever is signed can be written as a date.
Moment = Annotated[int, msgspec.Meta(ge=0, le=253402300799)]


class BadSignature(Exception):
    """The text is no token that this key signed; the message does not repeat it."""


class TokenClaims(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says.

    Attributes:
        site: For which site it is (``tunnel.identity.TOKEN_SITE_CLAIM``).
        jti: Its id.
        iat: When it was made, seconds since 1970.
        exp: When it expires, seconds since 1970.
    """

    site: Text
    jti: Text
    iat: Moment
    exp: Moment


def sign_claims(claims: TokenClaims, *, key: bytes) -> str:
    """Return the JWT."""
    text = f"{_encode(_HEADER.encode())}.{_encode(msgspec.json.encode(claims))}"
    return f"{text}.{_signature(text, key)}"


def check_claims(jwt: str, *, key: bytes) -> TokenClaims:
    """Return what a JWT says that this key signed; times are the caller's to check.

    Raises:
        BadSignature: It is no JWT, of another algorithm, of another key, or was changed.
    """
    text, _, signature = jwt.rpartition(".")
    header, _, payload = text.partition(".")
    if not hmac.compare_digest(_signature(text, key).encode(), signature.encode(errors="replace")):
        raise BadSignature("the token's signature is not of this site's token key")
    if header != _encode(_HEADER.encode()):
        raise BadSignature("the token's header is not that of a join token")
    try:
        return msgspec.json.decode(_decode(payload), type=TokenClaims)
    except (msgspec.DecodeError, binascii.Error, ValueError) as exc:
        raise BadSignature("the token's claims are not those of a join token") from exc


def _signature(text: str, key: bytes) -> str:
    if len(key) != TOKEN_KEY_BYTES:
        raise AssertionError("a token key has 32 bytes")
    return _encode(hmac.digest(key, text.encode(errors="replace"), hashlib.sha256))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
