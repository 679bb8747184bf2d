"""Keeps the edge's certificate alive: renews it in time, recovers it after it has expired.

The next dial uses what it leaves on disk; a running tunnel goes on as it is. Each certificate has a
key of its own.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.uplink.certificate_request import RequestError, Wanted, request_in_child
from edge_runtime.uplink.credentials import CredentialsError
from edge_runtime.uplink.enrolment_error import EnrolmentError, Trouble
from edge_runtime.uplink.identity_files import IdentityFolderError, without_note
from edge_runtime.uplink.renewal_times import (
    LONGEST_RETRY_S,
    Act,
    compute_pause_s,
    compute_renewal,
    compute_retry_s,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from edge_runtime.uplink.certificate_request import CertificateRequest
    from edge_runtime.uplink.credentials import CertificateFacts, Credentials
    from edge_runtime.uplink.enrolment import Enrolment
    from edge_runtime.uplink.identity_files import IdentityFiles

logger = logging.getLogger(__name__)

_NOTE = "of a renewal"
_chance = random.SystemRandom().random


class Renewal:
    """Renews one edge's certificate.

    Args:
        credentials: What the dials use.
        files: Where the certificate lies.
        enrolment: Asks the provider.
        make_request: Makes key and request.
        renewed: Called after each new certificate.
        failed: Called after each attempt that brought none.
        clock: Unix time, seconds.
        chance: Uniform in [0, 1).
    """

    def __init__(
        self,
        *,
        credentials: Credentials,
        files: IdentityFiles,
        enrolment: Enrolment,
        make_request: Callable[[Wanted], Awaitable[CertificateRequest]] = request_in_child,
        renewed: Callable[[], None] = lambda: None,
        failed: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = _chance,
    ) -> None:
        self._credentials = credentials
        self._files = files
        self._enrolment = enrolment
        self._make_request = make_request
        self._renewed = renewed
        self._failed = failed
        self._clock = clock
        self._chance = chance
        # One for each certificate, by its serial.
        self._drawn: tuple[str, float] = ("", 0.0)
        self._failures = 0
        # The provider's clock is ahead of ours: it says that the certificate has expired.
        self._has_expired_there = False
        self._last_problem: str | None = None

    async def run(self) -> None:
        """Renew for ever. Cancelling leaves a state that the next run takes up."""
        while True:
            delay_s = await self.step()
            await asyncio.sleep(compute_pause_s(delay_s, has_failed=self._failures > 0))

    async def step(self) -> float:
        """Do what is due, and return after how many seconds to look again."""
        left_s = 0.0
        try:
            facts = self._credentials.facts()
            left_s = facts.not_after - self._clock()
            decision = self._decide(facts)
            if decision[0] is Act.WAIT:
                return decision[1]
            facts = await self._renew(decision[0])
        except EnrolmentError as exc:
            self._has_expired_there = await self._is_expired_there(exc)
            return self._note_failure(exc, left_s)
        except (CredentialsError, IdentityFolderError, RequestError) as exc:
            return self._note_failure(exc, left_s)
        self._failures = 0
        self._has_expired_there = False
        if self._clock() >= facts.not_after:
            return self._note_wrong_clock()
        self._last_problem = None
        return 0.0

    async def _is_expired_there(self, exc: EnrolmentError) -> bool:
        """Whether it was refused because the provider's clock is ahead of ours."""
        if exc.trouble is not Trouble.HUNG_UP:
            return exc.trouble is Trouble.EXPIRED
        try:
            there = await self._enrolment.provider_time(self._credentials)
            return there is not None and there >= self._credentials.facts().not_after
        except (EnrolmentError, CredentialsError):
            return False

    def _decide(self, facts: CertificateFacts) -> tuple[Act, float]:
        if self._drawn[0] != facts.serial:
            self._drawn = (facts.serial, self._chance())
        decision = compute_renewal(
            not_before=facts.not_before,
            not_after=facts.not_after,
            obtained_at=_modified_at(self._credentials.identity_file),
            now=self._clock(),
            chance=self._drawn[1],
        )
        act = decision.act
        if act is Act.RENEW and self._has_expired_there:
            act = Act.RECOVER
        return act, decision.wait_s

    async def _renew(self, act: Act) -> CertificateFacts:
        """Get the next certificate; the disk, which may be slow, is written in a thread."""
        with self._files.locked():
            identity = self._files.read_identity()
            wanted = Wanted(
                site=self._credentials.site,
                key=self._earlier_key(identity),
                proof=identity.decode() if act is Act.RECOVER else "",
            )
            request = await self._make_request(wanted)
            key = request.key.encode()
            await asyncio.to_thread(self._files.keep_pending, key, note=_NOTE)
            if act is Act.RECOVER:
                issued = await self._enrolment.recover(self._credentials, request)
            else:
                issued = await self._enrolment.renew(self._credentials, request)
            await asyncio.to_thread(self._files.keep, key, issued)
            await asyncio.to_thread(self._files.drop_pending)
        facts = self._credentials.facts()
        self._renewed()
        logger.info(
            "certificate %s",
            "recovered" if act is Act.RECOVER else "renewed",
            extra={"serial": facts.serial, "valid_until": _utc(facts.not_after)},
        )
        await self._show()
        return facts

    async def _show(self) -> None:
        """Let the provider see the new certificate, so that it refuses the old one from now on."""
        try:
            await self._enrolment.check(self._credentials)
        except (EnrolmentError, CredentialsError) as exc:
            # The next dial shows it; until then the provider accepts both.
            logger.warning("the new certificate was not shown yet", extra={"reason": str(exc)})

    def _earlier_key(self, identity: bytes) -> str:
        """Return the key of a request whose answer was lost, "" for a new one."""
        key = without_note(self._files.pending_key() or b"")
        # One that a power cut left behind after it had done its work is in use.
        return "" if key in identity else key.decode(errors="replace")

    def _note_wrong_clock(self) -> float:
        """Wait with a certificate that has expired by our clock, though it was just issued.

        The provider accepts it. Recovering it at once would go on without end.
        """
        problem = "this machine's clock is ahead: a new certificate has expired by it"
        self._failures = 1
        if problem != self._last_problem:
            self._last_problem = problem
            logger.error(problem)
        return LONGEST_RETRY_S

    def _note_failure(self, exc: Exception, left_s: float) -> float:
        self._failures += 1
        self._failed()
        is_final = isinstance(exc, EnrolmentError) and exc.is_final
        if str(exc) != self._last_problem:
            # Once per change: an edge that is offline for a month must not fill its journal.
            self._last_problem = str(exc)
            level = logging.ERROR if is_final else logging.WARNING
            logger.log(level, "the certificate is not renewed", extra={"reason": str(exc)})
        delay_s = compute_retry_s(
            failures=self._failures, left_s=left_s, chance=self._chance(), is_final=is_final
        )
        asked_s = exc.retry_after_s if isinstance(exc, EnrolmentError) else 0.0
        return max(delay_s, asked_s)


def _modified_at(path: str) -> float:
    try:
        return Path(path).stat().st_mtime
    except OSError as exc:
        raise CredentialsError(f"cannot read {path}: {exc.strerror}") from exc


def _utc(unix_time: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(unix_time))
