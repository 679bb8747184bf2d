"""Whether a caller may: asked as a kubelet asks, kept as long, closed without an answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from provider.kubelet_api.authorization import (
    ACCESS_REVIEWS_PATH,
    ALLOWED_LIFETIME_S,
    DENIED_LIFETIME_S,
    AuthorizationFailed,
    Authorizer,
    Forbidden,
)
from provider.kubelet_api.user import User
from tests.fakes.fake_api_server import FakeAPIServer, on_api_server
from tunnel.identity import parse_site_name

if TYPE_CHECKING:
    from provider.kube.client import KubeClient

pytestmark = pytest.mark.looptime

JANE = User(
    name="jane", groups=("dev", "system:authenticated"), uid="7", extra=(("scope", ("a", "b")),)
)


def authorizer(kube: KubeClient) -> Authorizer:
    """Return the authorizer of a site."""
    return Authorizer(kube.as_node, node_name=parse_site_name("site-a"))


def asked(server: FakeAPIServer) -> list[str]:
    """Return the subresources that were asked for, in order."""
    return [spec["resourceAttributes"]["subresource"] for spec in specs(server)]


def specs(server: FakeAPIServer) -> list[dict[str, Any]]:
    """Return the reviews that were asked for."""
    return [request.body["spec"] for request in server.seen("create", ACCESS_REVIEWS_PATH)]


async def may(decides: Authorizer, method: str, path: str, user: User = JANE) -> bool:
    """Whether a caller may."""
    try:
        await decides.authorize(user, method=method, path=path)
    except Forbidden:
        return False
    return True


@on_api_server
async def test_the_question_is_a_kubelets(server: FakeAPIServer, kube: KubeClient) -> None:
    """User, verb and Node, and nothing left out that a webhook might look at."""
    server.reviews.allowed = {("jane", "get", "proxy")}
    assert await may(authorizer(kube), "GET", "/containerLogs/ns/pod/c")
    assert specs(server) == [
        {
            "user": "jane",
            "groups": ["dev", "system:authenticated"],
            "uid": "7",
            "extra": {"scope": ["a", "b"]},
            "resourceAttributes": {
                "verb": "get",
                "version": "v1",
                "resource": "nodes",
                "subresource": "proxy",
                "name": "site-a",
            },
        }
    ]


@on_api_server
async def test_one_subresource_after_the_other(server: FakeAPIServer, kube: KubeClient) -> None:
    """The finer one first; the second is only asked for when that is not enough."""
    server.reviews.allowed = {("jane", "get", "healthz"), ("jane", "get", "proxy")}
    decides = authorizer(kube)
    assert await may(decides, "GET", "/healthz")
    assert asked(server) == ["healthz"]
    assert await may(decides, "GET", "/pods")
    assert asked(server) == ["healthz", "pods", "proxy"]


@on_api_server
async def test_a_no_is_said_as_a_kubelet_says_it(server: FakeAPIServer, kube: KubeClient) -> None:
    """With all subresources that would have done."""
    with pytest.raises(Forbidden) as caught:
        await authorizer(kube).authorize(JANE, method="HEAD", path="/pods")
    assert str(caught.value) == (
        "Forbidden (user=jane, verb=, resource=nodes, subresource(s)=[pods proxy])\n"
    )
    assert len(server.requests) == 2


@on_api_server
async def test_a_yes_is_kept_for_five_minutes(server: FakeAPIServer, kube: KubeClient) -> None:
    """A right that is taken away lasts that long, as with a kubelet."""
    decides = authorizer(kube)
    server.reviews.allowed = {("jane", "get", "metrics")}
    assert await may(decides, "GET", "/metrics")
    server.reviews.allowed = set()
    await asyncio.sleep(ALLOWED_LIFETIME_S - 1)
    assert await may(decides, "GET", "/metrics")
    assert len(server.requests) == 1
    await asyncio.sleep(2)
    assert not await may(decides, "GET", "/metrics")


@on_api_server
async def test_a_no_is_kept_for_half_a_minute(server: FakeAPIServer, kube: KubeClient) -> None:
    """A right that is given works after that."""
    decides = authorizer(kube)
    assert not await may(decides, "GET", "/metrics")
    server.reviews.allowed = {("jane", "get", "metrics")}
    await asyncio.sleep(DENIED_LIFETIME_S - 1)
    assert not await may(decides, "GET", "/metrics")
    assert len(server.requests) == 1
    await asyncio.sleep(2)
    assert await may(decides, "GET", "/metrics")


@on_api_server
async def test_what_is_kept_is_for_one_user_verb_and_subresource(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Nobody has the right of a namesake in other groups, or of another verb."""
    server.reviews.allowed = {("jane", "get", "proxy")}
    decides = authorizer(kube)
    assert await may(decides, "GET", "/containerLogs/a/b/c")
    assert not await may(decides, "POST", "/containerLogs/a/b/c")
    assert not await may(decides, "GET", "/metrics")
    assert not await may(decides, "GET", "/exec/a/b/c")
    await may(decides, "GET", "/containerLogs/a/b/c", User(name="jane", groups=("other",)))
    # POST of a log and GET of an exec are one question: create nodes/proxy.
    assert len(server.requests) == 4


@on_api_server
async def test_equal_questions_at_a_time_are_asked_once(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """The API server's burst costs it one review."""
    server.reviews.allowed = {("jane", "get", "proxy")}
    decides = authorizer(kube)
    may_all = await asyncio.gather(
        *(may(decides, "GET", "/containerLogs/a/b/c") for _ in range(40))
    )
    assert all(may_all)
    assert len(server.requests) == 1


@on_api_server
@pytest.mark.parametrize("code", [500, 403, None])
async def test_without_an_answer_nobody_may(
    server: FakeAPIServer, kube: KubeClient, code: int | None
) -> None:
    """Said as a kubelet says it, and not kept."""
    server.reviews.allowed = {("jane", "get", "pods")}
    server.fail("create", ACCESS_REVIEWS_PATH, code, times=5 if code != 403 else 1)
    decides = authorizer(kube)
    with pytest.raises(AuthorizationFailed) as caught:
        await decides.authorize(JANE, method="GET", path="/pods")
    assert str(caught.value) == (
        "Authorization error (user=jane, verb=get, resource=nodes, subresource=pods)"
    )
    assert await may(decides, "GET", "/pods")


@on_api_server
async def test_what_was_kept_counts_while_the_api_server_is_away(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """And no longer than it would have otherwise."""
    server.reviews.allowed = {("jane", "get", "metrics")}
    decides = authorizer(kube)
    assert await may(decides, "GET", "/metrics")
    server.fail("create", ACCESS_REVIEWS_PATH, 503, times=100)
    await asyncio.sleep(ALLOWED_LIFETIME_S - 1)
    assert await may(decides, "GET", "/metrics")
    await asyncio.sleep(2)
    with pytest.raises(AuthorizationFailed):
        await may(decides, "GET", "/metrics")


@on_api_server
async def test_an_answer_that_says_both_is_none(server: FakeAPIServer, kube: KubeClient) -> None:
    """As a kubelet takes it."""
    server.reviews.allowed = {("jane", "get", "metrics")}
    server.reviews.denied = {"jane"}
    with pytest.raises(AuthorizationFailed):
        await may(authorizer(kube), "GET", "/metrics")
