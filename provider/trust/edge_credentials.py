"""EdgeCredentials: the CA in memory, and the TLS context of the edge port that follows from it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from provider.serving.tls import CredentialError, server_context
from provider.telemetry.lasting_problem import LastingProblem
from provider.trust.authority_secret import certificates_pem, decode_authority
from provider.trust.errors import SecretCorrupt, TrustError
from provider.trust.serving_certificate import make_serving_certificate

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from datetime import datetime

    from provider.trust.authority import Authority
    from provider.trust.secret_store import SecretData
    from provider.trust.settings import Report, TrustSettings
    from tunnel.identity import SiteName

logger = logging.getLogger(__name__)

# A wall clock may be set while we sleep: look at it this often.
_LOOK_AGAIN_S = 60.0
# Time to rotate in: every edge has renewed twice before the end.
CA_WARNING: Final = timedelta(days=180)


class EdgeCredentials:
    """The site's CA, a server certificate of it, and the TLS context of both."""

    def __init__(
        self,
        *,
        site: SiteName,
        settings: TrustSettings,
        report: Report,
        now: Callable[[], datetime],
        changed: Callable[[], None],
    ) -> None:
        """Know nothing yet: ``use`` comes first.

        Args:
            site: Whose CA it is.
            settings: Names and lifetime of the server certificate.
            report: Takes the event ``SiteAuthorityExpires``.
            now: The wall clock, UTC.
            changed: Called after each change of the context.
        """
        self._site = site
        self._settings = settings
        self._report = report
        self._now = now
        self._changed = changed
        self._data: SecretData = {}
        self._authority: Authority | None = None
        self._context: ssl.SSLContext | None = None
        self._due_at: datetime | None = None
        self._serving_end: datetime | None = None
        self._new = asyncio.Event()
        self._problem = LastingProblem(logger, f"the server certificate of {site}")

    def use(self, data: SecretData) -> None:
        """Use the CA that a Secret holds from now on; the same one again changes nothing.

        Raises:
            TrustError: It cannot be used; what was used before stays.
        """
        if self._context is not None and data == self._data:
            return
        authority = decode_authority(data, site=self._site)
        if authority is None:
            raise SecretCorrupt("the Secret edgelet-site-ca is empty")
        self._renew(authority)
        self._data = data
        self._new.set()

    def take(self, data: SecretData) -> None:
        """Use a newer content of the Secret, or say why not and stay with the old one."""
        try:
            self.use(data)
        except TrustError as exc:
            logger.error("%s; the CA that was read before stays in use", exc)  # noqa: TRY400

    def authority(self) -> Authority:
        """Return the CA.

        Raises:
            TrustError: Nothing was ever read.
        """
        if self._authority is None:
            raise TrustError("the site's CA was not read yet")
        return self._authority

    def context(self) -> ssl.SSLContext:
        """Return the TLS context.

        Raises:
            TrustError: Nothing was ever read.
        """
        if self._context is None:
            raise TrustError("the site's CA was not read yet")
        return self._context

    def serving_end(self) -> datetime | None:
        """Return when the server certificate ends, UTC; None while there is none."""
        return self._serving_end

    def authorities_pem(self) -> str:
        """Return the CAs that count now, the one that signs first.

        Raises:
            TrustError: Nothing was ever read.
        """
        return certificates_pem(self.authority().accepted(self._now())).decode()

    async def run(self) -> None:
        """Renew the server certificate, and end overlaps, when it is time; until cancelled."""
        while True:
            self._new.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._wait_s()):
                    await self._new.wait()
            self.renew_if_due()

    def renew_if_due(self) -> None:
        """Make a new server certificate if it is time; what fails is tried again."""
        if self._authority is None or self._due_in_s() > 0.0:
            return
        try:
            self._renew(self._authority)
            self._problem.solved()
        except TrustError as exc:
            self._problem.occurred(exc)

    def _renew(self, authority: Authority) -> None:
        now = self._now()
        self._check_end(authority, now)
        serving = make_serving_certificate(
            authority,
            self._site,
            names=self._settings.serving_names,
            now=now,
            lifetime_s=self._settings.serving_lifetime_s,
        )
        try:
            context = server_context(
                certificate_pem=serving.chain_pem,
                key_pem=serving.key_pem,
                client_ca_pem=certificates_pem(authority.accepted(now)),
            )
        except CredentialError as exc:
            raise TrustError(f"the server certificate cannot be used: {exc}") from exc
        self._authority, self._context = authority, context
        self._due_at, self._serving_end = serving.renew_at, serving.not_after
        if authority.overlap_until is not None and authority.is_overlap(now):
            self._due_at = min(self._due_at, authority.overlap_until)
        logger.info("the edge port has a server certificate until %s", f"{serving.not_after:%F %T}")
        self._changed()

    def _check_end(self, authority: Authority, now: datetime) -> None:
        end = authority.certificate.not_valid_after_utc
        if now >= end:
            raise TrustError(
                f"the CA of {self._site} expired at {end:%Y-%m-%d}; edgelet-provider ca rotate "
                "makes a new one, after which the site must join again"
            )
        if now >= end - CA_WARNING:
            self._report(
                reason="SiteAuthorityExpires",
                message=f"The CA of {self._site} expires at {end:%Y-%m-%d}; edgelet-provider ca "
                "rotate makes a new one while its edge still trusts this one",
            )

    def _due_in_s(self) -> float:
        """Return how long the context is good: until a renewal, or the end of an overlap."""
        if self._due_at is None:
            return _LOOK_AGAIN_S
        return (self._due_at - self._now()).total_seconds()

    def _wait_s(self) -> float:
        # Not less than a second: a renewal that fails is due all the time.
        return min(max(self._due_in_s(), 1.0), _LOOK_AGAIN_S)
