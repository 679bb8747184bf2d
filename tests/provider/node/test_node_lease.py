"""The Lease: only while the edge answers, at once when it is back."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from provider.node.node_lease import NodeLease
from tests.fakes.fake_api_server import FakeAPIServer, on_api_server
from tests.fakes.fake_edge import FakeEdge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from provider.kube.client import KubeClient

LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"

pytestmark = pytest.mark.looptime


@contextlib.asynccontextmanager
async def renewing(kube: KubeClient, edge: FakeEdge) -> AsyncIterator[asyncio.Future[str]]:
    """Run a NodeLease; the Node exists when the future has its UID."""
    uid: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def node_uid() -> str:
        return await asyncio.shield(uid)

    lease = NodeLease(
        kube.as_node,
        edge,
        node_name="site-a",
        node_uid=node_uid,
        now=lambda: datetime(2026, 1, 1, 0, 0, 0, 5, tzinfo=UTC),
    )
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(lease.run())
        yield uid
        task.cancel()


@on_api_server
async def test_it_is_made_once_there_is_a_node(server: FakeAPIServer, kube: KubeClient) -> None:
    """Owned by the Node, and renewed every ten seconds."""
    edge = FakeEdge()
    edge.connect()
    async with renewing(kube, edge) as uid:
        await asyncio.sleep(30)
        assert not server.requests
        uid.set_result("node-uid")
        await asyncio.sleep(1)
        lease = server.objects[LEASES, "site-a"]
        assert lease["spec"] == {
            "holderIdentity": "site-a",
            "leaseDurationSeconds": 40,
            "renewTime": "2026-01-01T00:00:00.000005Z",
        }
        assert lease["metadata"]["ownerReferences"][0]["uid"] == "node-uid"
        await asyncio.sleep(60)
    times = [request.time for request in server.seen("update")]
    assert len(times) in {5, 6}
    assert all(10 <= later - earlier <= 10.5 for earlier, later in zip(times, times[1:]))  # noqa: B905, RUF007
    assert len(server.seen("get")) == 1


@on_api_server
async def test_a_silent_edge_gets_no_renewal(server: FakeAPIServer, kube: KubeClient) -> None:
    """Whether the link is gone or only the edge runtime hangs; it is back at once."""
    edge = FakeEdge()
    edge.connect()
    async with renewing(kube, edge) as uid:
        uid.set_result("u")
        await asyncio.sleep(1)
        edge.healthy = False
        await asyncio.sleep(15)
        before = len(server.requests)
        await asyncio.sleep(100)
        edge.healthy = True
        edge.cut()
        await asyncio.sleep(100)
        assert len(server.requests) == before
        edge.connect()
        await asyncio.sleep(0.5)
        assert len(server.requests) == before + 1


@on_api_server
async def test_failures_and_conflicts_are_overcome(server: FakeAPIServer, kube: KubeClient) -> None:
    """Long before the lease's 40 seconds are over."""
    edge = FakeEdge()
    edge.connect()
    async with renewing(kube, edge) as uid:
        uid.set_result("u")
        await asyncio.sleep(1)
        server.change(LEASES, "site-a", {"metadata": {"labels": {"a": "b"}}})
        server.fail("update", LEASES, 503)
        await asyncio.sleep(15)
        assert len(server.seen("update")) == 2
        server.change(LEASES, "site-a", {"metadata": {"labels": {"a": "c"}}})
        await asyncio.sleep(10.5)
        assert server.objects[LEASES, "site-a"]["metadata"]["labels"] == {"a": "c"}
        server.remove(LEASES, "site-a")
        await asyncio.sleep(11)
        assert (LEASES, "site-a") in server.objects


@on_api_server
async def test_an_api_server_that_is_away_is_said_once(
    server: FakeAPIServer, kube: KubeClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Not with every try, of which there is one in two seconds."""
    edge = FakeEdge()
    edge.connect()
    server.fail("get", "/leases", 503, times=50)
    async with renewing(kube, edge) as uid:
        uid.set_result("u")
        await asyncio.sleep(120)
        assert (LEASES, "site-a") in server.objects
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 1
