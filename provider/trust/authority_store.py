"""The site's CA in its Secret: made by whoever comes first, and only once."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from provider.trust.authority import Authority, make_authority
from provider.trust.authority_secret import decode_authority, encode_authority
from provider.trust.errors import TrustError
from provider.trust.secret_store import AUTHORITY_SECRET
from tunnel.identity import NODE_USER_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from provider.trust.secret_store import SecretData, SecretStore
    from tunnel.identity import SiteName

logger = logging.getLogger(__name__)

# A certificate's common name has at most 64 characters (RFC 5280, ub-common-name).
MAX_SITE_NAME = 64 - len(NODE_USER_PREFIX)


async def ensure_authority(
    store: SecretStore, site: SiteName, *, now: Callable[[], datetime]
) -> Authority:
    """Return the site's CA; make it if the Secret is empty.

    Raises:
        SecretCorrupt: The Secret is not empty and holds no usable CA; it is left as it is.
        TrustError: It cannot be read or written, or the site's name is too long.
    """
    if len(site) > MAX_SITE_NAME:
        raise TrustError(
            f"the site name {site} is too long: certificates name system:node:<site> in at most 64 "
            f"characters, so a site has at most {MAX_SITE_NAME}"
        )

    def change(data: Mapping[str, bytes]) -> tuple[SecretData | None, tuple[Authority, bool]]:
        found = decode_authority(data, site=site)
        if found is not None:
            return None, (found, False)
        made = make_authority(site, now=now())
        return encode_authority(data, made), (made, True)

    authority, is_new = await store.update(AUTHORITY_SECRET, change)
    if is_new:
        logger.info("made the CA of the site %s, SHA-256 %s", site, authority.pin)
    return authority
