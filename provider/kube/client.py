"""Raw JSON calls to one API server, under two identities.

``as_self`` is the provider's own ServiceAccount. ``as_node`` is the site's Node by impersonation:
RBAC allows the ServiceAccount this one user name and the group ``system:nodes``, and from there on
the Node authorizer and NodeRestriction hold it to its own Node and pods (docs/security.md). Both
headers are needed: without the group the authorizer does not take the user for a node.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol, Self
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
import yarl

from provider.kube.answers import raise_for_status, read_lines, read_object, translate
from tunnel.identity import NODE_GROUP, SiteName, node_user_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from types import TracebackType

    from provider.kube.credentials import ClusterAccess

Json = dict[str, Any]

CALL_TIMEOUT_S: Final = 10.0
_CONNECT_TIMEOUT_S = 5.0
_MAX_CALL_CONNECTIONS = 16
_MAX_WATCH_CONNECTIONS = 16
# Over HTTP/1.1 each watch of an object takes a connection; beyond so many, objects are polled.
MAX_OBJECT_WATCHES: Final = 64
# The same for namespaces whose Services are watched.
MAX_SERVICE_WATCHES: Final = 16
_MAX_OBJECT_CALL_CONNECTIONS = 8


class PatchType(StrEnum):
    """How the API server is to read the body of a PATCH."""

    STRATEGIC = "application/strategic-merge-patch+json"
    MERGE = "application/merge-patch+json"


def resource_path(
    resource: str,
    *,
    name: str = "",
    namespace: str = "",
    subresource: str = "",
    group: str = "",
    version: str = "v1",
) -> str:
    """Return the path of a resource or a collection.

    Raises:
        ValueError: A part would change the path's meaning, such as "..".
    """
    parts = ["apis", group, version] if group else ["api", version]
    if namespace:
        parts += ["namespaces", namespace]
    parts += [part for part in (resource, name, subresource) if part]
    if any(part in {"", ".", ".."} for part in parts):
        raise ValueError(f"no resource has the path {parts}")
    return "/" + "/".join(quote(part, safe="") for part in parts)


class Answered(Protocol):
    """Who is told of calls (telemetry/metrics.py)."""

    def __call__(self, *, method: str, status: int | None) -> None:
        """Take note of a call; None is one without an answer. Never waits."""


class KubeApi:
    """Calls under one identity.

    Every call ends within its time-out and raises ``ApiError``; cancelling one closes its
    connection, and leaves open whether the server carried it out.
    """

    def __init__(
        self,
        access: ClusterAccess,
        *,
        calls: aiohttp.ClientSession,
        watches: aiohttp.ClientSession,
        headers: Mapping[str, str],
        answered: Answered,
    ) -> None:
        self._access = access
        self._answered = answered
        self._calls = calls
        self._watches = watches
        self._headers = dict(headers)

    async def get(self, path: str, *, timeout_s: float = CALL_TIMEOUT_S) -> Json:
        """Read one object."""
        return await self._call("GET", path, timeout_s=timeout_s)

    async def list(
        self, path: str, *, query: Mapping[str, str], timeout_s: float = 3 * CALL_TIMEOUT_S
    ) -> Json:
        """Read one page of a collection, as the API's List object."""
        return await self._call("GET", path, query=query, timeout_s=timeout_s)

    async def create(self, path: str, body: Json, *, timeout_s: float = CALL_TIMEOUT_S) -> Json:
        """POST an object to its collection."""
        return await self._call("POST", path, body=body, timeout_s=timeout_s)

    async def update(self, path: str, body: Json, *, timeout_s: float = CALL_TIMEOUT_S) -> Json:
        """PUT an object; its resource version must be the current one."""
        return await self._call("PUT", path, body=body, timeout_s=timeout_s)

    async def patch(
        self,
        path: str,
        body: Json,
        *,
        patch_type: PatchType = PatchType.STRATEGIC,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> Json:
        """PATCH an object and return what the server made of it."""
        return await self._call(
            "PATCH", path, body=body, content_type=patch_type, timeout_s=timeout_s
        )

    async def delete(self, path: str, body: Json, *, timeout_s: float = CALL_TIMEOUT_S) -> Json:
        """DELETE an object; the body is its DeleteOptions."""
        return await self._call("DELETE", path, body=body, timeout_s=timeout_s)

    @contextlib.asynccontextmanager
    async def watch_lines(
        self, path: str, *, query: Mapping[str, str], timeout_s: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a watch and yield its lines, each one JSON event without its newline.

        Args:
            path: Of the collection.
            query: Must ask for ``watch=true``.
            timeout_s: For the whole watch; its head must come within CALL_TIMEOUT_S.

        Raises:
            ApiError: On opening, and from the iterator: the connection broke, took longer than
                ``timeout_s``, or sent a line of more than MAX_LINE_BYTES.
        """
        what = f"watch {path}"
        deadline = asyncio.get_running_loop().time() + timeout_s
        # No time-out and no translation around the yield: both would reach into the caller.
        async with contextlib.AsyncExitStack() as stack:
            with translate(what):
                async with asyncio.timeout(CALL_TIMEOUT_S):
                    answer = await self._send(self._watches, "GET", path, query=query)
                    await stack.enter_async_context(answer)
                    await raise_for_status(answer, what)
            yield read_lines(answer.content, what, deadline=deadline)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        timeout_s: float,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
        content_type: str = "application/json",
    ) -> Json:
        what = f"{method} {path}"
        with translate(what):
            async with (
                asyncio.timeout(timeout_s),
                await self._send(
                    self._calls, method, path, query=query, body=body, content_type=content_type
                ) as answer,
            ):
                await raise_for_status(answer, what)
                return await read_object(answer, what)

    async def _send(
        self,
        session: aiohttp.ClientSession,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
        content_type: str = "application/json",
    ) -> aiohttp.ClientResponse:
        headers = {**self._headers, "Accept": "application/json"}
        if token := await self._access.tokens.token():
            headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            headers["Content-Type"] = content_type
        text = f"{self._access.server}{path}" + (f"?{urlencode(query)}" if query else "")
        status = None
        try:
            answer = await session.request(
                method,
                yarl.URL(text, encoded=True),
                headers=headers,
                data=None if body is None else msgspec.json.encode(body),
                allow_redirects=False,
                server_hostname=self._access.server_name,
            )
            status = answer.status
        finally:
            self._answered(method=method, status=status)
        return answer


class KubeClient:
    """Connections to one API server, for one site.

    Watches have a pool of their own, so that they never starve Lease and status calls, and so have
    the objects that pods refer to, of which there may be many. Use as an async context manager;
    leaving it closes all connections.

    Attributes:
        as_self: Acts as the credentials' owner.
        as_node: Acts as the site's Node.
        node_objects: Acts as the Node, too, for at most MAX_OBJECT_WATCHES watches of objects and
            MAX_SERVICE_WATCHES of namespaces.
    """

    as_self: KubeApi
    as_node: KubeApi
    node_objects: KubeApi

    def __init__(
        self,
        access: ClusterAccess,
        *,
        site: SiteName,
        answered: Answered = lambda *, method, status: None,
    ) -> None:
        self._access = access
        self._answered = answered
        self._node_headers = {
            "Impersonate-User": node_user_name(site),
            "Impersonate-Group": NODE_GROUP,
        }
        self._sessions: list[aiohttp.ClientSession] = []

    async def __aenter__(self) -> Self:
        calls = self._open_session(_MAX_CALL_CONNECTIONS)
        watches = self._open_session(_MAX_WATCH_CONNECTIONS)
        self.as_self = self._api(calls, watches, {})
        self.as_node = self._api(calls, watches, self._node_headers)
        self.node_objects = self._api(
            self._open_session(_MAX_OBJECT_CALL_CONNECTIONS),
            self._open_session(MAX_OBJECT_WATCHES + MAX_SERVICE_WATCHES),
            self._node_headers,
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for session in self._sessions:
            await session.close()

    def _api(
        self,
        calls: aiohttp.ClientSession,
        watches: aiohttp.ClientSession,
        headers: Mapping[str, str],
    ) -> KubeApi:
        return KubeApi(
            self._access, calls=calls, watches=watches, headers=headers, answered=self._answered
        )

    def _open_session(self, limit: int) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            ssl=self._access.tls if self._access.tls is not None else True,
            limit=limit,
            socket_factory=_keepalive_socket,
        )
        # Whole calls are bounded by asyncio.timeout above; aiohttp's own total would end watches.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT_S)
        session = aiohttp.ClientSession(
            connector=connector,
            timeout=timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "edgelet-provider"},
        )
        self._sessions.append(session)
        return session


def _keepalive_socket(info: tuple[Any, ...]) -> socket.socket:
    """Open a socket that notices within about 30 s that the API server's machine is gone.

    A watch sends nothing, so nothing else would tell until the watch's own end.
    """
    family, kind, protocol = info[0], info[1], info[2]
    connection = socket.socket(family=family, type=kind, proto=protocol)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000)
    return connection
