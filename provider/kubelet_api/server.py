"""The kubelet port: the route table, and which error is which status.

Every call is authenticated, then authorized, then looked up, in this order; all of them end on the
edge, but for those below /edgelet/, which the provider itself answers. A path goes on as it came.
Refusals are plain text, as a kubelet's are.

Source: kubernetes pkg/kubelet/server/server.go (InstallDefaultHandlers, InstallDebuggingHandlers,
    InstallAuthFilter).
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from aiohttp import web

from provider.edge_link.edge_client import EdgeClient, SiteOffline
from provider.kubelet_api.authentication import Authenticator, Unauthenticated
from provider.kubelet_api.authorization import AuthorizationFailed, Authorizer, Forbidden
from provider.kubelet_api.forward import (
    HEAD_TIMEOUT_S,
    MAX_LIST_BYTES,
    RUN_HEAD_TIMEOUT_S,
    forward,
)
from provider.kubelet_api.request_heads import BadAnswer
from provider.kubelet_api.request_trace import carry_on, trace_of
from provider.kubelet_api.stream_observer import CallKind
from provider.kubelet_api.upgrade import UpgradeRequired, relay_upgrade
from provider.kubelet_api.user import User
from provider.serving.https_server import HttpsServer
from tunnel.errors import HeadError, SessionClosed, StreamReset
from tunnel.stream import REFUSED_STREAM
from tunnel.tracing import NoTracer

if TYPE_CHECKING:
    from provider.serving.tls import ContextSource
    from tunnel.identity import SiteName
    from tunnel.tracing import Tracer

logger = logging.getLogger(__name__)

# A connection without a request, kept for the API server's next one.
IDLE_TIMEOUT_S = 60.0
_NAME = re.compile(r"[A-Za-z0-9][-A-Za-z0-9._]*")
_PATH = re.compile(r"/[\x21-\x7e]*")

# Instead of a path that the table does not have: of those there is no end.
NO_ROUTE = "other"

_Call = Callable[[web.BaseRequest, EdgeClient, User], Awaitable[web.StreamResponse]]


class Answered(Protocol):
    """Who is told of answers (telemetry/metrics.py)."""

    def __call__(self, *, path: str, status: int) -> None:
        """Take note of an answer; never waits."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One row of the table: a path whose segments in braces are names.

    A path that ends in ``/*`` stands for all that is below it.
    """

    methods: tuple[str, ...]
    path: str
    call: _Call

    def matches(self, path: str) -> bool:
        """Whether this is the path's row."""
        if self.path.endswith("/*"):
            above, below = self.path[:-1], path.removeprefix(self.path[:-1])
            steps = below.removesuffix("/").split("/") if below else ()
            return path.startswith(above) and not {"", ".", ".."} & set(steps)
        wanted, given = self.path.split("/"), path.split("/")
        return len(wanted) == len(given) and all(
            bool(_NAME.fullmatch(have)) if want.startswith("{") else want == have
            for want, have in zip(wanted, given, strict=True)
        )


def _plain(
    head_timeout_s: float = HEAD_TIMEOUT_S, *, has_end: bool = False, is_log: bool = False
) -> _Call:
    async def call(request: web.BaseRequest, edge: EdgeClient, caller: User) -> web.StreamResponse:
        return await forward(
            request,
            edge,
            caller=caller,
            head_timeout_s=head_timeout_s,
            max_body_bytes=MAX_LIST_BYTES if has_end else None,
            is_log=is_log,
        )

    return call


def _upgraded(kind: CallKind) -> _Call:
    async def call(request: web.BaseRequest, edge: EdgeClient, caller: User) -> web.StreamResponse:
        return await relay_upgrade(request, edge, kind, caller=caller)

    return call


_GET, _POST, _BOTH = ("GET",), ("POST",), ("GET", "POST")
_STREAM, _RUN, _LIST = _plain(), _plain(RUN_HEAD_TIMEOUT_S), _plain(has_end=True)
_LOG = _plain(is_log=True)
_EXEC, _ATTACH = _upgraded(CallKind.EXEC), _upgraded(CallKind.ATTACH)
_FORWARD = _upgraded(CallKind.PORT_FORWARD)

ROUTES = (
    Route(methods=_GET, path="/containerLogs/{namespace}/{pod}/{container}", call=_LOG),
    Route(methods=_BOTH, path="/exec/{namespace}/{pod}/{container}", call=_EXEC),
    Route(methods=_BOTH, path="/exec/{namespace}/{pod}/{uid}/{container}", call=_EXEC),
    Route(methods=_BOTH, path="/attach/{namespace}/{pod}/{container}", call=_ATTACH),
    Route(methods=_BOTH, path="/attach/{namespace}/{pod}/{uid}/{container}", call=_ATTACH),
    Route(methods=_BOTH, path="/portForward/{namespace}/{pod}", call=_FORWARD),
    Route(methods=_BOTH, path="/portForward/{namespace}/{pod}/{uid}", call=_FORWARD),
    Route(methods=_POST, path="/run/{namespace}/{pod}/{container}", call=_RUN),
    Route(methods=_POST, path="/run/{namespace}/{pod}/{uid}/{container}", call=_RUN),
    Route(methods=_GET, path="/pods", call=_LIST),
    Route(methods=_GET, path="/pods/", call=_LIST),
    Route(methods=_GET, path="/runningpods", call=_LIST),
    Route(methods=_GET, path="/runningpods/", call=_LIST),
    Route(methods=_GET, path="/healthz", call=_LIST),
    Route(methods=_BOTH, path="/stats/summary", call=_LIST),
    Route(methods=_GET, path="/metrics", call=_LIST),
    Route(methods=_GET, path="/metrics/cadvisor", call=_LIST),
    Route(methods=_GET, path="/metrics/probes", call=_LIST),
    Route(methods=_GET, path="/metrics/resource", call=_LIST),
    Route(methods=_GET, path="/logs/*", call=_STREAM),
)


class KubeletServer(HttpsServer):
    """Serves the kubelet API of one site.

    Args:
        edge: Calls to the edge.
        authenticator: Finds out who calls.
        authorizer: Decides whether they may.
        context: Gives TLS with the kubelet's serving certificate and the cluster's client CA.
        own_routes: What the provider itself answers; all below /edgelet/.
        answered: Told of each answer, once it is over, which row's it was; "other" for none's.
        tracer: Follows the calls.
    """

    def __init__(
        self,
        *,
        edge: EdgeClient,
        authenticator: Authenticator,
        authorizer: Authorizer,
        context: ContextSource,
        own_routes: tuple[Route, ...] = (),
        answered: Answered = lambda *, path, status: None,
        tracer: Tracer | None = None,
    ) -> None:
        super().__init__(
            self._handle, context=context, cancel_on_disconnect=True, head_timeout_s=IDLE_TIMEOUT_S
        )
        self._edge = edge
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._routes = (*ROUTES, *own_routes)
        self._answered = answered
        self._tracer = tracer or NoTracer()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        route = self._route(_path(request))
        path = NO_ROUTE if route is None else route.path
        parent, name = trace_of(request), f"{request.method} {path}"
        with self._tracer.span(name, parent=parent, is_server=True) as context:
            carry_on(request, context)
            answer = await self._answer_always(request, route)
        self._answered(path=path, status=answer.status)
        return answer

    def _route(self, path: str) -> Route | None:
        return next((route for route in self._routes if route.matches(path)), None)

    async def _answer_always(
        self, request: web.BaseRequest, route: Route | None
    ) -> web.StreamResponse:
        try:
            return await self._answer(request, route)
        except ConnectionError:
            # The client has gone: there is nobody to answer.
            raise asyncio.CancelledError from None
        except _REFUSALS as exc:
            if isinstance(exc, BadAnswer):
                logger.warning("an answer to %s was refused: %s", _path(request), exc)
            return _refusal(exc, site=self._edge.site)
        except Exception:
            logger.exception("a call of %s failed", _path(request))
            return _refuse(500, "the provider failed; its log tells more")

    async def _answer(self, request: web.BaseRequest, route: Route | None) -> web.StreamResponse:
        user = await self._authenticator.authenticate(request)
        path = _path(request)
        await self._authorizer.authorize(user, method=request.method, path=path)
        if not _PATH.fullmatch(request.raw_path):
            return _refuse(400, "400 bad request path")
        if route is None:
            return _refuse(404, "404 page not found\n")
        if request.method not in route.methods:
            return _refuse(405, "405: Method Not Allowed", Allow=", ".join(route.methods))
        return await route.call(request, self._edge, user)


# Their messages are the whole answer.
_STATUS_OF_TEXT: dict[type[Exception], int] = {
    HeadError: 400,
    Forbidden: 403,
    AuthorizationFailed: 500,
    SiteOffline: 503,
}
_REFUSALS: tuple[type[Exception], ...] = (
    *_STATUS_OF_TEXT,
    Unauthenticated,
    UpgradeRequired,
    SessionClosed,
    StreamReset,
    BadAnswer,
    TimeoutError,
)


def _refusal(error: Exception, *, site: SiteName) -> web.Response:
    """Choose status and text for an error; the one place where that is done."""
    if status := _STATUS_OF_TEXT.get(type(error)):
        return _refuse(status, str(error))
    match error:
        case Unauthenticated(ends_connection=ends_connection):
            answer = _refuse(401, "Unauthorized")
            if ends_connection:
                answer.force_close()
            return answer
        case UpgradeRequired():
            # A kubelet says 500, too: its proxy's responder knows no other status.
            return _refuse(500, f"{error}\n")
        case SessionClosed():
            return _refuse(503, f"the link to {site} was lost: {error.reason}")
        case StreamReset(error_code=code) if code == REFUSED_STREAM:
            return _refuse(503, f"{site} takes no more calls now")
        case StreamReset():
            return _refuse(500, f"{site} broke the call off: {error.reason}")
        case BadAnswer():
            return _refuse(502, f"{site} answered with {error}")
        case _:
            return _refuse(504, f"{site} did not answer in time")


def _path(request: web.BaseRequest) -> str:
    """Return the path as it came. The query is a command with its arguments: not for a log."""
    return request.raw_path.partition("?")[0]


def _refuse(status: int, text: str, **headers: str) -> web.Response:
    return web.Response(status=status, text=text, headers=headers)
