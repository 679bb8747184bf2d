"""What a join token's JWT is worth here, before its record is looked at."""

from __future__ import annotations

import datetime
from http import HTTPStatus

from provider.trust.errors import EnrolmentRefused
from provider.trust.join_tokens import token_expired
from provider.trust.token_signature import BadSignature, TokenClaims, check_claims
from tunnel.enrolment import RefusalReason
from tunnel.errors import IdentityError
from tunnel.identity import JoinToken, SiteName, claimed_site


def check_jwt(jwt: str, *, site: SiteName, key: bytes, now: datetime.datetime) -> TokenClaims:
    """Return the claims of a token that this site made and that has not expired.

    A token of another site has another key's signature; that it names another site is told all the
    same, since it is the likelier mistake and no secret.

    Raises:
        EnrolmentRefused: BAD_TOKEN, OTHER_SITE or TOKEN_EXPIRED.
    """
    try:
        claims = check_claims(jwt, key=key)
    except BadSignature as exc:
        named = _named_site(jwt)
        if named is not None and named != site:
            raise _other_site(named, site) from exc
        raise EnrolmentRefused(
            HTTPStatus.UNAUTHORIZED,
            RefusalReason.BAD_TOKEN,
            "the token was not made by this site as it is now; tokens end when the CA is rotated",
        ) from exc
    if claims.site != site:
        raise _other_site(claims.site, site)
    if now.timestamp() >= claims.exp:
        raise token_expired(datetime.datetime.fromtimestamp(claims.exp, datetime.UTC))
    return claims


def _named_site(jwt: str) -> str | None:
    if jwt.count(".") != 2:
        return None
    try:
        return claimed_site(JoinToken(ca_pin="", jwt=jwt))
    except IdentityError:
        return None


def _other_site(named: str, site: SiteName) -> EnrolmentRefused:
    return EnrolmentRefused(
        HTTPStatus.FORBIDDEN,
        RefusalReason.OTHER_SITE,
        f"the token is for the site {named}, and this is {site}",
    )
