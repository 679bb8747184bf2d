"""Events: written once, updated, acknowledged, bounded."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from provider.kube.event_writer import MAX_PENDING, MAX_REMEMBERED, EventWriter
from tests.fakes.fake_api_server import FakeAPIServer, on_api_server
from tunnel.sync import EventReport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from provider.kube.client import KubeClient

EVENTS = "/api/v1/namespaces/default/events"
POD = {"kind": "Pod", "namespace": "default", "name": "p", "uid": "u"}

pytestmark = pytest.mark.looptime


def report(identity: str = "e1", **changes: Any) -> EventReport:  # noqa: ANN401 - any field
    """Return an event about a pod."""
    fields: dict[str, Any] = {
        "id": identity,
        "regarding": POD,
        "event_type": "Normal",
        "reason": "Started",
        "message": "Container started",
        "count": 1,
        "first_timestamp": "2026-01-01T00:00:00Z",
        "last_timestamp": "2026-01-01T00:00:00Z",
    }
    return EventReport(**(fields | changes))


@contextlib.asynccontextmanager
async def writing(kube: KubeClient) -> AsyncIterator[tuple[EventWriter, asyncio.Queue[str]]]:
    """Run a writer; its acknowledgements come in a queue."""
    acknowledged: asyncio.Queue[str] = asyncio.Queue()
    writer = EventWriter(
        kube.as_node,
        node_name="site-a",
        acknowledge=acknowledged.put_nowait,
        now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
    )
    async with asyncio.TaskGroup() as tasks, asyncio.timeout(300):
        task = tasks.create_task(writer.run())
        yield writer, acknowledged
        task.cancel()


@on_api_server
async def test_an_event_has_the_kubelets_form(server: FakeAPIServer, kube: KubeClient) -> None:
    """Users and tools look for its source."""
    async with writing(kube) as (writer, acknowledged):
        writer.report(report(message="x" * 2000))
        assert await acknowledged.get() == "e1"
    (request,) = server.seen("create")
    assert (request.path, request.user) == (EVENTS, "system:node:site-a")
    body = request.body
    assert body["source"] == {"component": "kubelet", "host": "site-a"}
    assert (body["involvedObject"], body["type"], body["count"]) == (POD, "Normal", 1)
    assert len(body["message"]) == 1024


@on_api_server
async def test_the_same_id_updates_its_event(server: FakeAPIServer, kube: KubeClient) -> None:
    """Also after the provider started anew: the name comes from the id."""
    for count in (1, 4):
        async with writing(kube) as (writer, acknowledged):
            writer.report(report(count=count))
            await acknowledged.get()
    ((_, event),) = server.objects.items()
    assert event["count"] == 4


@on_api_server
async def test_what_can_never_be_written_is_let_go(server: FakeAPIServer, kube: KubeClient) -> None:
    """Its namespace is going, it is malformed, or its path is no path."""
    for code in (403, 404, 422):
        server.fail("create", EVENTS, code)
    async with writing(kube) as (writer, acknowledged):
        for index in range(3):
            writer.report(report(f"e{index}"))
        writer.report(report("evil", regarding={**POD, "namespace": ".."}))
        assert [await acknowledged.get() for _ in range(4)] == ["e0", "e1", "e2", "evil"]
    assert not server.objects


@on_api_server
async def test_what_may_be_written_later_is_tried_again(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """In order, and acknowledged only then."""
    server.fail("create", EVENTS, 503, times=3)
    async with writing(kube) as (writer, acknowledged):
        writer.report(report("e1"))
        writer.report(report("e2"))
        assert [await acknowledged.get(), await acknowledged.get()] == ["e1", "e2"]
    assert len(server.seen("create")) == 5


@on_api_server
async def test_too_many_drop_the_oldest_without_acknowledging(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """The edge keeps what is not acknowledged."""
    async with writing(kube) as (writer, acknowledged):
        for index in range(MAX_PENDING + 2):
            writer.report(report(f"e{index}"))
        assert await acknowledged.get() == "e2"
    assert len(server.seen("create")) >= 1


@on_api_server
async def test_events_of_our_own_each_get_a_name(server: FakeAPIServer, kube: KubeClient) -> None:
    """Two at the same moment are two events about the node."""
    async with writing(kube) as (writer, acknowledged):
        writer.record_node("Normal", "NodeReady", "m")
        writer.record_node("Normal", "NodeReady", "another")
        await acknowledged.get()
        await acknowledged.get()
    assert len(server.objects) == 2
    assert server.seen("create")[0].body["involvedObject"] == {
        "kind": "Node",
        "name": "site-a",
        "uid": "site-a",
    }


@on_api_server
async def test_the_providers_own_event_is_counted_up(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """One Event for the same words, another for others; what is remembered is bounded."""
    async with writing(kube) as (writer, acknowledged):
        for message in ("down", "down", "up", "down"):
            writer.record_node("Warning", "Link", message)
            await acknowledged.get()
        for index in range(MAX_REMEMBERED):
            writer.record_node("Normal", "Other", str(index))
            await acknowledged.get()
        writer.record_node("Warning", "Link", "down")
        await acknowledged.get()
    events = [item for item in server.objects.values() if item["reason"] == "Link"]
    assert [(item["message"], item["count"]) for item in events] == [
        ("down", 3),
        ("up", 1),
        ("down", 1),
    ]
