"""``edgelet join``: from one token to an identity on disk that the provider has accepted.

    fetch the CA ─▶ hash, clock ─▶ key on disk ─▶ POST ─▶ identity on disk ─▶ GET: accepted ─▶ done

Cut at any point, the same command takes it up again: the key of the first attempt is asked with
once more, and an identity that is complete is only shown to the provider.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

from edge_runtime.uplink.certificate_request import RequestError, Wanted, make_request
from edge_runtime.uplink.credentials import CredentialsError
from edge_runtime.uplink.enrolment_error import EnrolmentError, Trouble
from edge_runtime.uplink.identity_files import (
    IdentityFiles,
    IdentityFolderError,
    JoinedSite,
    without_note,
)
from tunnel.errors import IdentityError
from tunnel.identity import claimed_site

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_runtime.uplink.credentials import Credentials
    from edge_runtime.uplink.enrolment import Enrolment
    from tunnel.identity import JoinToken, SiteName

# By how much certificates are dated back: with more between the clocks, a new certificate is not
# valid yet at one of the ends.
MAX_CLOCK_SKEW_S = 300.0


class Join:
    """One join.

    Args:
        token: The site's.
        enrolment: Asks the provider.
        files: The identity folder.
        server: ``HOST:PORT``, to be noted.
        force: Whether an identity that is there is replaced.
        clock: Unix time, seconds.
    """

    def __init__(
        self,
        *,
        token: JoinToken,
        enrolment: Enrolment,
        files: IdentityFiles,
        server: str,
        force: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._token = token
        self._enrolment = enrolment
        self._files = files
        self._server = server
        self._force = force
        self._clock = clock

    async def run(self) -> SiteName:
        """Join and return the site. Cancelling leaves a state that the next run takes up.

        Raises:
            EnrolmentError: The machine has not joined, or already had.
        """
        try:
            site = claimed_site(self._token)
        except IdentityError as exc:
            raise EnrolmentError(Trouble.BAD_TOKEN_SHAPE, str(exc)) from exc
        try:
            with self._files.locked():
                if not await self._is_complete(site):
                    await self._enrol(site)
                    await self._enrolment.check(self._files.credentials(site=site))
                self._files.drop_pending()
        except IdentityFolderError as exc:
            raise EnrolmentError(Trouble.FOLDER, str(exc)) from exc
        except CredentialsError as exc:
            raise EnrolmentError(
                Trouble.BAD_ANSWER, f"the provider's certificate is no good: {exc}"
            ) from exc
        except RequestError as exc:
            raise EnrolmentError(Trouble.OTHER, str(exc)) from exc
        return site

    async def _is_complete(self, site: SiteName) -> bool:
        """Whether an earlier run left nothing to do but to say so.

        Raises:
            EnrolmentError: The machine has joined before, and is not to join anew.
        """
        if not self._files.has_identity():
            return False
        try:
            held = self._files.credentials()
        except CredentialsError:
            # Not by a power cut, but whatever it was: it is no identity.
            return False
        if held.site == site and self._is_of_this_token():
            return await self._is_accepted(held)
        if self._force:
            return False
        raise EnrolmentError(Trouble.ALREADY_JOINED, f"this machine has joined {held.site} before")

    async def _is_accepted(self, held: Credentials) -> bool:
        try:
            await self._enrolment.check(held)
        except EnrolmentError:
            if not self._force:
                raise
            return False
        return True

    def _is_of_this_token(self) -> bool:
        """Whether an earlier run with this token has brought the identity to the disk."""
        pending = self._files.pending_key()
        if pending is not None:
            # The key of a later request, or what that run had no time to remove.
            return without_note(pending) in self._files.read_identity()
        joined = self._files.joined_site()
        return joined is not None and joined.token == self._token_hash()

    async def _enrol(self, site: SiteName) -> None:
        authority = await self._enrolment.fetch_authority(self._token, site)
        self._check_clock(authority.provider_time)
        earlier = self._earlier_key()
        try:
            await self._ask(site, authority.pem, key=earlier)
        except EnrolmentError as exc:
            if exc.trouble is not Trouble.REVOKED or not earlier:
                raise
            # The answer to that key was lost, and the site revoked since: it never gets another
            # certificate, and a token is not spent on it.
            await self._ask(site, authority.pem, key="")

    async def _ask(self, site: SiteName, authority: str, *, key: str) -> None:
        # In this process: it ends before long, and with it what cryptography takes.
        request = make_request(Wanted(site=site, key=key))
        self._files.keep_pending(request.key.encode(), note=self._note())
        issued = await self._enrolment.join(self._token, site, request, authority=authority)
        joined = JoinedSite(site=site, server=self._server, token=self._token_hash())
        self._files.keep(request.key.encode(), issued, joined=joined)

    def _earlier_key(self) -> str:
        """Return the key of a request whose answer was lost, "" for a new one.

        With another token it is the right one, too: the provider may have given it a certificate.
        Only an identity that is to be replaced leaves no key behind.
        """
        pending = self._files.pending_key() or b""
        is_replaced = self._force and self._files.has_identity()
        if is_replaced and not pending.startswith(f"# {self._note()}\n".encode()):
            return ""
        return without_note(pending).decode(errors="replace")

    def _note(self) -> str:
        return f"of the join with token {self._token_hash()}"

    def _token_hash(self) -> str:
        return hashlib.sha256(self._token.jwt.encode()).hexdigest()[:16]

    def _check_clock(self, provider_time: float | None) -> None:
        skew_s = 0.0 if provider_time is None else self._clock() - provider_time
        if abs(skew_s) > MAX_CLOCK_SKEW_S:
            side = "ahead of" if skew_s > 0 else "behind"
            raise EnrolmentError(
                Trouble.CLOCK_SKEW,
                f"this machine's clock is {describe_duration(abs(skew_s))} {side} the provider's",
            )


def describe_duration(seconds: float) -> str:
    """Say how long that is, in its largest unit."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
