"""Whose token it is: asked once, kept for two minutes, and nobody's where nobody can say."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from provider.kubelet_api.token_review import (
    CACHE_LIFETIME_S,
    MAX_CACHED,
    TOKEN_REVIEWS_PATH,
    TokenReviewer,
)
from provider.kubelet_api.user import User
from tests.fakes.fake_api_server import FakeAPIServer, on_api_server

if TYPE_CHECKING:
    from provider.kube.client import KubeClient

pytestmark = pytest.mark.looptime

ACCOUNT = {
    "username": "system:serviceaccount:ns:metrics",
    "uid": "1-2",
    "groups": ["system:serviceaccounts", "system:authenticated"],
    "extra": {"authentication.kubernetes.io/pod-name": ["metrics-0"]},
}


def asked(server: FakeAPIServer) -> int:
    """Return how many reviews were made."""
    return len(server.seen("create", TOKEN_REVIEWS_PATH))


@on_api_server
async def test_a_user_is_what_the_api_server_says(server: FakeAPIServer, kube: KubeClient) -> None:
    """With everything that an authorizer may look at."""
    server.reviews.tokens["t"] = ACCOUNT
    assert await TokenReviewer(kube.as_node).user_of("t") == User(
        name="system:serviceaccount:ns:metrics",
        uid="1-2",
        groups=("system:serviceaccounts", "system:authenticated"),
        extra=(("authentication.kubernetes.io/pod-name", ("metrics-0",)),),
    )


@on_api_server
async def test_a_user_is_kept_for_two_minutes(server: FakeAPIServer, kube: KubeClient) -> None:
    """A token that is revoked meanwhile works that long, as with a kubelet."""
    reviewer = TokenReviewer(kube.as_node)
    server.reviews.tokens["t"] = {"username": "jane"}
    user = await reviewer.user_of("t")
    assert user == User(name="jane", groups=("system:authenticated",))
    del server.reviews.tokens["t"]
    await asyncio.sleep(CACHE_LIFETIME_S - 0.5)
    assert await reviewer.user_of("t") == user
    assert asked(server) == 1
    await asyncio.sleep(1)
    assert await reviewer.user_of("t") is None


@on_api_server
async def test_a_bad_token_is_asked_for_each_time(server: FakeAPIServer, kube: KubeClient) -> None:
    """An answer with an error is not kept: the token may be good in a moment."""
    reviewer = TokenReviewer(kube.as_node)
    assert await reviewer.user_of("t") is None
    server.reviews.tokens["t"] = {"username": "jane"}
    assert await reviewer.user_of("t") is not None


@on_api_server
async def test_a_plain_no_is_kept(server: FakeAPIServer, kube: KubeClient) -> None:
    """Without an error the token was looked at and is nobody's."""
    reviewer = TokenReviewer(kube.as_node)
    server.reviews.errors["t"] = ""
    for _ in range(2):
        assert await reviewer.user_of("t") is None
    assert asked(server) == 1


@on_api_server
async def test_nobody_is_known_while_the_api_server_is_away(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """And that is not kept."""
    reviewer = TokenReviewer(kube.as_node)
    server.reviews.tokens["t"] = {"username": "jane"}
    server.fail("create", TOKEN_REVIEWS_PATH, 500, times=5)
    assert await reviewer.user_of("t") is None
    assert await reviewer.user_of("t") is not None


@on_api_server
@pytest.mark.parametrize(
    "info", [{"username": ""}, {"username": 7}, {}, {"username": "jane", "groups": "admins"}]
)
async def test_an_answer_that_makes_no_sense_is_nobody(
    server: FakeAPIServer, kube: KubeClient, info: dict[str, object]
) -> None:
    """No name, no user."""
    server.reviews.tokens["t"] = info
    assert await TokenReviewer(kube.as_node).user_of("t") is None


@on_api_server
async def test_one_token_at_many_calls_is_one_review(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """A monitoring system that comes with 50 requests at once costs the API server one."""
    server.reviews.tokens["t"] = {"username": "jane"}
    reviewer = TokenReviewer(kube.as_node)
    users = await asyncio.gather(*(reviewer.user_of("t") for _ in range(50)))
    assert {user.name for user in users if user} == {"jane"}
    assert asked(server) == 1


@on_api_server
async def test_tokens_are_not_kept_and_their_number_is_bounded(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Only hashes are, and no more than MAX_CACHED."""
    reviewer = TokenReviewer(kube.as_node)
    for number in range(MAX_CACHED + 5):
        server.reviews.tokens[f"secret-{number}"] = {"username": "jane"}
        await reviewer.user_of(f"secret-{number}")
    kept = reviewer._known._kept
    assert len(kept) == MAX_CACHED
    assert not any(b"secret" in key for key in kept if isinstance(key, bytes))
