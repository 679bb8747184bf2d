"""Verbs, subresources and words of a kubelet."""

from __future__ import annotations

import pytest

from provider.kubelet_api.authentication import User
from provider.kubelet_api.authorization import Authorizer, Forbidden, subresources_of

API_SERVER = "kube-apiserver-kubelet-client"


@pytest.mark.parametrize(
    ("path", "subresources"),
    [
        ("/pods", ("pods", "proxy")),
        ("/runningpods/", ("pods", "proxy")),
        ("/healthz", ("healthz", "proxy")),
        ("/stats/summary", ("stats",)),
        ("/metrics/resource", ("metrics",)),
        ("/exec/ns/pod/c", ("proxy",)),
        ("/podsx", ("proxy",)),
        ("/", ("proxy",)),
        ("//pods", ("pods", "proxy")),
    ],
)
def test_subresources(path: str, subresources: tuple[str, ...]) -> None:
    """Each path belongs to the subresources that a kubelet gives it."""
    assert subresources_of(path) == subresources


async def test_the_api_server_may() -> None:
    """Its name alone decides for now."""
    user = User(name=API_SERVER, groups=())
    await Authorizer(api_server_name=API_SERVER).authorize(user, method="POST", path="/exec/a/b/c")


@pytest.mark.parametrize(
    ("method", "verb"), [("GET", "get"), ("POST", "create"), ("HEAD", ""), ("DELETE", "delete")]
)
async def test_everyone_else_may_not(method: str, verb: str) -> None:
    """Also somebody in the group of masters."""
    user = User(name="admin", groups=("system:masters",))
    with pytest.raises(Forbidden) as caught:
        await Authorizer(api_server_name=API_SERVER).authorize(user, method=method, path="/pods")
    assert str(caught.value) == (
        f"Forbidden (user=admin, verb={verb}, resource=nodes, subresource(s)=[pods proxy])\n"
    )
