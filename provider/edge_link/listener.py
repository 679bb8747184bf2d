"""The edge port: one TLS port for ``/ca.crt``, ``/edge.crt`` and ``/tunnel``.

The identity is the client certificate's, verified by TLS against the site's CA; no header and no
path names a site. Every refusal is a ``tunnel.enrolment.Refusal``.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from provider.edge_link.enrolment import Enrolment, admitted_certificate
from provider.edge_link.refusal import Refused, not_found, refusal_answer
from provider.edge_link.websocket_pipe import ServerPipe, accept_websocket
from provider.serving.https_server import HttpsServer
from provider.trust.errors import CertificateRefused
from tunnel.enrolment import CA_PATH, CERTIFICATE_PATH, RefusalReason
from tunnel.protocol import (
    INSTANCE_HEADER,
    RECEIVED_HEADER,
    SESSION_HEADER,
    TUNNEL_PATH,
    TUNNEL_SUBPROTOCOL,
)

if TYPE_CHECKING:
    from aiohttp import web

    from provider.edge_link.held_session import Admission
    from provider.edge_link.site_session import SiteSession
    from provider.trust.site_trust import AcceptedCertificate, SiteTrust
    from tunnel.identity import SiteName

logger = logging.getLogger(__name__)

# A connection serves one request: this much for its head, after the 10 s for the handshake.
HEAD_TIMEOUT_S = 10.0
_OF_STRANGERS = frozenset({400, 401, 404, 405, 408, 413, 429})
_INSTANCE = re.compile(r"[0-9a-f]{32}")
_SESSION = re.compile(r"[0-9a-f]{32}|")
# A count of 64 bits.
_RECEIVED = re.compile(r"[0-9]{1,20}")


_Route = Callable[["web.BaseRequest"], Awaitable["web.StreamResponse"]]


class EdgeListener(HttpsServer):
    """Accepts the site's tunnel, and lets edges join and renew.

    Args:
        site: The one site that is served here.
        site_session: Decides who has the site, and runs the session.
        trust: Decides which certificate is accepted, and gives the TLS context.
        monotonic: A clock in seconds that never goes back.
    """

    def __init__(
        self,
        *,
        site: SiteName,
        site_session: SiteSession,
        trust: SiteTrust,
        monotonic: Callable[[], float],
        refused: Callable[[str], None] = lambda _reason: None,
    ) -> None:
        # A lost connection ends its session in order; a cancelled handler could not.
        super().__init__(
            self._handle,
            context=trust.edge_context,
            cancel_on_disconnect=False,
            head_timeout_s=HEAD_TIMEOUT_S,
        )
        self._site = site
        self._site_session = site_session
        self._trust = trust
        self._refused = refused
        enrolment = Enrolment(site=site, trust=trust, monotonic=monotonic)
        self._routes: dict[str, _Route] = {
            CA_PATH: enrolment.authorities,
            CERTIFICATE_PATH: enrolment.certificate,
            TUNNEL_PATH: self._tunnel,
        }
        trust.on_change(self._end_revoked)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except Refused as exc:
            # What anybody can provoke is not worth a line each.
            level = logging.DEBUG if exc.status in _OF_STRANGERS else logging.WARNING
            who = (request.method, request.raw_path[:100], request.remote)
            logger.log(level, "%s %r from %s refused: %s", *who, exc)
            self._refused(exc.reason.value)
            return refusal_answer(exc)
        except ConnectionError:
            # The client has gone: there is nobody to answer.
            raise asyncio.CancelledError from None
        except Exception:
            logger.exception("a request for %r failed", request.raw_path[:100])
            failure = Refused(500, RefusalReason.UNAVAILABLE, "the provider failed; see its log")
            return refusal_answer(failure)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        route = self._routes.get(request.raw_path)
        if route is None:
            raise not_found()
        return await route(request)

    async def _tunnel(self, request: web.BaseRequest) -> web.StreamResponse:
        accepted = await self._check(request)
        session_id, received_bytes = _resume_request(request)
        admission = await self._site_session.admit(
            instance=request.headers[INSTANCE_HEADER],
            certificate=accepted,
            session_id=session_id,
            received_bytes=received_bytes,
        )
        # It may have been revoked while the predecessor was asked whether it lives. MUST be no
        # await between admit and this: from here on a change finds the session.
        self._end_revoked()
        try:
            return await self._serve(request, admission, accepted)
        finally:
            self._site_session.release(admission)

    async def _serve(
        self, request: web.BaseRequest, admission: Admission, accepted: AcceptedCertificate
    ) -> web.StreamResponse:
        websocket = accept_websocket(
            protocol=TUNNEL_SUBPROTOCOL,
            headers={
                SESSION_HEADER: admission.session.session_id,
                RECEIVED_HEADER: str(admission.received_bytes),
            },
        )
        try:
            await websocket.prepare(request)
        except ConnectionResetError:
            # A dial is given up after 2 s, which is as long as a silent predecessor is asked.
            logger.info("tunnel from %s: the edge gave up waiting", request.remote)
            return websocket
        if request.transport is None:
            return websocket
        pipe = ServerPipe(websocket, request.transport)
        try:
            async with asyncio.TaskGroup() as tasks:
                # Beside the session: the API server may be slow, or away.
                tasks.create_task(self._trust.certificate_used(accepted))
                await self._site_session.attach(admission, pipe)
        except BaseException:
            # Nothing of HTTP may follow on a WebSocket.
            pipe.abort()
            raise
        return websocket

    def _end_revoked(self) -> None:
        """End the session that a certificate carries which was revoked."""
        accepted = self._site_session.certificate
        if accepted is None:
            return
        try:
            self._trust.check_session(accepted)
        except CertificateRefused as exc:
            logger.warning("the session of %s ends: %s", self._site, exc.message)
            self._site_session.end_present(exc.message)

    async def _check(self, request: web.BaseRequest) -> AcceptedCertificate:
        """Return the certificate of a request that may have the tunnel.

        Raises:
            Refused: It may not.
        """
        if request.method != "GET":
            message = "the tunnel is opened with GET"
            raise Refused(405, RefusalReason.BAD_REQUEST, message, allowed="GET")
        accepted = await admitted_certificate(request, site=self._site, trust=self._trust)
        offered = request.headers.get("Sec-WebSocket-Protocol", "")
        if TUNNEL_SUBPROTOCOL not in [name.strip() for name in offered.split(",")]:
            raise _bad_request(f"the subprotocol {TUNNEL_SUBPROTOCOL} is required")
        if not _INSTANCE.fullmatch(request.headers.get(INSTANCE_HEADER, "")):
            raise _bad_request(f"the header {INSTANCE_HEADER} must be 32 hexadecimal digits")
        return accepted


def _bad_request(message: str) -> Refused:
    return Refused(400, RefusalReason.BAD_REQUEST, message)


def _resume_request(request: web.BaseRequest) -> tuple[str, int]:
    """Return the session to go on with, "" for a new one, and what the edge has received of it.

    Raises:
        Refused: The headers are not of their form.
    """
    session_id = request.headers.get(SESSION_HEADER, "")
    received = request.headers.get(RECEIVED_HEADER, "0")
    if not _SESSION.fullmatch(session_id) or not _RECEIVED.fullmatch(received):
        raise _bad_request(f"the headers {SESSION_HEADER} and {RECEIVED_HEADER} are malformed")
    return session_id, int(received)
