"""SiteAdministration: what the commands of an operator change (``edgelet-provider token|site|ca``).

It writes the site's Secrets; the running provider watches them and acts.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from provider.trust.authority import Authority, rotate_authority
from provider.trust.authority_secret import certificates_pem, decode_authority, encode_authority
from provider.trust.authority_store import ensure_authority
from provider.trust.errors import NotPossible
from provider.trust.issued_certificates import (
    CERTIFICATES_DOCUMENT,
    IssuedCertificates,
    with_revoked,
)
from provider.trust.join_tokens import (
    TOKENS_DOCUMENT,
    JoinTokens,
    TokenRecord,
    add_token,
    check_token_values,
    revoke_all_tokens,
    revoke_token,
    revoke_used_tokens,
)
from provider.trust.secret_store import (
    AUTHORITY_SECRET,
    CERTIFICATES_SECRET,
    TOKENS_SECRET,
    Result,
    SecretData,
)
from provider.trust.token_signature import TokenClaims, sign_claims
from tunnel.identity import JoinToken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from provider.trust.secret_store import SecretStore
    from tunnel.identity import SiteName


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A token that was just made.

    Attributes:
        record: What the Secret knows of it.
        token: The secret; shown once.
    """

    record: TokenRecord
    token: JoinToken = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """What a revocation did.

    Attributes:
        serials: Certificates that are revoked now, hexadecimal; empty when there was none.
        token_ids: Tokens that were revoked with them, since the revoked machine knows them.
    """

    serials: tuple[str, ...]
    token_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """What a rotation of the CA did.

    Attributes:
        ca_pin: SHA-256 of the new CA, as tokens carry it.
        overlap_until: The old CA counts until then, UTC.
        voided_token_ids: Outstanding tokens that are void now.
    """

    ca_pin: str
    overlap_until: datetime
    voided_token_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityView:
    """The CA, without its keys.

    Attributes:
        certificate_pem: The CA that signs now.
        ca_pin: SHA-256 of it.
        not_after: Its end, UTC.
        previous_pem: Its predecessor, or "" outside an overlap.
        overlap_until: The predecessor counts until then; None outside an overlap.
    """

    certificate_pem: str
    ca_pin: str
    not_after: datetime
    previous_pem: str
    overlap_until: datetime | None


class SiteAdministration:
    """Changes to one site's trust; each raises ``TrustError`` with one sentence."""

    def __init__(self, store: SecretStore, *, site: SiteName, now: Callable[[], datetime]) -> None:
        """Write through ``store``."""
        self._store = store
        self._site = site
        self._now = now

    async def create_token(self, *, ttl_s: float, uses: int = 1, replace: bool = False) -> NewToken:
        """Make a join token; makes the CA first if the provider never ran.

        Raises:
            NotPossible: A value is out of its range, or there are too many tokens.
        """
        # What cannot be is said before a CA is made.
        check_token_values(ttl_s=ttl_s, uses=uses)
        token_id = secrets.token_hex(8)
        authority = await ensure_authority(self._store, self._site, now=self._now)
        record = await self._change_tokens(
            lambda tokens: add_token(
                tokens, token_id=token_id, now=self._now(), ttl_s=ttl_s, uses=uses, replace=replace
            )
        )
        claims = TokenClaims(
            site=self._site,
            jti=record.id,
            iat=int(record.created_at.timestamp()),
            exp=int(record.expires_at.timestamp()),
        )
        jwt = sign_claims(claims, key=authority.token_key)
        return NewToken(record=record, token=JoinToken(ca_pin=authority.pin, jwt=jwt))

    async def list_tokens(self) -> list[TokenRecord]:
        """Return what is known of the tokens, the oldest first."""
        return list(TOKENS_DOCUMENT.decode(await self._store.read(TOKENS_SECRET)).tokens)

    async def revoke_token(self, token_id: str) -> TokenRecord:
        """Revoke a token; a machine that joined with it stays joined.

        Raises:
            NotPossible: There is no such token.
        """
        return await self._change_tokens(
            lambda tokens: revoke_token(tokens, token_id, now=self._now())
        )

    async def certificates(self) -> IssuedCertificates:
        """Return which certificates the site has."""
        return CERTIFICATES_DOCUMENT.decode(await self._store.read(CERTIFICATES_SECRET))

    async def revoke_site(self, *, by: str) -> Revocation:
        """Revoke the site's certificates; its session is closed at once.

        Tokens that were used are revoked too: the machine knows them. It can be repeated.

        Args:
            by: Who asked, for the record.
        """

        def change(data: Mapping[str, bytes]) -> tuple[SecretData | None, tuple[str, ...]]:
            issued, serials = with_revoked(
                CERTIFICATES_DOCUMENT.decode(data), by=by, now=self._now()
            )
            return (CERTIFICATES_DOCUMENT.encode(data, issued) if serials else None), serials

        serials = await self._store.update(CERTIFICATES_SECRET, change)
        token_ids = await self._change_tokens(
            lambda tokens: revoke_used_tokens(tokens, now=self._now())
        )
        return Revocation(serials=serials, token_ids=token_ids)

    async def replace_site(self, *, by: str, ttl_s: float) -> tuple[Revocation, NewToken]:
        """Revoke the site's certificates and make a token for the machine that takes over.

        Raises:
            NotPossible: ttl_s is out of its range, or there are too many tokens; in the first case
                nothing was revoked.
        """
        check_token_values(ttl_s=ttl_s)
        revocation = await self.revoke_site(by=by)
        return revocation, await self.create_token(ttl_s=ttl_s, replace=True)

    async def authority(self) -> AuthorityView:
        """Return the site's CA.

        Raises:
            NotPossible: There is none yet.
        """
        found = self._decode(await self._store.read(AUTHORITY_SECRET))
        accepted = found.accepted(self._now())
        return AuthorityView(
            certificate_pem=certificates_pem(accepted[:1]).decode(),
            ca_pin=found.pin,
            not_after=found.certificate.not_valid_after_utc,
            previous_pem=certificates_pem(accepted[1:]).decode(),
            overlap_until=found.overlap_until if found.is_overlap(self._now()) else None,
        )

    async def rotate_authority(
        self, *, certificate_lifetime_s: float, recovery_grace_s: float, force: bool = False
    ) -> Rotation:
        """Make a new CA; the old one counts until all it signed is beyond recovery.

        Args:
            certificate_lifetime_s: As configured for the provider.
            recovery_grace_s: As configured for the provider.
            force: Also while an earlier rotation's overlap lasts: the oldest CA is dropped, and
                an edge that knows no other must join again.

        Raises:
            NotPossible: There is no CA yet, or an overlap lasts.
        """
        # A document that cannot be read must stop it before the tokens' key is gone.
        TOKENS_DOCUMENT.decode(await self._store.read(TOKENS_SECRET))
        issued = await self.certificates()
        # One that is issued at this moment is still the old CA's.
        ends = [self._now() + timedelta(seconds=certificate_lifetime_s)]
        ends += [record.not_after for record in (issued.current, issued.previous) if record]
        overlap_until = max(ends) + timedelta(seconds=recovery_grace_s)

        def change(data: Mapping[str, bytes]) -> tuple[SecretData, Authority]:
            old, now = self._decode(data), self._now()
            if old.is_overlap(now) and not force:
                raise NotPossible(
                    f"the CA was rotated before, and its predecessor counts until "
                    f"{old.overlap_until:%Y-%m-%d %H:%M:%S} UTC; rotating again now would lock out "
                    "an edge that has not renewed since, which --force accepts"
                )
            new = rotate_authority(old, self._site, now=now, overlap_until=overlap_until)
            return encode_authority(data, new), new

        new = await self._store.update(AUTHORITY_SECRET, change)
        voided = await self._change_tokens(
            lambda tokens: revoke_all_tokens(tokens, now=self._now())
        )
        return Rotation(ca_pin=new.pin, overlap_until=overlap_until, voided_token_ids=voided)

    def _decode(self, data: Mapping[str, bytes]) -> Authority:
        found = decode_authority(data, site=self._site)
        if found is None:
            raise NotPossible(
                f"the site {self._site} has no CA yet; the provider makes it on its first start"
            )
        return found

    async def _change_tokens(
        self, change: Callable[[JoinTokens], tuple[JoinTokens, Result]]
    ) -> Result:
        def change_data(data: Mapping[str, bytes]) -> tuple[SecretData | None, Result]:
            tokens = TOKENS_DOCUMENT.decode(data)
            changed, result = change(tokens)
            return (None if changed == tokens else TOKENS_DOCUMENT.encode(data, changed)), result

        return await self._store.update(TOKENS_SECRET, change_data)
