"""What the provider itself answers on the kubelet port: its figures, and the site's page.

The kubelet port has asked who calls, and whether they may, before anything here is reached.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from provider.kubelet_api.access import OWN_METRICS_PATH
from provider.kubelet_api.server import Route
from tunnel.exposition import CONTENT_TYPE, expose

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from prometheus_client import CollectorRegistry

    from provider.edge_link.edge_client import EdgeClient
    from provider.kubelet_api.user import User
    from provider.status_page.status_page import StatusPage

_GET = ("GET",)


def own_routes(*, page: StatusPage, registry: CollectorRegistry) -> tuple[Route, ...]:
    """Return the rows of the kubelet port's table that end here.

    Args:
        page: The site's page.
        registry: The provider's own figures.
    """

    async def metrics(_request: web.BaseRequest) -> web.Response:
        text = await expose(registry)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})

    return (
        Route(methods=_GET, path=OWN_METRICS_PATH, call=_here(metrics)),
        Route(methods=_GET, path="/edgelet/", call=_here(page.page)),
        Route(methods=_GET, path="/edgelet/status.json", call=_here(page.json)),
    )


def _here(
    answer: Callable[[web.BaseRequest], Awaitable[web.Response]],
) -> Callable[[web.BaseRequest, EdgeClient, User], Awaitable[web.Response]]:
    """Answer without the edge, whoever asks."""

    async def call(request: web.BaseRequest, _edge: EdgeClient, _caller: User) -> web.Response:
        return await answer(request)

    return call
