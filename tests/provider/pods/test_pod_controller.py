"""Desired state: complete before anything is forgotten, equal after every change."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from provider.pods.desired_state import compute_revision
from provider.pods.pod_controller import PodController
from provider.pods.pod_dependencies import PodDependencies
from provider.pods.status_writer import StatusWriter
from provider.pods.sync_stream import SyncOutbox
from tests.fakes.fake_api_server import FakeAPIServer, on_api_server
from tests.fakes.fake_edge import FakeEdge, make_hello
from tests.fakes.reports import make_pod, make_report, make_status
from tunnel.sync import (
    Ack,
    Desired,
    EventReport,
    NodePut,
    NodeReport,
    ObjectForget,
    ObjectPut,
    PodForget,
    PodGone,
    PodPut,
    PodStatus,
    ServicesPut,
    StatusAck,
    StatusWant,
    TokenPut,
    TokenWant,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from provider.kube.client import KubeClient
    from tests.fakes.fake_edge import EdgeSide
    from tunnel.sync import FromProvider

PODS = "/api/v1/namespaces/default/pods"

pytestmark = pytest.mark.looptime


class Site:
    """A running controller and the edge it talks to."""

    def __init__(self, kube: KubeClient) -> None:
        self.edge = FakeEdge()
        self.reports: list[NodeReport] = []
        self.events: list[EventReport] = []
        outbox = SyncOutbox()
        self.writer = StatusWriter(kube.as_node, send=outbox.put)
        self.dependencies = PodDependencies(kube.node_objects, send=outbox.put)
        self.controller = PodController(
            api=kube.as_node,
            edge=self.edge,
            node_name="site-a",
            outbox=outbox,
            status_writer=self.writer,
            dependencies=self.dependencies,
            on_node_report=self.reports.append,
            on_event=self.events.append,
        )


@contextlib.asynccontextmanager
async def controlling(kube: KubeClient) -> AsyncIterator[Site]:
    """Run a controller on a connected edge."""
    site = Site(kube)
    site.edge.connect()
    async with asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(part.run())
            for part in (site.controller, site.writer, site.dependencies)
        ]
        yield site
        for task in running:
            task.cancel()


async def next_about_pods(side: EdgeSide) -> FromProvider:
    """Return the next message that is not about Services: those come at any time."""
    while isinstance(message := await side.receive(), ServicesPut):
        pass
    return message


@on_api_server
async def test_a_new_edge_gets_every_pod_then_desired(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """With the stored status, and nobody else's pods."""
    pod = server.put(PODS, make_pod("a", uid="a"))
    other = make_pod("b", uid="b")
    other["spec"]["nodeName"] = "site-b"
    server.put(PODS, other)
    async with controlling(kube) as site:
        site.controller.put_node(NodePut(revision="r", name="site-a"))
        side = await site.edge.accept()
        assert await next_about_pods(side) == NodePut(revision="r", name="site-a")
        put = await next_about_pods(side)
        assert isinstance(put, PodPut)
        assert put.pod["status"]["phase"] == "Pending"
        revision = compute_revision(pod)
        assert await next_about_pods(side) == Desired(pods={"a": revision}, complete=True)


@on_api_server
async def test_an_edge_that_knows_gets_only_what_differs(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Without a status for a UID that it knows."""
    same = server.put(PODS, make_pod("a", uid="a"))
    server.put(PODS, make_pod("b", uid="b"))
    async with controlling(kube) as site:
        known = {"a": compute_revision(same), "b": "old", "gone": "x"}
        side = await site.edge.accept(make_hello(pods=known))
        put = await next_about_pods(side)
        assert isinstance(put, PodPut)
        assert (put.uid, put.pod["status"]) == ("b", {})
        desired = await next_about_pods(side)
        assert isinstance(desired, Desired)
        assert set(desired.pods) == {"a", "b"}


@on_api_server
async def test_nothing_is_complete_before_the_list_is(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Law 2: an API server that is away makes the edge forget nothing."""
    server.put(PODS, make_pod("a", uid="a"))
    server.fail("list", "pods", 503, times=5)
    async with controlling(kube) as site:
        side = await site.edge.accept(make_hello(pods={"a": "x", "b": "y"}))
        side.send(make_report())
        await asyncio.sleep(0.01)
        assert not side._stream.to_edge
        async with asyncio.timeout(60):
            await side.expect(Desired)
    # Five that failed, the first, and one because the edge knows a pod that it lacks.
    assert len(server.seen("list", "pods")) == 7


def put_unseen(server: FakeAPIServer, pod: dict[str, Any]) -> dict[str, Any]:
    """Create a pod that the watch does not tell of: it is behind."""
    pod["metadata"]["resourceVersion"] = "1000000"
    server.objects[PODS, pod["metadata"]["name"]] = pod
    return pod


@on_api_server
async def test_what_the_edge_knows_before_our_watch_does_is_not_forgotten(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """In a rolling update another provider has told it: a fresh list settles whether it exists."""
    server.put(PODS, make_pod("a", uid="a"))
    async with controlling(kube) as site:
        await asyncio.sleep(1)
        late = put_unseen(server, make_pod("late", uid="late"))
        known = {"late": compute_revision(late), "gone": "x"}
        side = await site.edge.accept(make_hello(pods=known))
        assert isinstance(await next_about_pods(side), PodPut)
        assert await next_about_pods(side) == StatusWant(uid="late")
        desired = await next_about_pods(side)
        assert isinstance(desired, Desired)
        assert set(desired.pods) == {"a", "late"}


@on_api_server
async def test_nothing_is_complete_before_the_doubt_is_settled(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Pods go down meanwhile; a later session's Hello is settled by a list of its own."""
    server.put(PODS, make_pod("a", uid="a"))
    async with controlling(kube) as site:
        await asyncio.sleep(1)
        server.fail("list", "pods", 503, times=3)
        side = await site.edge.accept(make_hello(pods={"x": "1"}))
        assert isinstance(await next_about_pods(side), PodPut)
        site.edge.cut()
        site.edge.connect()
        side = await site.edge.accept(make_hello(pods={"y": "1"}))
        assert isinstance(await next_about_pods(side), PodPut)
        desired = await next_about_pods(side)
        assert isinstance(desired, Desired)
        assert set(desired.pods) == {"a"}


@on_api_server
async def test_a_silent_nodes_pods_are_not_contradicted_while_the_link_is_cut(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """The session goes on, and with it the sync stream; what was missed is put right then."""
    server.put(PODS, make_pod("a", uid="a"))
    async with controlling(kube) as site:
        side = await site.edge.accept()
        side.send(PodStatus(uid="a", sequence=1, status=make_status()))
        await side.expect(StatusAck)
        site.edge.interrupt()
        await asyncio.sleep(1)
        patches = len(server.seen("patch", "status"))
        server.change(PODS, "a", {"status": make_status(ready=False)})
        await asyncio.sleep(60)
        assert len(server.seen("patch", "status")) == patches
        site.edge.connect()
        await asyncio.sleep(1)
        conditions = server.objects[PODS, "a"]["status"]["conditions"]
        assert {item["type"]: item["status"] for item in conditions}["Ready"] == "True"


@on_api_server
async def test_changes_follow_and_our_own_patches_do_not(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """A status that is patched brings no new PodPut; a deletion does, its end a PodForget."""
    async with controlling(kube) as site:
        side = await site.edge.accept()
        await side.expect(Desired)
        server.put(PODS, make_pod("a", uid="a"))
        put = await side.expect(PodPut)
        side.send(Ack(key="a", revision=put.revision))
        side.send(PodStatus(uid="a", sequence=1, status=make_status()))
        assert await next_about_pods(side) == StatusAck(uid="a", sequence=1)
        server.change(PODS, "a", {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})
        put = await next_about_pods(side)  # type: ignore[assignment]
        assert isinstance(put, PodPut)
        assert put.pod["metadata"]["deletionTimestamp"]
        assert put.pod["status"] == {}
        side.send(PodStatus(uid="a", sequence=2, status=make_status("Succeeded", ready=False)))
        side.send(PodGone(uid="a", sequence=2))
        assert await side.expect(PodForget) == PodForget(uid="a")
    assert (PODS, "a") not in server.objects


@on_api_server
async def test_a_pod_that_was_never_acknowledged_keeps_its_status(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Two changes in a row become one message, which must not lose what the first one said."""
    async with controlling(kube) as site:
        side = await site.edge.accept()
        await side.expect(Desired)
        server.put(PODS, make_pod("a", uid="a"))
        server.change(PODS, "a", {"metadata": {"labels": {"x": "y"}}})
        put = await side.expect(PodPut)
        while not put.pod["metadata"].get("labels"):
            put = await side.expect(PodPut)
        assert put.pod["status"]["phase"] == "Pending"


@on_api_server
async def test_what_happened_offline_is_in_the_next_comparison(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Nothing is queued for an edge that is away."""
    a = server.put(PODS, make_pod("a", uid="a"))
    b = server.put(PODS, make_pod("b", uid="b"))
    async with controlling(kube) as site:
        await (await site.edge.accept()).expect(Desired)
        site.edge.cut()
        await asyncio.sleep(0.1)
        server.remove(PODS, "a")
        server.put(PODS, make_pod("c", uid="c"))
        await asyncio.sleep(60)
        site.edge.connect()
        known = {"a": compute_revision(a), "b": compute_revision(b)}
        side = await site.edge.accept(make_hello(pods=known))
        put = await next_about_pods(side)
        assert isinstance(put, PodPut)
        assert put.uid == "c"
        desired = await next_about_pods(side)
        assert isinstance(desired, Desired)
        assert set(desired.pods) == {"b", "c"}


@on_api_server
async def test_a_relist_forgets_what_vanished(server: FakeAPIServer, kube: KubeClient) -> None:
    """A 410 hides deletions; the new list tells them."""
    server.put(PODS, make_pod("a", uid="a"))
    async with controlling(kube) as site:
        side = await site.edge.accept()
        await side.expect(Desired)
        del server.objects[PODS, "a"]
        server.compact()
        server.end_watches()
        assert await side.expect(PodForget) == PodForget(uid="a")


@on_api_server
async def test_a_sync_stream_that_breaks_is_opened_again(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Within seconds, while the session lives; reports and events reach their owners."""
    server.put(PODS, make_pod("a", uid="a"))
    regarding: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": "a",
        "namespace": "default",
        "uid": "a",
    }
    event = EventReport(
        id="e",
        regarding=regarding,
        event_type="Normal",
        reason="R",
        message="m",
        count=1,
        first_timestamp="",
        last_timestamp="",
    )
    async with controlling(kube) as site:
        for _ in range(3):
            side = await site.edge.accept()
            side.send(make_report())
            side.send(event)
            await side.expect(Desired)
            side.end()
            await asyncio.sleep(1)
        assert len(site.reports) == 3
        assert site.events == [event, event, event]


@on_api_server
async def test_an_edge_that_breaks_off_after_hello_is_not_met_in_a_loop(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Each time it would be sent every pod; once it stays for a while, it is met at once again."""
    server.put(PODS, make_pod("a", uid="a"))
    loop = asyncio.get_running_loop()
    async with controlling(kube) as site:
        times = []
        for _ in range(30):
            (await site.edge.accept()).end()
            times.append(loop.time())
        assert times[-1] - times[0] > 30
        side = await site.edge.accept()
        await asyncio.sleep(10)
        side.end()
        ended = loop.time()
        await site.edge.accept()
        assert loop.time() - ended <= 0.2


@on_api_server
async def test_what_pods_refer_to_comes_before_it_is_complete_and_goes_after(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Absence counts only once all pods are known."""
    pod = make_pod("a", uid="a")
    pod["spec"]["imagePullSecrets"] = [{"name": "s"}]
    server.put(PODS, pod)
    server.put("/api/v1/namespaces/default/secrets", {"metadata": {"name": "s"}, "data": {}})
    async with controlling(kube) as site:
        side = await site.edge.accept(make_hello(objects={"Secret/default/old": "r"}))
        seen = [await side.receive() for _ in range(5)]
        kinds = [type(message) for message in seen]
        assert kinds.index(ObjectForget) > kinds.index(Desired)
        assert set(kinds) == {PodPut, Desired, ObjectForget, ObjectPut, ServicesPut}
        server.remove(PODS, "a")
        assert await side.expect(PodForget) == PodForget(uid="a")
        assert (await side.expect(ObjectForget)).name == "s"


@on_api_server
async def test_token_that_the_edge_wants_comes_on_the_stream(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Also one that it wants before the pods are listed."""
    pod = make_pod("a", uid="a")
    token = {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}}
    pod["spec"]["volumes"] = [{"name": "t", "projected": {"sources": [token]}}]
    server.put(PODS, pod)
    server.fail("list", "pods", 503, times=2)
    async with controlling(kube) as site:
        side = await site.edge.accept()
        side.send(TokenWant(pod_uid="a", service_account="default", audiences=[], expiry_s=3607))
        put = await side.expect(TokenPut)
    assert (put.key, put.token) == ("a/default/3607/", "token-0.default.default")
