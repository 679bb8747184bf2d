"""Who calls the kubelet port: a verified client certificate, else a bearer token, else nobody.

Source: kubernetes pkg/kubelet/server/server.go (InstallAuthFilter), cmd/kubelet/app/auth.go;
    apiserver pkg/authentication/request/{x509,bearertoken,websocket}.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import ssl
import time
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from provider.kubelet_api.request_heads import BEARER_SUBPROTOCOL
from provider.kubelet_api.user import User, authenticated
from provider.serving.tls import subject_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp import web

_TOKEN = re.compile(r"[\x21-\x7e]+")
_UID_ATTRIBUTE = "1.3.6.1.4.1.57683.2"
_CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"


class Unauthenticated(Exception):
    """Nobody whom we know.

    Attributes:
        ends_connection: The certificate that the connection began with is not good any more: the
            client must show it anew.
    """

    def __init__(self, *, ends_connection: bool = False) -> None:
        super().__init__()
        self.ends_connection = ends_connection


class TokenUsers(Protocol):
    """Knows whose a token is."""

    async def user_of(self, token: str) -> User | None:
        """Return the user, None where there is none or nobody can say."""


class ClientAuthorities(Protocol):
    """Knows from whom client certificates are accepted, which may change."""

    def accepts(self, connection: ssl.SSLObject) -> bool:
        """Whether the certificate that a connection began with would be accepted now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Certified:
    """What a connection's certificate says.

    Attributes:
        user: None when it names none.
        expires: Seconds since the epoch.
    """

    user: User | None
    expires: float


class Authenticator:
    """Finds out who calls.

    Args:
        tokens: Asked about bearer tokens.
        authorities: Asked about the certificates of connections that have lasted.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        *,
        tokens: TokenUsers,
        authorities: ClientAuthorities,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._tokens = tokens
        self._authorities = authorities
        self._clock = clock
        self._certified: weakref.WeakKeyDictionary[ssl.SSLObject, _Certified] = (
            weakref.WeakKeyDictionary()
        )

    async def authenticate(self, request: web.BaseRequest) -> User:
        """Return who calls.

        TLS verified the certificate, if there is one, when the connection began; that it has not
        expired and that its CA is still trusted is checked for every request.

        Raises:
            Unauthenticated: There is no credential, or none that is good.
        """
        user, is_stale = self._user_of_certificate(request)
        if user is not None:
            return user
        for token in (_bearer_token(request), _websocket_token(request)):
            user = await self._tokens.user_of(token) if token else None
            if user is not None:
                return user
        raise Unauthenticated(ends_connection=is_stale)

    def _user_of_certificate(self, request: web.BaseRequest) -> tuple[User | None, bool]:
        """Return the certificate's user, and whether it is good no more."""
        transport = request.transport
        connection = None if transport is None else transport.get_extra_info("ssl_object")
        if not isinstance(connection, ssl.SSLObject):
            return None, False
        certified = self._certified.get(connection)
        if certified is None:
            certified = self._certified[connection] = _certified(connection)
        if certified.user is None:
            return None, False
        if self._clock() >= certified.expires or not self._authorities.accepts(connection):
            return None, True
        return certified.user, False


def _certified(connection: ssl.SSLObject) -> _Certified:
    certificate: Mapping[str, Any] | None = connection.getpeercert()
    der = connection.getpeercert(binary_form=True)
    if not certificate or der is None:
        return _Certified(user=None, expires=0.0)
    subject = subject_of(certificate)
    names, uids = subject.get("commonName", ()), subject.get(_UID_ATTRIBUTE, ())
    # Go's parser takes the last of several common names. Whoever certifies two means neither.
    if len(names) != 1 or not names[0] or len(uids) > 1:
        return _Certified(user=None, expires=0.0)
    user = User(
        name=names[0],
        groups=tuple(subject.get("organizationName", ())),
        uid="".join(uids),
        extra=((_CREDENTIAL_ID, (f"X509SHA256={hashlib.sha256(der).hexdigest()}",)),),
    )
    expires = float(ssl.cert_time_to_seconds(certificate["notAfter"]))
    return _Certified(user=authenticated(user), expires=expires)


def _bearer_token(request: web.BaseRequest) -> str:
    scheme, _, rest = request.headers.get("Authorization", "").strip().partition(" ")
    token = rest.split(" ", 1)[0]
    return token if scheme.lower() == "bearer" and _TOKEN.fullmatch(token) else ""


def _websocket_token(request: web.BaseRequest) -> str:
    """Return the token that a WebSocket brings as one of its subprotocols.

    There must be another subprotocol, which can be chosen instead.
    """
    if request.headers.get("Upgrade", "").strip().lower() != "websocket":
        return ""
    offered = ",".join(request.headers.getall("Sec-WebSocket-Protocol", [])).split(",")
    names = [name.strip() for name in offered]
    tokens = [name for name in names if name.startswith(BEARER_SUBPROTOCOL)]
    if len(tokens) != 1 or len(names) < 2:
        return ""
    encoded = tokens[0].removeprefix(BEARER_SUBPROTOCOL)
    try:
        raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        token = raw.decode("ascii")
    except (binascii.Error, ValueError):
        return ""
    return token if _TOKEN.fullmatch(token) else ""
