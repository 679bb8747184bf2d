"""CertificateIssuer: a certificate for a token, for its predecessor, or for an old key.

Each decision is made on what the Secrets hold at the moment of the write; of two that collide the
later one decides again. Nothing is signed before its request, its proof and its key were checked.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING

from provider.trust.authority import sign_edge_certificate
from provider.trust.authority_secret import certificates_pem
from provider.trust.certificate_grants import Grant, grant_join, grant_recovery, grant_renewal
from provider.trust.certificate_request import CertificateRequest, parse_certificate_request
from provider.trust.errors import CertificateRefused, EnrolmentRefused, TrustError
from provider.trust.issued_certificates import (
    CERTIFICATES_DOCUMENT,
    CertificateRecord,
    IssuedCertificates,
    with_issued,
)
from provider.trust.join_request import check_jwt
from provider.trust.join_tokens import TOKENS_DOCUMENT, TokenRecord, use_token
from provider.trust.presented_certificate import (
    format_serial,
    presented_for_recovery,
    presented_in_tls,
)
from provider.trust.secret_store import CERTIFICATES_SECRET, TOKENS_SECRET
from tunnel.enrolment import IssuedCertificate, RefusalReason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from provider.trust.edge_credentials import EdgeCredentials
    from provider.trust.secret_store import SecretData, SecretStore
    from provider.trust.settings import TrustSettings
    from tunnel.identity import SiteName

logger = logging.getLogger(__name__)


class CertificateIssuer:
    """Issues the site's client certificates."""

    def __init__(
        self,
        store: SecretStore,
        *,
        site: SiteName,
        settings: TrustSettings,
        credentials: EdgeCredentials,
        now: Callable[[], datetime],
    ) -> None:
        """Record in ``store`` what ``credentials``' CA signs."""
        self._store = store
        self._site = site
        self._settings = settings
        self._credentials = credentials
        self._now = now

    async def join(self, *, jwt: str, csr_pem: bytes) -> IssuedCertificate:
        """Issue for a join token.

        The token is spent first, and on this key: whoever loses the race for it has nothing, and
        whoever loses the answer asks again with the same key.

        Raises:
            EnrolmentRefused: There is no certificate.
        """
        try:
            key = self._credentials.authority().token_key
            claims = check_jwt(jwt, site=self._site, key=key, now=self._now())
            request = parse_certificate_request(csr_pem, site=self._site)
            issued = CERTIFICATES_DOCUMENT.decode(await self._store.read(CERTIFICATES_SECRET))
            token = await self._use_token(claims.jti, request.key_hash, issued)
            return await self._issue(
                request,
                lambda newest: grant_join(
                    newest, key_hash=request.key_hash, replace=token.replace, now=self._now()
                ),
            )
        except TrustError as exc:
            raise _unavailable(exc) from exc

    async def renew(self, *, peer_der: bytes, csr_pem: bytes) -> IssuedCertificate:
        """Issue for the client certificate of a connection.

        Raises:
            EnrolmentRefused: There is no certificate.
        """
        request = parse_certificate_request(csr_pem, site=self._site)
        try:
            presented = presented_in_tls(peer_der)
        except CertificateRefused as exc:
            raise EnrolmentRefused(HTTPStatus.FORBIDDEN, exc.reason, exc.message) from exc
        try:
            return await self._issue(
                request,
                lambda newest: grant_renewal(
                    newest, presented, key_hash=request.key_hash, now=self._now()
                ),
            )
        except TrustError as exc:
            raise _unavailable(exc) from exc

    async def recover(
        self, *, csr_pem: bytes, expired_pem: bytes, signature: bytes
    ) -> IssuedCertificate:
        """Issue for an expired certificate whose key signed this CSR.

        Raises:
            EnrolmentRefused: There is no certificate.
        """
        request = parse_certificate_request(csr_pem, site=self._site)
        presented = presented_for_recovery(expired_pem, csr_der=request.der, signature=signature)
        try:
            return await self._issue(
                request,
                lambda newest: grant_recovery(
                    newest,
                    presented,
                    key_hash=request.key_hash,
                    now=self._now(),
                    grace_s=self._settings.recovery_grace_s,
                ),
            )
        except TrustError as exc:
            raise _unavailable(exc) from exc

    async def _use_token(
        self, token_id: str, key_hash: str, issued: IssuedCertificates
    ) -> TokenRecord:
        def change(data: Mapping[str, bytes]) -> tuple[SecretData | None, TokenRecord]:
            now, tokens = self._now(), TOKENS_DOCUMENT.decode(data)
            used, record = use_token(tokens, token_id, key_hash=key_hash, now=now)
            # A token is not spent on a request that is refused anyway.
            grant_join(issued, key_hash=key_hash, replace=record.replace, now=now)
            return (None if used is tokens else TOKENS_DOCUMENT.encode(data, used)), record

        return await self._store.update(TOKENS_SECRET, change)

    async def _issue(
        self, request: CertificateRequest, decide: Callable[[IssuedCertificates], Grant]
    ) -> IssuedCertificate:
        def change(data: Mapping[str, bytes]) -> tuple[SecretData | None, CertificateRecord]:
            issued = CERTIFICATES_DOCUMENT.decode(data)
            grant = decide(issued)
            if grant.repeated is not None:
                return None, grant.repeated
            record = self._sign(request, grant)
            changed = with_issued(issued, record, predecessor=grant.predecessor)
            return CERTIFICATES_DOCUMENT.encode(data, changed), record

        record = await self._store.update(CERTIFICATES_SECRET, change)
        logger.info(
            "certificate %s for %s (%s) until %s",
            record.serial,
            self._site,
            record.proof,
            f"{record.not_after:%F %T}",
        )
        return IssuedCertificate(
            certificate=record.certificate, authorities=self._credentials.authorities_pem()
        )

    def _sign(self, request: CertificateRequest, grant: Grant) -> CertificateRecord:
        now = self._now()
        certificate = sign_edge_certificate(
            self._credentials.authority(),
            self._site,
            request.public_key,
            now=now,
            lifetime_s=self._settings.certificate_lifetime_s,
        )
        return CertificateRecord(
            serial=format_serial(certificate),
            key_hash=request.key_hash,
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            proof=grant.proof,
            issued_at=now,
            certificate=certificates_pem([certificate]).decode(),
        )


def _unavailable(exc: TrustError) -> EnrolmentRefused:
    # Whoever asks is not told how the cluster looks.
    logger.error("a certificate could not be issued: %s", exc)
    return EnrolmentRefused(
        HTTPStatus.SERVICE_UNAVAILABLE,
        RefusalReason.UNAVAILABLE,
        "the provider cannot issue certificates now; try again later",
    )
