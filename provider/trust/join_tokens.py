"""The join tokens of a site, and which key used which: a document and its changes.

The document is ``tokens.json`` of the Secret ``edgelet-join-tokens``. A token itself is never in
it: the JWT proves itself by its signature.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Final

import msgspec

from provider.trust.errors import EnrolmentRefused, NotPossible
from provider.trust.secret_document import SecretDocument
from tunnel.enrolment import RefusalReason

TOKENS_FIELD: Final = "tokens.json"
MIN_TTL_S: Final = 60.0
MAX_TTL_S: Final = 30 * 86400.0
MAX_USES: Final = 100
# Each with its uses has some 300 bytes; the Secret stays far below etcd's 1.5 MiB.
MAX_TOKENS: Final = 200

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class TokenUse(msgspec.Struct, frozen=True, kw_only=True):
    """One key that used a token.

    Attributes:
        key_hash: SHA-256 of the public key (SubjectPublicKeyInfo), hexadecimal.
        at: When it first did, UTC.
    """

    key_hash: str
    at: Moment


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
    created_at: Moment
    expires_at: Moment
    uses: int = 1
    replace: bool = False
    revoked_at: Moment | None = None
    used: tuple[TokenUse, ...] = ()

    def is_outstanding(self, now: datetime) -> bool:
        """Whether some key could still get a certificate for it."""
        return self.revoked_at is None and now < self.expires_at


class JoinTokens(msgspec.Struct, frozen=True, kw_only=True):
    """The document."""

    tokens: tuple[TokenRecord, ...] = ()


TOKENS_DOCUMENT: Final = SecretDocument(
    kept_in="edgelet-join-tokens",
    field=TOKENS_FIELD,
    type=JoinTokens,
)


def check_token_values(*, ttl_s: float, uses: int = 1) -> None:
    """Check what a token is to be.

    Raises:
        NotPossible: A value is out of its range.
    """
    if not MIN_TTL_S <= ttl_s <= MAX_TTL_S:
        raise NotPossible("a token lives between 1 minute and 30 days")
    if not 1 <= uses <= MAX_USES:
        raise NotPossible(f"a token has between 1 and {MAX_USES} uses")


def add_token(
    tokens: JoinTokens, *, token_id: str, now: datetime, ttl_s: float, uses: int, replace: bool
) -> tuple[JoinTokens, TokenRecord]:
    """Add a token and forget those that have expired.

    Raises:
        NotPossible: A value is out of its range, or there are MAX_TOKENS already.
    """
    check_token_values(ttl_s=ttl_s, uses=uses)
    kept = tuple(token for token in tokens.tokens if now < token.expires_at)
    if len(kept) >= MAX_TOKENS:
        raise NotPossible(f"there are {MAX_TOKENS} tokens already; wait until some have expired")
    # A JWT counts whole seconds; both must name the same moment.
    record = TokenRecord(
        id=token_id,
        created_at=now,
        expires_at=now.replace(microsecond=0) + timedelta(seconds=int(ttl_s)),
        uses=uses,
        replace=replace,
    )
    return JoinTokens(tokens=(*kept, record)), record


def revoke_token(
    tokens: JoinTokens, token_id: str, *, now: datetime
) -> tuple[JoinTokens, TokenRecord]:
    """Revoke one token; the time of an earlier revocation stays.

    Raises:
        NotPossible: There is none of this id.
    """
    record = _find(tokens, token_id)
    if record is None:
        raise NotPossible(f"there is no token {token_id}; it may have expired")
    if record.revoked_at is None:
        record = msgspec.structs.replace(record, revoked_at=now)
    return _with(tokens, record), record


def revoke_used_tokens(tokens: JoinTokens, *, now: datetime) -> tuple[JoinTokens, tuple[str, ...]]:
    """Revoke the outstanding tokens that a machine has used: it knows them."""
    return _revoke_all(tokens, now=now, unused=False)


def revoke_all_tokens(tokens: JoinTokens, *, now: datetime) -> tuple[JoinTokens, tuple[str, ...]]:
    """Revoke all outstanding tokens."""
    return _revoke_all(tokens, now=now, unused=True)


def use_token(
    tokens: JoinTokens, token_id: str, *, key_hash: str, now: datetime
) -> tuple[JoinTokens, TokenRecord]:
    """Let a key use a token; the key that has used it may do so again.

    Returns:
        The document, the same object when the key was recorded before; and the token's record.

    Raises:
        EnrolmentRefused: BAD_TOKEN, TOKEN_EXPIRED, TOKEN_REVOKED or TOKEN_USED.
    """
    record = _find(tokens, token_id)
    if record is None:
        raise _refused(RefusalReason.BAD_TOKEN, "the token is not known here")
    if record.revoked_at is not None:
        raise _refused(RefusalReason.TOKEN_REVOKED, "the token was revoked")
    if now >= record.expires_at:
        raise token_expired(record.expires_at)
    if any(use.key_hash == key_hash for use in record.used):
        return tokens, record
    if len(record.used) >= record.uses:
        raise _refused(RefusalReason.TOKEN_USED, "the token was used by another machine")
    used = (*record.used, TokenUse(key_hash=key_hash, at=now))
    record = msgspec.structs.replace(record, used=used)
    return _with(tokens, record), record


def token_expired(at: datetime) -> EnrolmentRefused:
    """Return the refusal of a token that expired."""
    return _refused(RefusalReason.TOKEN_EXPIRED, f"the token expired at {at:%Y-%m-%d %H:%M:%S} UTC")


def _revoke_all(
    tokens: JoinTokens, *, now: datetime, unused: bool
) -> tuple[JoinTokens, tuple[str, ...]]:
    ids = tuple(
        token.id for token in tokens.tokens if token.is_outstanding(now) and (unused or token.used)
    )
    for token_id in ids:
        tokens, _ = revoke_token(tokens, token_id, now=now)
    return tokens, ids


def _find(tokens: JoinTokens, token_id: str) -> TokenRecord | None:
    return next((token for token in tokens.tokens if token.id == token_id), None)


def _with(tokens: JoinTokens, record: TokenRecord) -> JoinTokens:
    return JoinTokens(
        tokens=tuple(record if token.id == record.id else token for token in tokens.tokens)
    )


def _refused(reason: RefusalReason, message: str) -> EnrolmentRefused:
    return EnrolmentRefused(HTTPStatus.FORBIDDEN, reason, message)
