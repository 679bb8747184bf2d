"""Must show 2: whoever the cluster does not know, or does not allow, gets nothing through the port.

Everything is real but the edge and the API server's answers: TLS, HTTP, reviews over HTTP, the
tunnel. What the API server really answers is in tests/e2e and test_node_identity. The edge notes
every call that reaches it: nothing may, unless it was allowed.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import TYPE_CHECKING

import pytest

from provider.kubelet_api.authorization import ACCESS_REVIEWS_PATH
from provider.kubelet_api.server import ROUTES
from provider.kubelet_api.token_review import TOKEN_REVIEWS_PATH
from tests.fakes.edge import connected_edge
from tests.fakes.kubelet_port import (
    API_SERVER,
    SUBRESOURCES,
    VERBS,
    ClusterPki,
    KubeletPort,
    kubelet_port,
)
from tunnel.protocol import ResponseHead

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tunnel.protocol import RequestHead
    from tunnel.stream import Stream

UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Protocol: v4.channel.k8s.io",
)
INTO_CONTAINERS = (
    "/exec/ns/pod/c?command=sh&input=1&output=1",
    "/exec/ns/pod/uid/c?command=sh&output=1",
    "/attach/ns/pod/c?output=1",
    "/attach/ns/pod/uid/c?output=1",
    "/portForward/ns/pod?port=80",
    "/portForward/ns/pod/uid?port=80",
    "/run/ns/pod/c?cmd=id",
    "/run/ns/pod/uid/c?cmd=id",
)
# By path: what a kubelet takes to read it (KUBELET.md §2).
TAKES = {
    "/pods": ("pods", "proxy"),
    "/pods/": ("pods", "proxy"),
    "/runningpods": ("pods", "proxy"),
    "/runningpods/": ("pods", "proxy"),
    "/healthz": ("healthz", "proxy"),
    "/healthz/syncloop": ("healthz", "proxy"),
    "/configz": ("configz", "proxy"),
    "/flagz": ("configz",),
    "/statusz": ("statusz",),
    "/stats/summary": ("stats",),
    "/metrics": ("metrics",),
    "/metrics/cadvisor": ("metrics",),
    "/metrics/resource": ("metrics",),
    "/logs/": ("log",),
    "/checkpoint/ns/pod/c": ("checkpoint",),
    "/containerLogs/ns/pod/c": ("proxy",),
    "/debug/pprof/heap": ("proxy",),
    "/no/such/path": ("proxy",),
}
ODD_SPELLINGS = (
    "//exec/ns/pod/c",
    "/./exec/ns/pod/c",
    "/metrics/../exec/ns/pod/c",
    "/metrics/%2e%2e/exec/ns/pod/c",
    "/metrics/%2E%2E%2Fexec/ns/pod/c",
    "/metrics/%252e%252e/exec/ns/pod/c",
    "/%65xec/ns/pod/c",
    "/exec%00/ns/pod/c",
    "/metrics%00/../exec/ns/pod/c",
    "/metrics;/exec/ns/pod/c",
    "/metrics\\..\\exec/ns/pod/c",
    "/EXEC/ns/pod/c",
    "/Exec/ns/pod/c",
    "/exec/ns/pod/c/",
    "/exec/",
    "/exec",
    "/exec/ns//c",
    "/exec/ns/../c",
    "/portforward/ns/pod",
    "/PORTFORWARD/ns/pod",
    "http://node/exec/ns/pod/c",
    "//node/exec/ns/pod/c",
)


class WatchedPort:
    """A port in front of an edge that notes what reaches it."""

    def __init__(self, port: KubeletPort, reached: list[RequestHead]) -> None:
        self.port = port
        self.reached = reached
        self.reviews = port.api.reviews

    def allow(self, *rights: tuple[str, str]) -> str:
        """Give a token's user exactly these rights, as (verb, subresource); return the token."""
        user = "system:serviceaccount:monitoring:agent"
        self.reviews.tokens["token"] = {"username": user, "groups": ["system:serviceaccounts"]}
        self.reviews.allowed |= {(user, verb, subresource) for verb, subresource in rights}
        return "token"


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> ClusterPki:
    """Make the cluster's certificates once."""
    folder: Path = tmp_path_factory.mktemp("cluster")
    return ClusterPki(folder)


@contextlib.asynccontextmanager
async def watched_port(pki: ClusterPki) -> AsyncIterator[WatchedPort]:
    """Serve the port of a connected site until the block is left."""
    reached: list[RequestHead] = []

    async def note(stream: Stream) -> None:
        reached.append(stream.request)
        await stream.respond(ResponseHead(status=404, headers=()), end=True)

    async with connected_edge(note) as edge, kubelet_port(edge.client, pki) as port:
        yield WatchedPort(port, reached)


async def test_nobody_without_a_credential_gets_anything(pki: ClusterPki) -> None:
    """Not even /healthz or what does not exist; nobody is asked, and headers make no difference."""
    forged = (
        "Impersonate-User: system:admin",
        "X-Remote-User: system:admin",
        "X-Remote-Group: system:masters",
        "Edgelet-Caller: system:admin",
        "X-Forwarded-Client-Cert: Subject=CN=kube-apiserver-kubelet-client",
        "Authorization: Basic c3lzdGVtOmFkbWlu",
    )
    async with watched_port(pki) as watched:
        for path in (*TAKES, *INTO_CONTAINERS, *ODD_SPELLINGS):
            for method, lines in (("GET", ()), ("POST", forged), ("GET", UPGRADE)):
                assert await watched.port.ask(method, path, *lines) == (401, "Unauthorized"), path
        assert not watched.reached
        assert not watched.port.api.requests


async def test_a_bad_token_is_nobody_even_beside_good_headers(pki: ClusterPki) -> None:
    """Expired, of another cluster, for another audience: the API server's word counts."""
    async with watched_port(pki) as watched:
        watched.reviews.tokens["for-vault"] = {"username": API_SERVER}
        watched.reviews.audiences["for-vault"] = []
        for token in ("expired", "for-vault", "eyJhbGciOiJub25lIn0.e30."):
            assert await watched.port.ask("GET", "/pods", token=token) == (401, "Unauthorized")
        assert not watched.reached


async def test_a_valid_token_without_rights_gets_nothing(pki: ClusterPki) -> None:
    """403 in a kubelet's words, on every path and with every method."""
    async with watched_port(pki) as watched:
        token = watched.allow()
        for path, method in itertools.product(
            (*TAKES, *INTO_CONTAINERS), ("GET", "POST", "DELETE")
        ):
            status, text = await watched.port.ask(method, path, token=token)
            assert status == 403, path
            assert text.startswith("Forbidden (user=system:serviceaccount:monitoring:agent, verb=")
        assert not watched.reached


async def test_who_may_get_nodes_proxy_gets_no_shell(pki: ClusterPki) -> None:
    """A WebSocket is a GET: with a kubelet this is a way into every pod of the node."""
    async with watched_port(pki) as watched:
        token = watched.allow(*(("get", subresource) for subresource in SUBRESOURCES))
        for path in INTO_CONTAINERS:
            for method, lines in (("GET", UPGRADE), ("GET", ()), ("HEAD", ()), ("POST", UPGRADE)):
                status, text = await watched.port.ask(method, path, *lines, token=token)
                assert status == 403, (method, path)
                wanted = "verb=create, resource=nodes, subresource(s)=[proxy])\n"
                assert method == "HEAD" or text.endswith(wanted)
        assert not watched.reached
        assert (await watched.port.ask("GET", "/containerLogs/ns/pod/c", token=token))[0] == 404
        assert [head.path for head in watched.reached] == ["/containerLogs/ns/pod/c"]


async def test_whatever_is_short_of_create_nodes_proxy_gets_no_shell(pki: ClusterPki) -> None:
    """All other rights on the node together are not enough."""
    everything = set(itertools.product(VERBS, SUBRESOURCES)) - {("create", "proxy")}
    async with watched_port(pki) as watched:
        token = watched.allow(*everything)
        for path, method in itertools.product(INTO_CONTAINERS, ("GET", "POST", "PUT", "DELETE")):
            assert (await watched.port.ask(method, path, *UPGRADE, token=token))[0] == 403
        assert not watched.reached


async def test_who_may_create_nodes_proxy_gets_through(pki: ClusterPki) -> None:
    """So that the refusals above mean something; with the caller's name, and no other's."""
    async with watched_port(pki) as watched:
        token = watched.allow(("create", "proxy"))
        lines = (*UPGRADE, "Edgelet-Caller: root", "Impersonate-User: root", "Audit-ID: 1-2-3")
        for path in INTO_CONTAINERS[:6]:
            assert (await watched.port.ask("GET", path, *lines, token=token))[0] == 404
        assert len(watched.reached) == 6
        for head in watched.reached:
            headers = dict(head.headers)
            assert headers["edgelet-caller"] == "system:serviceaccount:monitoring:agent"
            assert headers["audit-id"] == "1-2-3"
            assert not {"impersonate-user", "authorization"} & set(headers)
            assert [name for name, _ in head.headers].count("edgelet-caller") == 1


@pytest.mark.parametrize("path", list(TAKES))
async def test_each_path_takes_its_own_subresource(pki: ClusterPki, path: str) -> None:
    """Any one of a kubelet's opens it, and none of the others does."""
    async with watched_port(pki) as watched:
        for subresource in SUBRESOURCES:
            user = f"user-of-{subresource}"
            watched.reviews.tokens[user] = {"username": user}
            watched.reviews.allowed.add((user, "get", subresource))
            status, text = await watched.port.ask("GET", path, token=user)
            if subresource in TAKES[path]:
                assert status == 404
            else:
                assert (status, text) == (
                    403,
                    f"Forbidden (user={user}, verb=get, resource=nodes, "
                    f"subresource(s)=[{' '.join(TAKES[path])}])\n",
                )


async def test_every_route_is_looked_at_here() -> None:
    """A new row of the table needs a row in these tests."""
    known = {path.partition("?")[0].split("/")[1] for path in (*TAKES, *INTO_CONTAINERS)}
    assert {route.path.split("/")[1] for route in ROUTES} <= known


@pytest.mark.parametrize("path", ODD_SPELLINGS)
async def test_no_spelling_of_a_path_slips_past(pki: ClusterPki, path: str) -> None:
    """Neither the authorizer nor the routes take it for something smaller."""
    async with watched_port(pki) as watched:
        token = watched.allow(*(("get", subresource) for subresource in SUBRESOURCES))
        status, text = await watched.port.ask("GET", path, *UPGRADE, token=token)
        assert status == 403
        assert text.endswith("verb=create, resource=nodes, subresource(s)=[proxy])\n")
        # Not even who may everything gets further than this port with it.
        async with watched.port.connect() as client:
            await client.request("GET", path, *UPGRADE)
            assert (await client.head())[0] in {400, 404}
        assert not watched.reached


@pytest.mark.parametrize(
    "target", ["/metrics\x00/exec", "/exec/ns/pod\x00/c", "/pods HTTP/1.1 more", "/p\x7fods"]
)
async def test_control_characters_end_in_the_parser_or_here(pki: ClusterPki, target: str) -> None:
    """Neither NUL nor a fourth word in a request line."""
    async with watched_port(pki) as watched, watched.port.connect() as client:
        await client.request("GET", target, "Connection: close")
        assert (await client.head())[0] in {400, 403, 404}
        assert not watched.reached


@pytest.mark.looptime
@pytest.mark.parametrize("code", [500, 403, None])
async def test_closed_while_the_authorizer_is_away(pki: ClusterPki, code: int | None) -> None:
    """The API server itself gets no further than anybody."""
    async with watched_port(pki) as watched:
        watched.port.api.fail("create", ACCESS_REVIEWS_PATH, code, times=5 if code != 403 else 1)
        status, text = await watched.port.ask(
            "POST", "/exec/ns/pod/c?command=sh", *UPGRADE, common_name=API_SERVER
        )
        assert (status, text) == (
            500,
            f"Authorization error (user={API_SERVER}, verb=create, resource=nodes, "
            "subresource=proxy)",
        )
        assert not watched.reached


@pytest.mark.looptime
async def test_closed_while_tokens_cannot_be_reviewed(pki: ClusterPki) -> None:
    """401, as with a kubelet: a token that nobody vouches for is none."""
    async with watched_port(pki) as watched:
        token = watched.allow(("get", "pods"))
        watched.port.api.fail("create", TOKEN_REVIEWS_PATH, 500, times=5)
        assert await watched.port.ask("GET", "/pods", token=token) == (401, "Unauthorized")
        assert not watched.reached
        assert (await watched.port.ask("GET", "/pods", token=token))[0] == 404


@pytest.mark.looptime
async def test_what_is_taken_away_works_no_longer_than_with_a_kubelet(pki: ClusterPki) -> None:
    """A right 5 min, a token 2 min; and what is given after a refusal works after 30 s."""
    async with watched_port(pki) as watched:
        token = watched.allow(("get", "pods"))

        async def status() -> int:
            return (await watched.port.ask("GET", "/pods", token=token))[0]

        assert await status() == 404
        rights, watched.reviews.allowed = watched.reviews.allowed, set()
        await asyncio.sleep(290)
        assert await status() == 404
        await asyncio.sleep(11)
        assert await status() == 403
        watched.reviews.allowed = rights
        await asyncio.sleep(20)
        assert await status() == 403
        await asyncio.sleep(11)
        assert await status() == 404
        await asyncio.sleep(121)
        assert await status() == 404
        del watched.reviews.tokens[token]
        await asyncio.sleep(110)
        assert await status() == 404
        await asyncio.sleep(11)
        assert await status() == 401


async def test_a_flood_of_bad_tokens_leaves_the_api_server_alone_for_others(
    pki: ClusterPki,
) -> None:
    """They are reviewed a few at a time, and who has a certificate does not wait for them."""
    async with watched_port(pki) as watched:
        released = watched.port.api.hold(TOKEN_REVIEWS_PATH)
        async with contextlib.AsyncExitStack() as stack:
            for number in range(20):
                client = await stack.enter_async_context(watched.port.connect(None))
                await client.request("GET", "/pods", f"Authorization: Bearer bad-{number}")
            for path in INTO_CONTAINERS[:6]:
                status, _ = await watched.port.ask("GET", path, *UPGRADE, common_name=API_SERVER)
                assert status == 404
            assert watched.port.api.max_concurrent <= 6
            released.set()
