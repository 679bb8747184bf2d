"""One review: tried as a kubelet tries, bounded, and never a guess."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from provider.kubelet_api.review import MAX_UNDER_WAY, MAX_WAITING, ReviewFailed, Reviews
from provider.kubelet_api.token_review import TOKEN_REVIEWS_PATH
from tests.fakes.fake_api_server import FakeAPIServer, on_api_server

if TYPE_CHECKING:
    from provider.kube.client import KubeClient

pytestmark = pytest.mark.looptime


def reviews(kube: KubeClient) -> Reviews:
    """Return token reviews as the node."""
    return Reviews(kube.as_node, path=TOKEN_REVIEWS_PATH)


def question(token: str) -> dict[str, object]:
    """Return a review."""
    return {"kind": "TokenReview", "spec": {"token": token}}


@on_api_server
async def test_it_is_asked_as_the_node(server: FakeAPIServer, kube: KubeClient) -> None:
    """A node may create reviews; the provider's own account may not."""
    server.reviews.tokens["t"] = {"username": "jane"}
    status = await reviews(kube).ask(question("t"))
    assert status["authenticated"] is True
    assert [one.user for one in server.seen("create")] == ["system:node:site-a"]


@on_api_server
@pytest.mark.parametrize("code", [500, 503, 429, None])
async def test_what_may_pass_is_tried_again(
    server: FakeAPIServer, kube: KubeClient, code: int | None
) -> None:
    """Four times more, half a second apart and more."""
    server.reviews.tokens["t"] = {"username": "jane"}
    server.fail("create", TOKEN_REVIEWS_PATH, code, times=4)
    started = asyncio.get_running_loop().time()
    assert (await reviews(kube).ask(question("t")))["authenticated"] is True
    assert 4.0 <= asyncio.get_running_loop().time() - started <= 5.0


@on_api_server
async def test_what_goes_on_failing_is_no_answer(server: FakeAPIServer, kube: KubeClient) -> None:
    """Five tries in all."""
    server.fail("create", TOKEN_REVIEWS_PATH, 500, times=9)
    with pytest.raises(ReviewFailed):
        await reviews(kube).ask(question("t"))
    assert len(server.requests) == 5


@on_api_server
@pytest.mark.parametrize("code", [403, 401, 404])
async def test_a_refusal_is_final(server: FakeAPIServer, kube: KubeClient, code: int) -> None:
    """It is not tried again."""
    server.fail("create", TOKEN_REVIEWS_PATH, code)
    with pytest.raises(ReviewFailed):
        await reviews(kube).ask(question("t"))
    assert len(server.requests) == 1


@on_api_server
async def test_a_silent_server_is_no_answer(server: FakeAPIServer, kube: KubeClient) -> None:
    """15 s in all."""
    server.hold(TOKEN_REVIEWS_PATH)
    started = asyncio.get_running_loop().time()
    with pytest.raises(ReviewFailed, match="in time"):
        await reviews(kube).ask(question("t"))
    assert asyncio.get_running_loop().time() - started == pytest.approx(15, abs=0.1)


@on_api_server
async def test_questions_do_not_crowd_out_other_calls(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """A few at a time; a flood of them is turned away, not queued without end."""
    released = server.hold(TOKEN_REVIEWS_PATH)
    asking = reviews(kube)
    flood = MAX_UNDER_WAY + MAX_WAITING + 10
    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(outcome(asking, f"t{n}")) for n in range(flood)]
        await asyncio.sleep(1)
        assert sum(one.done() and one.result() == "failed" for one in asked) == 10
        server.put("/api/v1/nodes", {"metadata": {"name": "site-a"}})
        await kube.as_node.get("/api/v1/nodes/site-a")
        released.set()
    assert server.max_concurrent <= MAX_UNDER_WAY + 1


async def outcome(asking: Reviews, token: str) -> str:
    """Ask, and say how it went."""
    try:
        await asking.ask(question(token))
    except ReviewFailed:
        return "failed"
    return "answered"
