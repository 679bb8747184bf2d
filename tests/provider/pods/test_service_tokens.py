"""Tokens of pods: each want is answered once, with a token or with the reason for none."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from provider.pods.service_tokens import ANSWER_WITHIN_S, BURST, MAX_WANTS, PER_S, ServiceTokens
from tests.fakes.fake_api_server import FakeAPIServer, on_api_server
from tunnel.sync import TokenPut, TokenWant, token_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from provider.kube.client import KubeClient

Json = dict[str, Any]

pytestmark = pytest.mark.looptime


def make_pod(uid: str = "u", *, expiry_s: int = 3607) -> Json:
    """Return a pod as admission makes it."""
    token = {"serviceAccountToken": {"path": "token", "expirationSeconds": expiry_s}}
    volume = {"name": "kube-api-access-x", "projected": {"sources": [token]}}
    return {
        "metadata": {"namespace": "ns", "name": f"p-{uid}", "uid": uid},
        "spec": {"serviceAccountName": "sa", "volumes": [volume]},
    }


def make_want(uid: str = "u", *, service_account: str = "sa") -> TokenWant:
    """Return what an edge wants for such a pod."""
    return TokenWant(pod_uid=uid, service_account=service_account, audiences=[], expiry_s=3607)


class Giving:
    """Tokens on their way, and the answers."""

    def __init__(self, kube: KubeClient) -> None:
        self.sent: asyncio.Queue[TokenPut] = asyncio.Queue()
        self.tokens = ServiceTokens(kube.node_objects, send=self.sent.put_nowait)

    async def next_put(self) -> TokenPut:
        """Return the next answer."""
        async with asyncio.timeout(200):
            return await self.sent.get()


@contextlib.asynccontextmanager
async def giving(kube: KubeClient) -> AsyncIterator[Giving]:
    """Give tokens to one pod."""
    state = Giving(kube)
    state.tokens.pod_changed(make_pod())
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(state.tokens.run())
        yield state
        running.cancel()


@on_api_server
async def test_token_is_asked_for_as_the_node_and_bound_to_the_pod(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """And comes with the moments that say when it must be renewed."""
    async with giving(kube) as state:
        state.tokens.wanted(make_want())
        put = await state.next_put()
    assert put == TokenPut(
        key=token_key(make_want()),
        token="token-0.ns.sa",
        expiry="2026-01-01T01:00:07Z",
        issued_at="2026-01-01T00:00:00Z",
    )
    (request,) = server.seen("create")
    assert request.path == "/api/v1/namespaces/ns/serviceaccounts/sa/token"
    assert request.user == "system:node:site-a"
    assert request.body["spec"]["boundObjectRef"]["uid"] == "u"


@on_api_server
async def test_one_want_is_answered_once_and_again_when_it_comes_again(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """An edge that repeats itself asks the API server no more often."""
    async with giving(kube) as state:
        for _ in range(10):
            state.tokens.wanted(make_want())
        first = await state.next_put()
        state.tokens.wanted(make_want())
        second = await state.next_put()
        assert state.sent.empty()
    assert first.token != second.token
    assert len(server.tokens.issued) == 2


@on_api_server
async def test_what_the_pod_does_not_project_is_refused_unasked(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """The edge learns why, at once."""
    async with giving(kube) as state:
        began_at = asyncio.get_running_loop().time()
        state.tokens.wanted(make_want(service_account="admin"))
        put = await state.next_put()
        assert asyncio.get_running_loop().time() - began_at < 0.1
    assert (put.token, put.expiry) == ("", "")
    assert put.error == "the pod's service account is 'sa', no other"
    assert server.requests == []


@on_api_server
async def test_pod_of_which_nobody_has_told_yet_is_waited_for(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """The edge may know it from another provider; one that there is none is an error."""
    async with giving(kube) as state:
        state.tokens.wanted(make_want("later"))
        state.tokens.wanted(make_want("never"))
        await asyncio.sleep(1)
        assert state.sent.empty()
        state.tokens.pod_changed(make_pod("later"))
        assert (await state.next_put()).token
        assert (await state.next_put()).error == "the site has no such pod"
    assert len(server.tokens.issued) == 1


@on_api_server
@pytest.mark.parametrize("code", [403, 404, 500, None])
async def test_a_refusal_right_after_binding_is_asked_again(
    server: FakeAPIServer, kube: KubeClient, code: int | None
) -> None:
    """The authorizer and the admission of nodes learn of a pod a moment later."""
    server.fail("create", "token", code, times=3)
    async with giving(kube) as state:
        state.tokens.wanted(make_want())
        assert (await state.next_put()).token


@on_api_server
@pytest.mark.parametrize("code", [403, 404, 503])
async def test_a_refusal_that_lasts_is_told_in_the_servers_words(
    server: FakeAPIServer, kube: KubeClient, code: int
) -> None:
    """Before the pod gives up waiting; the next want is a new try."""
    server.fail("create", "token", code, times=1000)
    async with giving(kube) as state:
        began_at = asyncio.get_running_loop().time()
        state.tokens.wanted(make_want())
        put = await state.next_put()
        assert 1 < asyncio.get_running_loop().time() - began_at <= ANSWER_WITHIN_S
        assert (put.token, put.error) == ("", "the test says no")
        server.heal()
        state.tokens.wanted(make_want())
        assert (await state.next_put()).token


@on_api_server
@pytest.mark.parametrize("code", [400, 422])
async def test_a_request_that_cannot_be_is_not_repeated(
    server: FakeAPIServer, kube: KubeClient, code: int
) -> None:
    """Such as a life that the API server does not allow."""
    server.fail("create", "token", code, times=1000)
    async with giving(kube) as state:
        state.tokens.wanted(make_want())
        assert (await state.next_put()).error == "the test says no"
    assert len(server.seen("create")) == 1


@on_api_server
async def test_no_token_for_a_pod_that_is_gone(server: FakeAPIServer, kube: KubeClient) -> None:
    """Whatever the edge still runs."""
    async with giving(kube) as state:
        state.tokens.pod_deleted("u")
        state.tokens.wanted(make_want())
        assert (await state.next_put()).error == "the site has no such pod"
    assert server.requests == []


@on_api_server
async def test_an_edge_that_asks_without_end_is_bounded(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """In what waits, and in how fast the API server is asked."""
    async with giving(kube) as state:
        for index in range(2 * MAX_WANTS):
            state.tokens.pod_changed(make_pod(f"u{index}"))
            state.tokens.wanted(make_want(f"u{index}"))
        state.tokens.wanted(make_want("x" * 100_000))
        began_at = asyncio.get_running_loop().time()
        for _ in range(BURST + 10):
            assert (await state.next_put()).token
        assert asyncio.get_running_loop().time() - began_at >= 9 / PER_S
        for _ in range(MAX_WANTS - BURST - 10):
            assert (await state.next_put()).token
        await asyncio.sleep(100)
        assert state.sent.empty()
    assert len(server.tokens.issued) == MAX_WANTS


@on_api_server
async def test_no_token_is_logged(
    server: FakeAPIServer, kube: KubeClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Not when it is given, nor when its answer makes no sense."""
    caplog.set_level("DEBUG")
    server.tokens.time_format = "soon"
    async with giving(kube) as state:
        state.tokens.wanted(make_want())
        put = await state.next_put()
    assert put.error.startswith("the API server's answer is no token")
    assert "token-0" not in caplog.text + put.error


@on_api_server
async def test_what_an_edge_makes_up_neither_floods_the_log_nor_speaks_to_terminals(
    server: FakeAPIServer, kube: KubeClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Refusals, too, follow each other at a measured pace."""
    async with giving(kube) as state:
        for index in range(BURST + 10):
            state.tokens.pod_changed(make_pod(f"\x1b[2J\n{index}"))
            state.tokens.wanted(make_want(f"\x1b[2J\n{index}", service_account="admin"))
        began_at = asyncio.get_running_loop().time()
        for _ in range(BURST + 10):
            assert (await state.next_put()).error
        assert asyncio.get_running_loop().time() - began_at >= 9 / PER_S
    assert "\x1b" not in caplog.text
    assert server.requests == []
