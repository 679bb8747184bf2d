"""SiteAdministration: what the commands of an operator change (``edgelet-provider token|site|ca``).

It writes the site's Secrets; the running provider watches them and acts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from provider.trust.issued_certificates import IssuedCertificates
    from provider.trust.join_tokens import TokenRecord
    from provider.trust.secret_store import SecretStore
    from tunnel.identity import JoinToken, SiteName


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
        raise NotImplementedError

    async def create_token(self, *, ttl_s: float, uses: int = 1, replace: bool = False) -> NewToken:
        """Make a join token; makes the CA first if the provider never ran.

        Raises:
            NotPossible: ttl_s is not between 60 s and 30 days, uses not between 1 and 100, or
                there are too many tokens.
        """
        raise NotImplementedError

    async def list_tokens(self) -> list[TokenRecord]:
        """Return what is known of the tokens, the oldest first."""
        raise NotImplementedError

    async def revoke_token(self, token_id: str) -> TokenRecord:
        """Revoke a token; one that was used stays used.

        Raises:
            NotPossible: There is no such token.
        """
        raise NotImplementedError

    async def certificates(self) -> IssuedCertificates:
        """Return which certificates the site has."""
        raise NotImplementedError

    async def revoke_site(self, *, by: str) -> Revocation:
        """Revoke the site's certificates; its session is closed at once.

        Args:
            by: Who asked, for the record.
        """
        raise NotImplementedError

    async def replace_site(self, *, by: str, ttl_s: float) -> tuple[Revocation, NewToken]:
        """Revoke the site's certificates and make a token for the machine that takes over."""
        raise NotImplementedError

    async def authority(self) -> AuthorityView:
        """Return the site's CA.

        Raises:
            NotPossible: There is none yet.
        """
        raise NotImplementedError

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
        raise NotImplementedError
