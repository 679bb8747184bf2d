"""Services of the namespaces that pods are in: all of them, once, and only what changed."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING, Any

import pytest

from provider.pods.service_watcher import POLL_S, ServiceWatcher
from tests.fakes.fake_api_server import FakeAPIServer, on_api_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from provider.kube.client import KubeClient
    from tunnel.sync import ServicesPut

Json = dict[str, Any]

pytestmark = pytest.mark.looptime


def services_of(namespace: str) -> str:
    """Return the path of a namespace's Services."""
    return f"/api/v1/namespaces/{namespace}/services"


def make_pod(uid: str, namespace: str = "ns") -> Json:
    """Return a pod."""
    return {"metadata": {"namespace": namespace, "name": uid, "uid": uid}, "spec": {}}


def put_service(server: FakeAPIServer, namespace: str, name: str, ip: str = "10.0.0.7") -> None:
    """Create or replace a Service."""
    spec = {"clusterIP": ip, "ports": [{"port": 80, "protocol": "TCP"}]}
    server.put(services_of(namespace), {"metadata": {"name": name}, "spec": spec})


def addresses(put: ServicesPut) -> dict[str, str]:
    """Return the address of each Service by name."""
    return {each["metadata"]["name"]: each["spec"]["clusterIP"] for each in put.services}


class Watching:
    """A watcher that runs, and what it sent."""

    def __init__(self, kube: KubeClient, *, max_watches: int) -> None:
        self.sent: asyncio.Queue[ServicesPut] = asyncio.Queue()
        self.watcher = ServiceWatcher(
            kube.node_objects,
            send=self.sent.put_nowait,
            max_watches=max_watches,
            rng=random.Random(1),  # noqa: S311
        )

    async def next_put(self) -> ServicesPut:
        """Return the next message."""
        async with asyncio.timeout(200):
            return await self.sent.get()

    async def next_puts(self, count: int) -> dict[str, ServicesPut]:
        """Return the next messages by namespace."""
        return {put.namespace: put for put in [await self.next_put() for _ in range(count)]}


@contextlib.asynccontextmanager
async def watching(kube: KubeClient, *, max_watches: int = 8) -> AsyncIterator[Watching]:
    """Run a watcher with a session that holds nothing."""
    state = Watching(kube, max_watches=max_watches)
    state.watcher.session_started({})
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(state.watcher.run())
        yield state
        running.cancel()


@on_api_server
async def test_the_services_of_a_pod_are_its_namespaces_and_the_masters(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """One watch for each namespace, whatever the number of pods, as the node."""
    for namespace, name in (("ns", "web"), ("default", "kubernetes"), ("default", "other")):
        put_service(server, namespace, name)
    async with watching(kube) as state:
        state.watcher.pod_changed(make_pod("one"))
        state.watcher.pod_changed(make_pod("two"))
        puts = await state.next_puts(2)
        assert addresses(puts["ns"]) == {"web": "10.0.0.7"}
        assert addresses(puts["default"]) == {"kubernetes": "10.0.0.7"}
        assert all(put.complete for put in puts.values())
        assert {each.user for each in server.requests} == {"system:node:site-a"}
        assert len(server.seen("list", "services")) == 2


@on_api_server
async def test_a_namespace_without_services_is_told_as_such(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Its pods wait for that."""
    async with watching(kube) as state:
        state.watcher.pod_changed(make_pod("one"))
        puts = await state.next_puts(2)
    assert [puts[each].services for each in ("ns", "default")] == [[], []]
    assert all(put.complete for put in puts.values())


@on_api_server
async def test_services_that_come_change_and_go(server: FakeAPIServer, kube: KubeClient) -> None:
    """What no environment names sends nothing."""
    async with watching(kube) as state:
        state.watcher.pod_changed(make_pod("one"))
        await state.next_puts(2)
        put_service(server, "ns", "web")
        assert addresses(await state.next_put()) == {"web": "10.0.0.7"}
        server.change(services_of("ns"), "web", {"spec": {"selector": {"app": "x"}}})
        put_service(server, "ns", "web", "10.0.0.8")
        assert addresses(await state.next_put()) == {"web": "10.0.0.8"}
        server.remove(services_of("ns"), "web")
        assert addresses(await state.next_put()) == {}


@on_api_server
async def test_the_default_namespace_is_told_in_full_for_pods_in_it(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """And of it only the master again once they are gone."""
    put_service(server, "default", "kubernetes")
    put_service(server, "default", "web")
    async with watching(kube) as state:
        state.watcher.pod_changed(make_pod("one"))
        await state.next_puts(2)
        state.watcher.pod_changed(make_pod("two", "default"))
        # At once: the pod is sent next.
        assert set(addresses(state.sent.get_nowait())) == {"kubernetes", "web"}
        state.watcher.pod_deleted("two")
        assert set(addresses(state.sent.get_nowait())) == {"kubernetes"}


@on_api_server
async def test_a_pod_in_the_default_namespace_waits_for_all_of_it(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """An edge that holds only the master of it forgets that first, in whatever order they come."""
    put_service(server, "default", "kubernetes")
    put_service(server, "default", "web")
    async with watching(kube) as state:
        state.watcher.pod_changed(make_pod("one"))
        partial = (await state.next_puts(2))["default"]
    for is_pod_first in (False, True):
        async with watching(kube) as state:
            state.watcher.session_ended()
            if is_pod_first:
                state.watcher.pod_changed(make_pod("two", "default"))
            state.watcher.session_started({"default": partial.revision})
            state.watcher.pod_changed(make_pod("two", "default"))
            assert not state.sent.get_nowait().complete
            assert set(addresses(await state.next_put())) == {"kubernetes", "web"}


@on_api_server
async def test_services_are_forgotten_with_the_last_pod(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """And are watched no longer."""
    async with watching(kube) as state:
        for uid in ("one", "two"):
            state.watcher.pod_changed(make_pod(uid))
        await state.next_puts(2)
        state.watcher.pod_deleted("one")
        assert state.sent.empty()
        state.watcher.pod_deleted("two")
        forgotten = {state.sent.get_nowait().namespace for _ in range(2)}
        assert forgotten == {"ns", "default"}
        put_service(server, "ns", "web")
        await asyncio.sleep(2 * POLL_S)
        assert state.sent.empty()


@on_api_server
async def test_new_session_gets_only_what_differs(server: FakeAPIServer, kube: KubeClient) -> None:
    """And forgets what nobody needs only once all pods are known."""
    put_service(server, "ns", "web")
    async with watching(kube) as state:
        state.watcher.pod_changed(make_pod("one"))
        puts = await state.next_puts(2)
        state.watcher.session_ended()
        put_service(server, "ns", "web", "10.0.0.9")
        await asyncio.sleep(1)
        assert state.sent.empty()
        held = {namespace: put.revision for namespace, put in puts.items()}
        state.watcher.session_started({**held, "old": "r"})
        put = state.sent.get_nowait()
        assert (put.namespace, addresses(put)) == ("ns", {"web": "10.0.0.9"})
        assert state.sent.empty()
        state.watcher.all_pods_known()
        put = state.sent.get_nowait()
        assert (put.namespace, put.complete) == ("old", False)
        assert state.sent.empty()


@on_api_server
async def test_namespaces_beyond_the_cap_are_polled_until_a_watch_is_free(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """An API server that fails for a while does not end it."""
    async with watching(kube, max_watches=2) as state:
        state.watcher.pod_changed(make_pod("one"))
        await state.next_puts(2)
        server.fail("list", "more", 503, times=3)
        state.watcher.pod_changed(make_pod("two", "more"))
        assert (await state.next_put()).namespace == "more"
        began_at = asyncio.get_running_loop().time()
        put_service(server, "more", "web")
        assert addresses(await state.next_put()) == {"web": "10.0.0.7"}
        assert POLL_S * 0.8 <= asyncio.get_running_loop().time() - began_at <= POLL_S * 1.2
        assert not server.seen("watch", "more")
        state.watcher.pod_deleted("one")
        assert not (await state.next_put()).complete
        await asyncio.sleep(2 * POLL_S)
        put_service(server, "more", "web", "10.0.0.8")
        began_at = asyncio.get_running_loop().time()
        assert addresses(await state.next_put()) == {"web": "10.0.0.8"}
        assert asyncio.get_running_loop().time() - began_at < 1


@on_api_server
async def test_nothing_is_complete_before_the_list_is(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """A pod must not start with a part of its variables."""
    put_service(server, "ns", "web")
    server.fail("list", "/ns/services", 503, times=4)
    async with watching(kube) as state:
        state.watcher.pod_changed(make_pod("one"))
        assert (await state.next_put()).namespace == "default"
        assert addresses(await state.next_put()) == {"web": "10.0.0.7"}
