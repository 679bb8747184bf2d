"""The health port: ``/livez`` and ``/readyz`` for the probes of the kubelet that runs us.

Plain HTTP, since a kubelet's probes show no certificate; it tells whether and why not, and nothing
else.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from provider.serving.https_server import HttpsServer

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD_TIMEOUT_S = 5.0


class HealthPort:
    """Answers probes.

    ``/livez``, or by its older name ``/healthz``, is 200 while the event loop turns. ``/readyz`` is
    200 when the site's edge is to connect here; a Service sends it to ready providers only.

    Args:
        why_not_ready: One sentence, "" when ready.
    """

    def __init__(self, *, why_not_ready: Callable[[], str]) -> None:
        self._why_not_ready = why_not_ready
        self._server = HttpsServer(
            self._handle, context=None, cancel_on_disconnect=True, head_timeout_s=HEAD_TIMEOUT_S
        )

    @property
    def port(self) -> int:
        """The TCP port."""
        return self._server.port

    async def listen(self, *, host: str, port: int) -> None:
        """Begin to answer.

        Raises:
            ListenError: The address cannot be listened on.
        """
        await self._server.listen(host=host, port=port)

    async def shutdown(self, *, timeout_s: float) -> None:
        """Stop and close every connection."""
        await self._server.shutdown(timeout_s=timeout_s)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method not in {"GET", "HEAD"}:
            return web.Response(status=HTTPStatus.METHOD_NOT_ALLOWED, text="GET only\n")
        match request.path:
            case "/livez" | "/healthz":
                return web.Response(text="ok\n")
            case "/readyz":
                reason = self._why_not_ready()
                if reason:
                    return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE, text=f"{reason}\n")
                return web.Response(text="ok\n")
        return web.Response(status=HTTPStatus.NOT_FOUND, text="404 page not found\n")
