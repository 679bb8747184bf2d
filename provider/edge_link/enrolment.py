"""``/ca.crt`` and ``/edge.crt``: what an edge gets that has no certificate, or needs the next one.

    GET  /ca.crt                          the site's CAs
    GET  /edge.crt   certificate          whether it is accepted
    POST /edge.crt   Authorization        joining      ┐ limited, since anybody can ask
                     Edgelet-Recovery     recovery     ┘
                     neither              renewal, by the certificate of the connection

Whoever shows no accepted certificate is limited before anything of his is read or verified.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import TYPE_CHECKING

import msgspec

from provider.edge_link.edge_identity import client_certificate
from provider.edge_link.rate_limit import Rate, RequestLimit
from provider.edge_link.refusal import JSON_TYPE, Refused, answer_of
from provider.trust.errors import CertificateRefused, EnrolmentRefused
from tunnel.enrolment import (
    MAX_REQUEST_BYTES,
    PEM_TYPE,
    RECOVERY_HEADER,
    TOKEN_SCHEME,
    RefusalReason,
)
from tunnel.identity import MAX_TOKEN_LENGTH

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

    from provider.trust.site_trust import AcceptedCertificate, SiteTrust
    from tunnel.enrolment import IssuedCertificate
    from tunnel.identity import SiteName

# A person who joins a machine asks once, and again after a mistake; a script that guesses, often.
SOURCE_RATE = Rate(burst=10, per_s=0.2)
OVERALL_RATE = Rate(burst=50, per_s=5.0)
# Of an edge that renews: each one is two writes at the API server.
RENEWAL_RATE = Rate(burst=20, per_s=0.5)
# For the whole body, however slowly it comes.
BODY_TIMEOUT_S = 10.0
_CERTIFICATE_BEGIN = b"-----BEGIN CERTIFICATE-----"


class Enrolment:
    """Answers ``/ca.crt`` and ``/edge.crt``.

    Args:
        site: The one site that is served here.
        trust: Decides and signs.
        monotonic: A clock in seconds that never goes back.
    """

    def __init__(self, *, site: SiteName, trust: SiteTrust, monotonic: Callable[[], float]) -> None:
        self._site = site
        self._trust = trust
        self._monotonic = monotonic
        now = monotonic()
        self._newcomers = RequestLimit(source=SOURCE_RATE, overall=OVERALL_RATE, now=now)
        # By the serial number; there are few that are accepted.
        self._renewals = RequestLimit(source=RENEWAL_RATE, overall=RENEWAL_RATE, now=now)

    async def authorities(self, request: web.BaseRequest) -> web.Response:
        """Answer GET ``/ca.crt``; it is no secret.

        Raises:
            Refused: Another method.
        """
        _check_method(request, "GET")
        return answer_of(self._trust.authorities_pem().encode("ascii"), content_type=PEM_TYPE)

    async def certificate(self, request: web.BaseRequest) -> web.Response:
        """Answer ``/edge.crt``.

        Raises:
            Refused: There is no certificate, or it is not accepted.
        """
        _check_method(request, "GET", "POST")
        if request.method == "GET":
            return await self._accepted(request)
        try:
            issued = await self._issue(request)
        except EnrolmentRefused as exc:
            raise Refused(exc.status, exc.reason, exc.message) from exc
        return answer_of(msgspec.json.encode(issued), content_type=JSON_TYPE)

    async def _accepted(self, request: web.BaseRequest) -> web.Response:
        accepted = await admitted_certificate(request, site=self._site, trust=self._trust)
        await self._trust.certificate_used(accepted)
        return answer_of(b"{}", content_type=JSON_TYPE)

    async def _issue(self, request: web.BaseRequest) -> IssuedCertificate:
        token = _single_header(request, "Authorization")
        recovery = _single_header(request, RECOVERY_HEADER)
        if token is not None and recovery is not None:
            raise _bad_request(f"Authorization and {RECOVERY_HEADER} are two different requests")
        if token is None and recovery is None:
            return await self._renew(request)
        self._limit_newcomer(request)
        if token is not None:
            jwt = _bearer(token)
            return await self._trust.join(jwt=jwt, csr_pem=await _read_body(request))
        signature = _signature(recovery or "")
        csr_pem, expired_pem = _split(await _read_body(request))
        return await self._trust.recover(
            csr_pem=csr_pem, expired_pem=expired_pem, signature=signature
        )

    async def _renew(self, request: web.BaseRequest) -> IssuedCertificate:
        try:
            peer_der = client_certificate(request, site=self._site)
            accepted = self._trust.check(peer_der)
        except (Refused, CertificateRefused):
            # One that is not accepted is worth as much as none.
            self._limit_newcomer(request)
            peer_der = client_certificate(request, site=self._site)
        else:
            _pass(self._renewals.take(accepted.serial, now=self._monotonic()))
        return await self._trust.renew(peer_der=peer_der, csr_pem=await _read_body(request))

    def _limit_newcomer(self, request: web.BaseRequest) -> None:
        # The address of the connection: a header could name any.
        _pass(self._newcomers.take(request.remote or "", now=self._monotonic()))


async def admitted_certificate(
    request: web.BaseRequest, *, site: SiteName, trust: SiteTrust
) -> AcceptedCertificate:
    """Return the certificate of a request's connection, which the site accepts.

    Raises:
        Refused: There is none, or the site does not accept it.
    """
    peer_der = client_certificate(request, site=site)
    try:
        return await trust.check_newest(peer_der)
    except CertificateRefused as exc:
        status = 503 if exc.reason is RefusalReason.UNAVAILABLE else 403
        raise Refused(status, exc.reason, exc.message) from exc


def _pass(wait_s: float) -> None:
    if wait_s > 0.0:
        raise Refused(
            429,
            RefusalReason.TOO_MANY_REQUESTS,
            "too many requests for a certificate; try again later",
            retry_after_s=wait_s,
        )


def _check_method(request: web.BaseRequest, *methods: str) -> None:
    if request.method not in methods:
        allowed = ", ".join(methods)
        raise Refused(
            405,
            RefusalReason.BAD_REQUEST,
            f"{request.path} knows the methods {allowed}",
            allowed=allowed,
        )


def _single_header(request: web.BaseRequest, name: str) -> str | None:
    values = request.headers.getall(name, [])
    if len(values) > 1:
        raise _bad_request(f"there is more than one header {name}")
    return values[0] if values else None


def _bearer(value: str) -> str:
    scheme, _, credentials = value.partition(" ")
    jwt = credentials.strip()
    if scheme.lower() != TOKEN_SCHEME.lower() or not jwt:
        raise _bad_request(f"the header Authorization is not {TOKEN_SCHEME} and a token")
    if len(jwt) > MAX_TOKEN_LENGTH:
        raise _bad_request("the token is too long")
    return jwt


def _signature(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise _bad_request(f"the header {RECOVERY_HEADER} is not base64") from exc


def _split(body: bytes) -> tuple[bytes, bytes]:
    begin = body.find(_CERTIFICATE_BEGIN)
    if begin < 0:
        raise _bad_request("the expired certificate is missing behind the CSR")
    return body[:begin], body[begin:]


async def _read_body(request: web.BaseRequest) -> bytes:
    """Read a body of at most MAX_REQUEST_BYTES; of a longer one nothing, if it says so.

    Raises:
        Refused: It is longer, or takes longer than BODY_TIMEOUT_S.
    """
    if request.content_length is not None and request.content_length > MAX_REQUEST_BYTES:
        raise _too_large()
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            while chunk := await request.content.readany():
                body += chunk
                if len(body) > MAX_REQUEST_BYTES:
                    raise _too_large()
    except TimeoutError as exc:
        message = f"the body did not come within {BODY_TIMEOUT_S:.0f} s"
        raise Refused(408, RefusalReason.BAD_REQUEST, message) from exc
    return bytes(body)


def _bad_request(message: str) -> Refused:
    return Refused(400, RefusalReason.BAD_REQUEST, message)


def _too_large() -> Refused:
    message = f"the body is larger than {MAX_REQUEST_BYTES} bytes"
    return Refused(413, RefusalReason.BAD_REQUEST, message)
