"""The writer Lease: one holder, a quick successor, and no loss without proof."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from provider.edge_link.writer_lease import WriterLease, WriterLeaseLost
from tests.fakes.fake_api_server import FakeAPIServer, on_api_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from provider.kube.client import KubeClient

NAMESPACE = "edgelet-site-a"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"

pytestmark = pytest.mark.looptime


def writer(kube: KubeClient, name: str) -> WriterLease:
    """Return one provider's part."""
    return WriterLease(kube.as_self, namespace=NAMESPACE, identity=name)


@contextlib.asynccontextmanager
async def keeping(lease: WriterLease) -> AsyncIterator[None]:
    """Acquire and renew until left, as a provider does that is killed then."""
    async with asyncio.TaskGroup() as tasks:
        await lease.acquire()
        task = tasks.create_task(lease.keep())
        yield
        task.cancel()


async def seconds_until_acquired(lease: WriterLease) -> float:
    """Return how long the Lease took to come."""
    began_at = asyncio.get_running_loop().time()
    await lease.acquire()
    return asyncio.get_running_loop().time() - began_at


def holder(server: FakeAPIServer) -> str:
    """Return who holds it."""
    return str(server.objects[LEASES, "edgelet-writer"]["spec"]["holderIdentity"])


def put_empty(server: FakeAPIServer) -> None:
    """Put the Lease there as the manifests do."""
    server.put(LEASES, {"metadata": {"name": "edgelet-writer"}})


@on_api_server
async def test_the_first_has_it_at_once(server: FakeAPIServer, kube: KubeClient) -> None:
    """And the provider writes nothing else than the Lease that is there."""
    put_empty(server)
    lease = writer(kube, "one")
    assert not lease.is_held
    await lease.acquire()
    assert lease.is_held
    assert holder(server) == "one"
    spec = server.objects[LEASES, "edgelet-writer"]["spec"]
    assert (spec["leaseDurationSeconds"], spec["leaseTransitions"]) == (10, 1)
    assert {request.verb for request in server.requests} == {"get", "update"}


@on_api_server
async def test_the_second_waits_as_long_as_the_first_renews(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """An hour of waiting changes nothing."""
    put_empty(server)
    second = writer(kube, "two")
    async with keeping(writer(kube, "one")):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await second.acquire()
    assert not second.is_held
    assert holder(server) == "one"


@pytest.mark.parametrize("watched_s", [0.0, 1.9, 30.7])
@on_api_server
async def test_the_successor_of_a_killed_provider_has_it_within_15_s(
    server: FakeAPIServer, kube: KubeClient, watched_s: float
) -> None:
    """Whether it waited before, or starts at that moment."""
    put_empty(server)
    second = writer(kube, "two")
    async with asyncio.TaskGroup() as tasks, keeping(writer(kube, "one")):
        waiting = tasks.create_task(seconds_until_acquired(second))
        await asyncio.sleep(watched_s)
        assert not second.is_held
    assert 8.0 <= await waiting - watched_s <= 15.0
    assert holder(server) == "two"


@on_api_server
async def test_a_planned_stop_hands_over_at_once(server: FakeAPIServer, kube: KubeClient) -> None:
    """The next one has it with its next look."""
    put_empty(server)
    first, second = writer(kube, "one"), writer(kube, "two")
    async with asyncio.TaskGroup() as tasks:
        async with keeping(first):
            waiting = tasks.create_task(seconds_until_acquired(second))
            await asyncio.sleep(5)
        await first.release(timeout_s=3)
        assert holder(server) == ""
    assert not first.is_held
    assert await waiting <= 5 + 2.1


@on_api_server
async def test_releasing_survives_a_renewal_that_was_cut_off(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """The update that was cancelled may have landed; the release takes the new version."""
    put_empty(server)
    lease = writer(kube, "one")
    await lease.acquire()
    server.change(LEASES, "edgelet-writer", {"spec": {"renewTime": "later"}})
    await lease.release(timeout_s=3)
    assert holder(server) == ""


@on_api_server
async def test_who_sees_another_holder_has_lost(server: FakeAPIServer, kube: KubeClient) -> None:
    """As after a long stop of the process: nobody accepts any more, and the loop ends."""
    put_empty(server)
    lease = writer(kube, "one")
    await lease.acquire()
    server.change(LEASES, "edgelet-writer", {"spec": {"holderIdentity": "two"}})
    with pytest.raises(WriterLeaseLost, match="provider two"):
        await lease.keep()
    assert not lease.is_held
    await lease.release(timeout_s=3)
    assert holder(server) == "two"


@on_api_server
async def test_an_outage_of_the_api_server_takes_it_from_nobody(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Nobody can take it then; and the waiting one counts from the end of the outage."""
    put_empty(server)
    first, second = writer(kube, "one"), writer(kube, "two")
    async with asyncio.TaskGroup() as tasks:
        async with keeping(first):
            waiting = tasks.create_task(second.acquire())
            await asyncio.sleep(5)
            server.fail("get", "leases", 503, times=100)
            server.fail("update", "leases", 503, times=100)
            await asyncio.sleep(60)
            assert first.is_held
            server.heal()
            await asyncio.sleep(60)
            assert first.is_held
            assert not second.is_held
        waiting.cancel()
    assert holder(server) == "one"


@on_api_server
async def test_a_change_by_others_is_no_loss(server: FakeAPIServer, kube: KubeClient) -> None:
    """A label on the Lease changes its version, not its holder."""
    put_empty(server)
    lease = writer(kube, "one")
    async with keeping(lease):
        server.change(LEASES, "edgelet-writer", {"metadata": {"labels": {"a": "b"}}})
        await asyncio.sleep(10)
        assert lease.is_held
    assert server.objects[LEASES, "edgelet-writer"]["metadata"]["labels"] == {"a": "b"}


@on_api_server
async def test_without_the_manifests_it_waits(server: FakeAPIServer, kube: KubeClient) -> None:
    """No Lease is created: it comes with the manifests, later perhaps."""
    lease = writer(kube, "one")
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(seconds_until_acquired(lease))
        await asyncio.sleep(30)
        assert not lease.is_held
        put_empty(server)
    assert await waiting <= 33
    assert not server.seen("create")
