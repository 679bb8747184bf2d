"""Calls, identities, time-outs and bounds of the client."""

from __future__ import annotations

import asyncio

import pytest

from provider.kube.client import KubeClient, PatchType, resource_path
from provider.kube.credentials import ClusterAccess, StaticToken
from provider.kube.errors import Forbidden, NotFound, TooManyRequests, Unavailable
from tests.fakes.fake_api_server import FakeAPIServer, on_api_server
from tunnel.identity import SiteName

NODES = "/api/v1/nodes"


def test_paths() -> None:
    """Core and named groups, with and without a namespace."""
    assert resource_path("nodes", name="a", subresource="status") == "/api/v1/nodes/a/status"
    leases = resource_path("leases", namespace="kube-node-lease", group="coordination.k8s.io")
    assert leases == "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


@pytest.mark.parametrize("name", ["..", "."])
def test_a_name_never_climbs_out_of_its_path(name: str) -> None:
    """Names come from the edge too, in events."""
    with pytest.raises(ValueError, match="path"):
        resource_path("events", namespace=name)
    assert resource_path("pods", name="a/../b") == "/api/v1/pods/a%2F..%2Fb"


@on_api_server
async def test_each_identity_says_who_it_is(server: FakeAPIServer, kube: KubeClient) -> None:
    """The node by impersonation, the provider without."""
    server.put(NODES, {"metadata": {"name": "site-a"}})
    await kube.as_self.get(f"{NODES}/site-a")
    await kube.as_node.get(f"{NODES}/site-a")
    assert [request.user for request in server.requests] == ["", "system:node:site-a"]


@on_api_server
async def test_create_patch_update_delete(server: FakeAPIServer, kube: KubeClient) -> None:
    """Every verb, once."""
    api = kube.as_node
    node = await api.create(NODES, {"metadata": {"name": "n"}})
    node = await api.patch(f"{NODES}/n", {"metadata": {"labels": {"a": "b"}}})
    node = await api.patch(f"{NODES}/n", {"spec": {"x": 1}}, patch_type=PatchType.MERGE)
    assert node["metadata"]["labels"] == {"a": "b"}
    node["spec"] = {"x": 2}
    assert (await api.update(f"{NODES}/n", node))["spec"] == {"x": 2}
    assert [item["spec"] for item in (await api.list(NODES, query={}))["items"]] == [{"x": 2}]
    await api.delete(f"{NODES}/n", {"preconditions": {"uid": node["metadata"]["uid"]}})
    with pytest.raises(NotFound) as caught:
        await api.get(f"{NODES}/n")
    assert (caught.value.status, caught.value.reason) == (404, "NotFound")
    assert [request.verb for request in server.requests] == [
        *("create", "patch", "patch", "update", "list", "delete", "get")
    ]


@on_api_server
async def test_refusals_keep_status_and_message(server: FakeAPIServer, kube: KubeClient) -> None:
    """The Status object's words reach the error."""
    server.fail("get", NODES, 403)
    server.fail("get", NODES, 429)
    with pytest.raises(Forbidden, match="the test says no"):
        await kube.as_node.get(f"{NODES}/n")
    with pytest.raises(TooManyRequests):
        await kube.as_node.get(f"{NODES}/n")


@on_api_server
async def test_a_broken_connection_is_unavailable(server: FakeAPIServer, kube: KubeClient) -> None:
    """Transport errors do not leave the package."""
    server.fail("patch", NODES, None)
    with pytest.raises(Unavailable) as caught:
        await kube.as_node.patch(f"{NODES}/n", {})
    assert caught.value.status == 0
    await server.close()
    with pytest.raises(Unavailable):
        await kube.as_node.get(f"{NODES}/n")


@pytest.mark.looptime
@on_api_server
async def test_no_answer_in_time_is_unavailable(server: FakeAPIServer, kube: KubeClient) -> None:
    """No call waits for ever; a caller's own time-out stays the caller's."""
    server.hold(NODES)
    loop = asyncio.get_running_loop()
    start = loop.time()
    with pytest.raises(Unavailable, match="in time"):
        await kube.as_node.get(f"{NODES}/n", timeout_s=3)
    assert loop.time() - start == pytest.approx(3, abs=0.1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await kube.as_node.get(f"{NODES}/n")
    server.hold(NODES).set()


@on_api_server
async def test_watches_do_not_take_the_calls_connections(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """More watches than the calls' pool has connections, and a call still passes."""
    server.put(NODES, {"metadata": {"name": "n"}})
    query = {"watch": "true", "resourceVersion": "0"}

    async def watch(opened: asyncio.Queue[bytes]) -> None:
        async with kube.as_node.watch_lines(NODES, query=query, timeout_s=60) as lines:
            async for line in lines:
                opened.put_nowait(line)

    opened: asyncio.Queue[bytes] = asyncio.Queue()
    async with asyncio.TaskGroup() as tasks:
        watches = [tasks.create_task(watch(opened)) for _ in range(16)]
        for _ in watches:
            assert b"ADDED" in await opened.get()
        assert (await kube.as_node.get(f"{NODES}/n"))["metadata"]["name"] == "n"
        for task in watches:
            task.cancel()


async def test_calls_are_told_with_their_status() -> None:
    """Also one that gets no answer: an API server that is away is what one wants to see."""
    told: list[tuple[str, int | None]] = []

    def answered(*, method: str, status: int | None) -> None:
        told.append((method, status))

    async with FakeAPIServer() as server:
        access = ClusterAccess(server=server.url, tls=None, tokens=StaticToken(value="secret"))
        async with KubeClient(access, site=SiteName("site-a"), answered=answered) as kube:
            server.put(NODES, {"metadata": {"name": "n"}})
            await kube.as_self.get(f"{NODES}/n")
            with pytest.raises(NotFound):
                await kube.as_node.get(f"{NODES}/other")
    away = ClusterAccess(server="http://127.0.0.1:9", tls=None, tokens=StaticToken(value="secret"))
    async with KubeClient(away, site=SiteName("site-a"), answered=answered) as kube:
        with pytest.raises(Unavailable):
            await kube.as_self.get(f"{NODES}/n")
    assert told == [("GET", 200), ("GET", 404), ("GET", None)]
