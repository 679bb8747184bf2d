"""The edge port: who may open a tunnel.

The identity is the client certificate's, verified by TLS against the site's CA; no header names a
site.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from aiohttp import web

from provider.edge_link.site_session import Admission, Refused, SiteSession
from provider.edge_link.websocket_pipe import ServerPipe, accept_websocket
from provider.serving.https_server import HttpsServer
from tunnel.errors import IdentityError
from tunnel.identity import SiteName, site_of_peer_certificate
from tunnel.protocol import (
    INSTANCE_HEADER,
    RECEIVED_HEADER,
    SESSION_HEADER,
    TUNNEL_PATH,
    TUNNEL_SUBPROTOCOL,
)

if TYPE_CHECKING:
    from provider.serving.tls import ContextSource

logger = logging.getLogger(__name__)

# A connection serves one request: this much for its head, after the 10 s for the handshake.
HEAD_TIMEOUT_S = 10.0
_INSTANCE = re.compile(r"[0-9a-f]{32}")
_SESSION = re.compile(r"[0-9a-f]{32}|")
# A count of 64 bits.
_RECEIVED = re.compile(r"[0-9]{1,20}")


class EdgeListener(HttpsServer):
    """Accepts the site's tunnel.

    Args:
        site: The one site that is served here.
        site_session: Decides who has the site, and runs the session.
        context: Gives TLS with the provider's certificate for this site and its CA for clients.
    """

    def __init__(
        self, *, site: SiteName, site_session: SiteSession, context: ContextSource
    ) -> None:
        # A lost connection ends its session in order; a cancelled handler could not.
        super().__init__(
            self._handle, context=context, cancel_on_disconnect=False, head_timeout_s=HEAD_TIMEOUT_S
        )
        self._site = site
        self._site_session = site_session

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            instance = self._check(request)
            session_id, received_bytes = _resume_request(request)
            admission = await self._site_session.admit(
                instance=instance, session_id=session_id, received_bytes=received_bytes
            )
        except Refused as exc:
            logger.warning("tunnel from %s refused: %s", request.remote, exc)
            response = web.Response(status=exc.status, text=str(exc))
            response.force_close()
            return response
        try:
            return await self._serve(request, admission)
        finally:
            self._site_session.release(admission)

    async def _serve(self, request: web.BaseRequest, admission: Admission) -> web.StreamResponse:
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
        await self._site_session.attach(admission, ServerPipe(websocket, request.transport))
        return websocket

    def _check(self, request: web.BaseRequest) -> str:
        """Return the instance of a request that may have the tunnel.

        Raises:
            Refused: It may not.
        """
        if request.raw_path != TUNNEL_PATH:
            raise Refused(404, "404 page not found")
        if request.method != "GET":
            raise Refused(405, "the tunnel is opened with GET")
        self._check_identity(request)
        offered = request.headers.get("Sec-WebSocket-Protocol", "")
        if TUNNEL_SUBPROTOCOL not in [name.strip() for name in offered.split(",")]:
            raise Refused(400, f"the subprotocol {TUNNEL_SUBPROTOCOL} is required")
        instance = request.headers.get(INSTANCE_HEADER, "")
        if not _INSTANCE.fullmatch(instance):
            raise Refused(400, f"the header {INSTANCE_HEADER} must be 32 hexadecimal digits")
        return instance

    def _check_identity(self, request: web.BaseRequest) -> None:
        certificate = None
        if request.transport is not None:
            certificate = request.transport.get_extra_info("peercert")
        if not certificate:
            raise Refused(401, "Unauthorized")
        try:
            site = site_of_peer_certificate(certificate)
        except IdentityError as exc:
            raise Refused(403, str(exc)) from exc
        if site != self._site:
            raise Refused(403, f"this is the provider of {self._site}, not of {site}")


def _resume_request(request: web.BaseRequest) -> tuple[str, int]:
    """Return the session to go on with, "" for a new one, and what the edge has received of it.

    Raises:
        Refused: The headers are not of their form.
    """
    session_id = request.headers.get(SESSION_HEADER, "")
    received = request.headers.get(RECEIVED_HEADER, "0")
    if not _SESSION.fullmatch(session_id) or not _RECEIVED.fullmatch(received):
        raise Refused(400, f"the headers {SESSION_HEADER} and {RECEIVED_HEADER} are malformed")
    return session_id, int(received)
