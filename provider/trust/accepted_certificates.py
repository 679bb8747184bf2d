"""AcceptedCertificates: which client certificates are accepted, from memory.

Memory follows the Secret: a tunnel comes back while the API server is away, a revocation acts as
soon as it is written, and while nothing was ever read everybody is refused.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from provider.kube.watch import Backoff
from provider.telemetry.lasting_problem import LastingProblem
from provider.trust.errors import CertificateRefused, SecretCorrupt, TrustError
from provider.trust.issued_certificates import (
    CERTIFICATES_DOCUMENT,
    CertificateRecord,
    IssuedCertificates,
    check_may_stay,
    find_accepted,
    with_used,
)
from provider.trust.presented_certificate import presented_in_tls
from provider.trust.secret_store import CERTIFICATES_SECRET
from tunnel.enrolment import RefusalReason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from provider.trust.secret_store import SecretData, SecretStore
    from provider.trust.settings import Report

logger = logging.getLogger(__name__)

# For the first try, beside a tunnel that opens; others follow in ``run``.
_SETTLE_TIMEOUT_S: Final = 5.0
_UNAVAILABLE = "which certificates the site has is not known yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedCertificate:
    """A client certificate that was accepted a moment ago.

    Attributes:
        serial: Its serial number, lower-case hexadecimal, as in the Secret and the logs.
        is_current: It is the latest one; else its successor was issued, but not used yet.
        not_after: Its end, UTC.
        der: The certificate.
    """

    serial: str
    is_current: bool
    not_after: datetime
    der: bytes = field(repr=False)


class AcceptedCertificates:
    """What the Secret of issued certificates said last."""

    def __init__(
        self,
        store: SecretStore,
        *,
        report: Report,
        now: Callable[[], datetime],
        changed: Callable[[], None],
        backoff: Backoff | None = None,
    ) -> None:
        """Know nothing yet: ``use`` comes first.

        Args:
            store: Where the predecessor of a certificate that was used is dropped.
            report: Takes the events ``SupersededCertificate`` and ``CertificateRevoked``.
            now: The wall clock, UTC.
            changed: Called after each change.
            backoff: Delays after failures.
        """
        self._store = store
        self._report = report
        self._now = now
        self._changed = changed
        self._backoff = backoff or Backoff()
        self._issued: IssuedCertificates | None = None
        # The serial that was used last, and whether its predecessor may still be accepted.
        self._used = ""
        self._unsettled = asyncio.Event()
        self._problem = LastingProblem(logger, "end of the certificate before the one in use")

    def use(self, data: SecretData) -> None:
        """Decide by this content of the Secret from now on.

        Raises:
            SecretCorrupt: It cannot be read; what was read before stays.
        """
        issued = CERTIFICATES_DOCUMENT.decode(data)
        before, self._issued = self._issued, issued
        if before == issued:
            return
        if before is not None:
            self._report_revoked(before, issued)
        if self._is_unsettled():
            self._unsettled.set()
        self._changed()

    def take(self, data: SecretData) -> None:
        """Decide by a newer content of the Secret, or say why not and stay with the old one."""
        try:
            self.use(data)
        except SecretCorrupt as exc:
            logger.error("%s; what was read before counts on", exc)  # noqa: TRY400

    def check(self, peer_der: bytes) -> AcceptedCertificate:
        """Decide whether a client certificate, which TLS has verified, may open a tunnel now.

        Raises:
            CertificateRefused: It may not, or nothing was ever read.
        """
        try:
            return self._check(peer_der)
        except CertificateRefused as exc:
            self.report_refusal(exc.reason, exc.message)
            raise

    async def check_newest(self, peer_der: bytes) -> AcceptedCertificate:
        """Like ``check``; what is not known is looked up in the Secret once.

        Raises:
            CertificateRefused: It may not open a tunnel.
        """
        try:
            return self._check(peer_der)
        except CertificateRefused as exc:
            if exc.reason is RefusalReason.CERTIFICATE_UNKNOWN:
                try:
                    await self._store.read(CERTIFICATES_SECRET)
                except TrustError as error:
                    logger.warning("%s; asked again when the edge comes back: %s", exc, error)
        return self.check(peer_der)

    def current_end(self) -> datetime | None:
        """Return when the edge's certificate ends, UTC; None while it has none."""
        current = self._issued.current if self._issued is not None else None
        return current.not_after if current is not None else None

    def check_session(self, accepted: AcceptedCertificate) -> None:
        """Decide whether a session may go on.

        Raises:
            CertificateRefused: CERTIFICATE_REVOKED, or CERTIFICATE_UNKNOWN of one so old that it
                was forgotten.
        """
        if self._issued is not None:
            check_may_stay(self._issued, presented_in_tls(accepted.der))

    async def certificate_used(self, accepted: AcceptedCertificate) -> None:
        """Drop the predecessor of a certificate that was used; what fails is left to ``run``."""
        if not accepted.is_current:
            # It ends nothing, and must not make us forget the use of its successor, which may wait
            # to be written.
            return
        self._used = accepted.serial
        if not self._is_unsettled():
            return
        try:
            async with asyncio.timeout(_SETTLE_TIMEOUT_S):
                await self._settle()
        except (TrustError, TimeoutError) as exc:
            self._problem.occurred(exc)
            self._unsettled.set()

    async def run(self) -> None:
        """Drop predecessors that could not be dropped at once, until cancelled."""
        while True:
            await self._unsettled.wait()
            self._unsettled.clear()
            try:
                await self._settle()
            except TrustError as exc:
                self._problem.occurred(exc)
                self._unsettled.set()
                await asyncio.sleep(self._backoff.next_delay_s())
            else:
                self._backoff.reset()
                self._problem.solved()

    def report_refusal(self, reason: RefusalReason, message: str) -> None:
        """Record an event where a refusal may mean that a disk was copied."""
        if reason is RefusalReason.CERTIFICATE_SUPERSEDED:
            self._report(
                reason="SupersededCertificate",
                message=f"A machine showed an old identity: {message}; its disk may have been "
                "cloned or restored. edgelet-provider site replace ends both and lets one join.",
            )

    def _check(self, peer_der: bytes) -> AcceptedCertificate:
        issued = self._issued
        if issued is None:
            raise CertificateRefused(RefusalReason.UNAVAILABLE, _UNAVAILABLE)
        record = find_accepted(issued, presented_in_tls(peer_der), now=self._now())
        return _accepted(record, peer_der, is_current=record is issued.current)

    async def _settle(self) -> None:
        serial = self._used

        def change(data: Mapping[str, bytes]) -> tuple[SecretData | None, None]:
            issued = CERTIFICATES_DOCUMENT.decode(data)
            changed = with_used(issued, serial)
            return (
                None if changed is issued else CERTIFICATES_DOCUMENT.encode(data, changed)
            ), None

        await self._store.update(CERTIFICATES_SECRET, change)

    def _is_unsettled(self) -> bool:
        return self._issued is not None and with_used(self._issued, self._used) is not self._issued

    def _report_revoked(self, before: IssuedCertificates, now: IssuedCertificates) -> None:
        # Those that were superseded before are revoked with it: one event is enough.
        known = {old.serial for old in before.revoked}
        known |= {old.serial for old in before.superseded}
        for revoked in now.revoked:
            if revoked.serial not in known:
                self._report(
                    reason="CertificateRevoked",
                    message=f"The certificate {revoked.serial} of the site was revoked by "
                    f"{revoked.revoked_by}; its session ends and it cannot come back",
                )


def _accepted(
    record: CertificateRecord, peer_der: bytes, *, is_current: bool
) -> AcceptedCertificate:
    return AcceptedCertificate(
        serial=record.serial, is_current=is_current, not_after=record.not_after, der=peer_der
    )
