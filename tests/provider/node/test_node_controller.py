"""The Node through registration, silence, heal and deletion."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from provider.kube.event_writer import EventWriter
from provider.node.node_controller import NodeController
from provider.node.node_object import NodeSettings, condition_status
from tests.fakes.fake_api_server import FakeAPIServer, on_api_server
from tests.fakes.fake_edge import FakeEdge
from tests.fakes.reports import make_report
from tunnel.errors import SyncError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from provider.kube.client import KubeClient
    from tunnel.sync import NodePut

NODES = "/api/v1/nodes"
SETTINGS = NodeSettings(
    name="site-a", address="10.0.0.9", kubelet_port=10250, kubelet_version="v1.36.3"
)

pytestmark = pytest.mark.looptime


@dataclass
class Site:
    """A running controller, its link and what it published."""

    controller: NodeController
    edge: FakeEdge
    published: list[NodePut]


@contextlib.asynccontextmanager
async def controlling(kube: KubeClient) -> AsyncIterator[Site]:
    """Run a controller and its event writer."""
    edge = FakeEdge()
    published: list[NodePut] = []
    events = EventWriter(kube.as_node, node_name="site-a", acknowledge=lambda _: None)
    controller = NodeController(
        as_node=kube.as_node,
        as_self=kube.as_self,
        link=edge,
        settings=SETTINGS,
        events=events,
        publish=published.append,
    )
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(controller.run()), tasks.create_task(events.run())]
        yield Site(controller, edge, published)
        for task in running:
            task.cancel()


async def registered(site: Site) -> None:
    """Connect, report, and wait for what follows."""
    await asyncio.sleep(0.1)
    site.edge.connect()
    site.controller.report(make_report())
    await asyncio.sleep(1)


def node_of(server: FakeAPIServer) -> dict[str, Any]:
    """Return the Node."""
    return server.objects[NODES, "site-a"]


def reasons(server: FakeAPIServer) -> list[str]:
    """Return the reasons of all events so far."""
    return [request.body["reason"] for request in server.seen("create", "/events")]


@on_api_server
async def test_no_node_before_the_edge_reported(server: FakeAPIServer, kube: KubeClient) -> None:
    """Nobody could say what the machine is."""
    async with controlling(kube) as site:
        site.edge.connect()
        await asyncio.sleep(30)
        assert (NODES, "site-a") not in server.objects


@on_api_server
async def test_registration(server: FakeAPIServer, kube: KubeClient) -> None:
    """Created as the node, its roles set as ourselves, the edge told of it."""
    async with controlling(kube) as site:
        await registered(site)
        labels = node_of(server)["metadata"]["labels"]
        assert labels["node-role.kubernetes.io/edge"] == ""
        assert await site.controller.node_uid() == node_of(server)["metadata"]["uid"]
    assert [request.user for request in server.seen("create", NODES)] == ["system:node:site-a"]
    assert [request.user for request in server.seen("patch", NODES)] == [""]
    assert site.published[-1].labels == labels
    assert {"Starting", "NodeReady", "TunnelConnected"} <= set(reasons(server))


@on_api_server
async def test_a_quiet_node_has_a_heartbeat_and_no_more(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """One patch in five minutes, give or take a half."""
    async with controlling(kube) as site:
        await registered(site)
        before = len(server.seen("patch", "status"))
        await asyncio.sleep(3000)
    assert 5 <= len(server.seen("patch", "status")) - before <= 21


@on_api_server
async def test_a_change_is_patched(server: FakeAPIServer, kube: KubeClient) -> None:
    """As soon as the edge reports it."""
    async with controlling(kube) as site:
        await registered(site)
        site.controller.report(make_report(capacity={"cpu": "4"}))
        await asyncio.sleep(0.5)
        assert node_of(server)["status"]["capacity"] == {"cpu": "4"}


@on_api_server
async def test_silence_turns_only_the_tunnels_condition(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """At once; Ready, and its heartbeat, stay the node controller's."""
    async with controlling(kube) as site:
        await registered(site)
        ready = node_of(server)["status"]["conditions"][-1]
        site.edge.cut("no PING")
        await asyncio.sleep(0.5)
        assert condition_status(node_of(server), "EdgeletTunnelReady") == "False"
        assert "no PING" in str(node_of(server)["status"]["conditions"])
        patches = len(server.seen("patch", "status"))
        await asyncio.sleep(1000)
        assert len(server.seen("patch", "status")) == patches
        assert node_of(server)["status"]["conditions"][-1] == ready


@on_api_server
async def test_a_session_that_goes_on_needs_no_new_report(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """The condition says that it is interrupted; what the machine reported before holds after."""
    async with controlling(kube) as site:
        await registered(site)
        site.edge.interrupt("the connection was lost")
        await asyncio.sleep(0.5)
        (tunnel,) = [
            item
            for item in node_of(server)["status"]["conditions"]
            if item["type"] == "EdgeletTunnelReady"
        ]
        assert (tunnel["status"], tunnel["reason"]) == ("False", "TunnelInterrupted")
        assert tunnel["message"].endswith("(last error: the connection was lost)")
        unknown = {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}
        server.change(NODES, "site-a", {"status": {"conditions": [unknown]}})
        await asyncio.sleep(60)
        assert condition_status(node_of(server), "Ready") == "Unknown"
        site.edge.connect()
        await asyncio.sleep(0.5)
        assert condition_status(node_of(server), "Ready") == "True"
        assert condition_status(node_of(server), "EdgeletTunnelReady") == "True"
    assert {"TunnelConnected", "TunnelLost"} <= set(reasons(server))


@on_api_server
async def test_a_provider_that_stops_says_so(server: FakeAPIServer, kube: KubeClient) -> None:
    """In the tunnel's condition alone."""
    async with controlling(kube) as site:
        await registered(site)
    await site.controller.tell_stop(timeout_s=3)
    conditions = {item["type"]: item for item in node_of(server)["status"]["conditions"]}
    assert conditions["EdgeletTunnelReady"]["status"] == "False"
    assert conditions["EdgeletTunnelReady"]["reason"] == "ProviderStopped"
    assert conditions["Ready"]["status"] == "True"


@on_api_server
async def test_a_stop_does_not_wait_for_an_api_server_that_is_away(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """The provider's stop goes on without."""
    async with controlling(kube) as site:
        await registered(site)
    server.fail("patch", "status", 503)
    await site.controller.tell_stop(timeout_s=3)
    assert condition_status(node_of(server), "EdgeletTunnelReady") == "True"
    began_at = asyncio.get_running_loop().time()
    held = server.hold("status")
    await site.controller.tell_stop(timeout_s=3)
    assert asyncio.get_running_loop().time() - began_at == pytest.approx(3)
    held.set()


@on_api_server
async def test_ready_is_back_with_the_first_report(server: FakeAPIServer, kube: KubeClient) -> None:
    """The same report as before, after the node controller had given the site up."""
    async with controlling(kube) as site:
        await registered(site)
        site.edge.cut()
        await asyncio.sleep(1)
        unknown = {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}
        server.change(NODES, "site-a", {"status": {"conditions": [unknown]}})
        await asyncio.sleep(60)
        assert condition_status(node_of(server), "Ready") == "Unknown"
        site.edge.connect()
        await asyncio.sleep(0.5)
        assert condition_status(node_of(server), "EdgeletTunnelReady") == "True"
        assert condition_status(node_of(server), "Ready") == "Unknown"  # nothing was reported yet
        site.controller.report(make_report())
        await asyncio.sleep(0.5)
        assert condition_status(node_of(server), "Ready") == "True"


@on_api_server
async def test_others_are_contradicted_while_the_edge_reports(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """The watch tells at once."""
    async with controlling(kube) as site:
        await registered(site)
        unknown = {"type": "Ready", "status": "Unknown"}
        server.change(NODES, "site-a", {"status": {"conditions": [unknown]}})
        await asyncio.sleep(0.5)
        assert condition_status(node_of(server), "Ready") == "True"


@on_api_server
async def test_a_deleted_node_is_made_again(server: FakeAPIServer, kube: KubeClient) -> None:
    """While its site is connected, with an event; the UID is a new one."""
    async with controlling(kube) as site:
        await registered(site)
        uid = node_of(server)["metadata"]["uid"]
        server.remove(NODES, "site-a")
        await asyncio.sleep(1)
        assert await site.controller.node_uid() != uid
        assert "NodeRecreated" in reasons(server)
        site.edge.cut()
        server.remove(NODES, "site-a")
        await asyncio.sleep(60)
        assert (NODES, "site-a") not in server.objects


@on_api_server
async def test_an_existing_node_is_adopted(server: FakeAPIServer, kube: KubeClient) -> None:
    """Also one that appears between the list and the creation; a new address even offline."""
    server.put(NODES, {"metadata": {"name": "site-a", "labels": {"mine": "1"}}, "spec": {}})
    async with controlling(kube) as site:
        await asyncio.sleep(1)
        assert node_of(server)["status"]["addresses"][0]["address"] == "10.0.0.9"
        await registered(site)
        assert node_of(server)["metadata"]["labels"]["mine"] == "1"
        assert node_of(server)["spec"]["providerID"] == "edgelet://site-a"
        assert condition_status(node_of(server), "Ready") == "True"
    assert not server.seen("create", NODES)


@on_api_server
async def test_refusals_are_tried_again(server: FakeAPIServer, kube: KubeClient) -> None:
    """Soon, whatever the call was."""
    server.fail("create", NODES, 503, times=2)
    server.fail("create", NODES, 409)
    server.fail("patch", NODES, 403, times=2)
    async with controlling(kube) as site:
        await registered(site)
        await asyncio.sleep(10)
        assert "node-role.kubernetes.io/edge" in node_of(server)["metadata"]["labels"]


@on_api_server
async def test_a_condition_without_a_type_is_the_edges_fault(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """It ends the sync stream and not the provider."""
    async with controlling(kube) as site:
        await registered(site)
        for condition in ({"status": "True"}, {"type": ["Ready"], "status": "True"}, {"type": "x"}):
            with pytest.raises(SyncError, match="condition"):
                site.controller.report(make_report(conditions=[condition]))
        await asyncio.sleep(30)
    assert condition_status(node_of(server), "Ready") == "True"


@on_api_server
async def test_a_link_that_comes_and_goes_fills_no_list_of_events(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """The same again counts the Event up."""
    async with controlling(kube) as site:
        await registered(site)
        for _ in range(20):
            site.edge.cut("no answer")
            await asyncio.sleep(5)
            site.edge.connect()
            site.controller.report(make_report())
            await asyncio.sleep(5)
    (event,) = [item for item in server.objects.values() if item.get("reason") == "TunnelConnected"]
    assert event["count"] == 21
