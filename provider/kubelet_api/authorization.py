"""Whether a caller may: for now the API server alone, whatever it asks for.

Source: kubernetes pkg/kubelet/server/auth.go (GetRequestAttributes) and server.go
    (InstallAuthFilter): verbs, subresources, text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provider.kubelet_api.authentication import User

_VERBS = {
    "GET": "get",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
_SUBRESOURCES = {
    "/stats": ("stats",),
    "/metrics": ("metrics",),
    "/logs": ("log",),
    "/checkpoint": ("checkpoint",),
    "/pods": ("pods", "proxy"),
    "/runningpods": ("pods", "proxy"),
    "/healthz": ("healthz", "proxy"),
    "/configz": ("configz", "proxy"),
}


class Forbidden(Exception):
    """The caller is known and may not; the message is what a kubelet says."""


class Authorizer:
    """Decides who may call.

    Args:
        api_server_name: Common name of the API server's kubelet client certificate.
    """

    def __init__(self, *, api_server_name: str) -> None:
        self._api_server_name = api_server_name

    async def authorize(self, user: User, *, method: str, path: str) -> None:
        """Let the caller pass, or raise.

        Args:
            user: Who calls.
            method: HTTP method.
            path: As it came, without the query.

        Raises:
            Forbidden: The caller may not.
        """
        if user.name == self._api_server_name:
            return
        verb = _VERBS.get(method, "")
        subresources = " ".join(subresources_of(path))
        raise Forbidden(
            f"Forbidden (user={user.name}, verb={verb}, resource=nodes, "
            f"subresource(s)=[{subresources}])\n"
        )


def subresources_of(path: str) -> tuple[str, ...]:
    """Return the subresources of ``nodes`` of which any one allows this path."""
    first = "/" + path.lstrip("/").split("/", 1)[0]
    return _SUBRESOURCES.get(first, ("proxy",))
