"""Join tokens: the document and its changes."""

from __future__ import annotations

import datetime

import pytest

from provider.trust.errors import EnrolmentRefused, NotPossible, SecretCorrupt
from provider.trust.join_tokens import (
    MAX_TOKENS,
    TOKENS_DOCUMENT,
    TOKENS_FIELD,
    JoinTokens,
    TokenRecord,
    add_token,
    revoke_all_tokens,
    revoke_token,
    revoke_used_tokens,
    use_token,
)
from tunnel.enrolment import RefusalReason

NOW = datetime.datetime(2026, 5, 1, 12, tzinfo=datetime.UTC)
DAY_S = 86400.0


def later(seconds: float) -> datetime.datetime:
    """Return a moment after NOW."""
    return NOW + datetime.timedelta(seconds=seconds)


def added(name: str = "t1", *, ttl_s: float = DAY_S, uses: int = 1) -> JoinTokens:
    """Return a document with one token."""
    return add_token(JoinTokens(), token_id=name, now=NOW, ttl_s=ttl_s, uses=uses, replace=False)[0]


def reason_of(tokens: JoinTokens, *, key_hash: str, at_s: float = 0.0) -> RefusalReason:
    """Return why a key may not use the token t1."""
    with pytest.raises(EnrolmentRefused) as caught:
        use_token(tokens, "t1", key_hash=key_hash, now=later(at_s))
    return caught.value.reason


def test_a_token_is_used_by_one_key() -> None:
    """The first one; it may come again, another may not."""
    tokens, record = use_token(added(), "t1", key_hash="k1", now=NOW)
    assert [use.key_hash for use in record.used] == ["k1"]
    again, same = use_token(tokens, "t1", key_hash="k1", now=later(60))
    assert (again is tokens, same) == (True, record)
    assert reason_of(tokens, key_hash="k2") is RefusalReason.TOKEN_USED


def test_a_token_has_as_many_keys_as_uses() -> None:
    """Each of them may come again."""
    tokens = added(uses=2)
    for key_hash in ("k1", "k2", "k1"):
        tokens, _ = use_token(tokens, "t1", key_hash=key_hash, now=NOW)
    assert reason_of(tokens, key_hash="k3") is RefusalReason.TOKEN_USED


def test_a_token_ends() -> None:
    """Also for the key that has used it."""
    tokens, _ = use_token(added(), "t1", key_hash="k1", now=NOW)
    use_token(tokens, "t1", key_hash="k1", now=later(DAY_S - 1))
    assert reason_of(tokens, key_hash="k1", at_s=DAY_S) is RefusalReason.TOKEN_EXPIRED


def test_a_revoked_token_is_refused() -> None:
    """Also to the key that has used it, and to say so again changes nothing."""
    tokens, _ = use_token(added(), "t1", key_hash="k1", now=NOW)
    tokens, record = revoke_token(tokens, "t1", now=later(1))
    assert revoke_token(tokens, "t1", now=later(9)) == (tokens, record)
    assert reason_of(tokens, key_hash="k1") is RefusalReason.TOKEN_REVOKED


def test_a_token_that_is_not_known_is_refused() -> None:
    """Its signature alone is not enough."""
    assert reason_of(JoinTokens(), key_hash="k1") is RefusalReason.BAD_TOKEN
    with pytest.raises(NotPossible, match="no token t1"):
        revoke_token(JoinTokens(), "t1", now=NOW)


def test_expired_tokens_are_forgotten() -> None:
    """When the next one is made; the number of all is bounded."""
    tokens = added("old", ttl_s=60)
    tokens, _ = add_token(tokens, token_id="new", now=later(60), ttl_s=60, uses=1, replace=False)
    assert [token.id for token in tokens.tokens] == ["new"]
    for number in range(MAX_TOKENS - 1):
        tokens, _ = add_token(
            tokens, token_id=str(number), now=later(60), ttl_s=60, uses=1, replace=False
        )
    with pytest.raises(NotPossible, match="already"):
        add_token(tokens, token_id="x", now=later(60), ttl_s=60, uses=1, replace=False)


@pytest.mark.parametrize(("ttl_s", "uses"), [(59.0, 1), (31 * DAY_S, 1), (DAY_S, 0), (DAY_S, 101)])
def test_a_token_out_of_range_is_not_made(ttl_s: float, uses: int) -> None:
    """A token for ever is a password."""
    with pytest.raises(NotPossible):
        added(ttl_s=ttl_s, uses=uses)


def test_tokens_are_revoked_together() -> None:
    """Those that a machine has used, or all."""
    tokens = added("t1")
    for token_id in ("t2", "t3"):
        tokens, _ = add_token(
            tokens, token_id=token_id, now=NOW, ttl_s=DAY_S, uses=1, replace=False
        )
    tokens, _ = use_token(tokens, "t2", key_hash="k1", now=NOW)
    tokens, ids = revoke_used_tokens(tokens, now=NOW)
    assert ids == ("t2",)
    tokens, ids = revoke_all_tokens(tokens, now=NOW)
    assert ids == ("t1", "t3")
    assert revoke_all_tokens(tokens, now=NOW)[1] == ()


def test_the_document_is_what_it_was() -> None:
    """And other fields of the Secret stay."""
    tokens, _ = use_token(added(), "t1", key_hash="k1", now=NOW)
    data = TOKENS_DOCUMENT.encode({"note": b"mine"}, tokens)
    assert TOKENS_DOCUMENT.decode(data) == tokens
    assert data["note"] == b"mine"
    assert TOKENS_DOCUMENT.decode({}) == JoinTokens()


@pytest.mark.parametrize(
    "text",
    [b"{", b"[]", b"null", b'{"tokens": [{}]}', b'{"tokens": 1}', b"\xff\x00"],
)
def test_a_document_that_is_none_is_said(text: bytes) -> None:
    """And is never taken for an empty one."""
    with pytest.raises(SecretCorrupt, match="edgelet-join-tokens"):
        TOKENS_DOCUMENT.decode({TOKENS_FIELD: text})


def test_a_time_without_a_zone_is_refused() -> None:
    """It could not be compared with ours."""
    record = TokenRecord(id="t1", created_at=NOW, expires_at=NOW)
    text = TOKENS_DOCUMENT.encode({}, JoinTokens(tokens=(record,)))[TOKENS_FIELD].replace(b"Z", b"")
    with pytest.raises(SecretCorrupt):
        TOKENS_DOCUMENT.decode({TOKENS_FIELD: text})
