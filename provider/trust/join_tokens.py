"""The join tokens of a site, and which key used which: a document and its changes.

The document is ``tokens.json`` of the Secret ``edgelet-join-tokens``. A token itself is never in
it: the JWT proves itself by its signature.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - msgspec reads the annotations

import msgspec


class TokenUse(msgspec.Struct, frozen=True, kw_only=True):
    """One key that used a token.

    Attributes:
        key_hash: SHA-256 of the public key (SubjectPublicKeyInfo), hexadecimal.
        at: When it first did, UTC.
    """

    key_hash: str
    at: datetime


class TokenRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one token.

    Attributes:
        id: The JWT's ``jti``.
        created_at: UTC.
        expires_at: UTC.
        uses: How many keys may use it.
        replace: Whether it also joins while the site has a certificate.
        revoked_at: When it was revoked, or None.
        used: Which keys used it, in order.
    """

    id: str
    created_at: datetime
    expires_at: datetime
    uses: int = 1
    replace: bool = False
    revoked_at: datetime | None = None
    used: tuple[TokenUse, ...] = ()


class JoinTokens(msgspec.Struct, frozen=True, kw_only=True):
    """The document."""

    tokens: tuple[TokenRecord, ...] = ()
