"""Whom a connection to the edge port belongs to: what TLS verified, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provider.edge_link.refusal import Refused
from tunnel.enrolment import RefusalReason
from tunnel.errors import IdentityError
from tunnel.identity import site_of_peer_certificate

if TYPE_CHECKING:
    from aiohttp import web

    from tunnel.identity import SiteName


def client_certificate(request: web.BaseRequest, *, site: SiteName) -> bytes:
    """Return the client certificate of a request's connection, DER, which names this site.

    Whether the site accepts it still is for ``SiteTrust`` to say.

    Raises:
        Refused: There is none, or it is no certificate of this site.
    """
    transport = request.transport
    connection = transport.get_extra_info("ssl_object") if transport is not None else None
    certificate: bytes | None = connection and connection.getpeercert(binary_form=True)
    if connection is None or not certificate:
        raise Refused(401, RefusalReason.NO_CERTIFICATE, "the client showed no certificate")
    try:
        named = site_of_peer_certificate(connection.getpeercert())
    except IdentityError as exc:
        raise Refused(403, RefusalReason.OTHER_SITE, str(exc)) from exc
    if named != site:
        message = f"this is the provider of {site}, not of {named}"
        raise Refused(403, RefusalReason.OTHER_SITE, message)
    return certificate
