"""Objects that pods refer to: once each, only what changed, and only for as long as needed."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING, Any

import pytest

from provider.pods.object_watcher import MISSING_POLL_S, POLL_S, ObjectWatcher, compute_object_put
from provider.pods.references import ObjectRef
from tests.fakes.fake_api_server import FakeAPIServer, on_api_server
from tunnel.sync import MAX_MESSAGE_BYTES, ObjectForget, ObjectPut

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from provider.kube.client import KubeClient

Json = dict[str, Any]

SECRETS = "/api/v1/namespaces/ns/secrets"
REF = ObjectRef(kind="Secret", namespace="ns", name="a")

pytestmark = pytest.mark.looptime


def make_pod(uid: str, *names: str, phase: str = "Pending") -> Json:
    """Return a pod with these pull secrets."""
    secrets = [{"name": name} for name in names]
    return {
        "metadata": {"namespace": "ns", "name": uid, "uid": uid},
        "spec": {"imagePullSecrets": secrets},
        "status": {"phase": phase},
    }


def make_secret(name: str = "a", value: str = "eA==", **fields: Any) -> Json:  # noqa: ANN401
    """Return a Secret."""
    metadata = {"namespace": "ns", "name": name, "managedFields": [{"manager": "kubectl"}]}
    return {"metadata": metadata, "type": "Opaque", "data": {"k": value}, **fields}


class Watching:
    """A watcher that runs, and what it sent."""

    def __init__(self, kube: KubeClient, *, max_watches: int) -> None:
        self.sent: asyncio.Queue[ObjectPut | ObjectForget] = asyncio.Queue()
        self.watcher = ObjectWatcher(
            kube.node_objects,
            send=self.sent.put_nowait,
            max_watches=max_watches,
            rng=random.Random(1),  # noqa: S311
        )

    async def next_put(self) -> ObjectPut:
        """Return the next message, which brings an object."""
        async with asyncio.timeout(200):
            message = await self.sent.get()
        assert isinstance(message, ObjectPut)
        return message


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
async def test_object_is_sent_once_for_all_pods_and_again_when_it_changes(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """As the node, without the API server's bookkeeping, and with its kind."""
    server.put(SECRETS, make_secret())
    async with watching(kube) as state:
        state.watcher.pod_changed(make_pod("one", "a"))
        state.watcher.pod_changed(make_pod("two", "a"))
        first = await state.next_put()
        server.change(SECRETS, "a", {"metadata": {"managedFields": []}})
        server.change(SECRETS, "a", {"data": {"k": "eQ=="}})
        second = await state.next_put()
    assert first.object is not None
    assert second.object is not None
    assert (first.kind, first.namespace, first.name) == ("Secret", "ns", "a")
    assert first.object["kind"] == "Secret"
    assert first.object["apiVersion"] == "v1"
    assert not {"managedFields", "resourceVersion"} & set(first.object["metadata"])
    assert (first.object["data"], second.object["data"]) == ({"k": "eA=="}, {"k": "eQ=="})
    assert first.revision != second.revision
    assert len(server.seen("list", "secrets")) == 1
    assert {each.user for each in server.seen("list", "secrets")} == {"system:node:site-a"}


@on_api_server
async def test_object_that_comes_late_and_goes_again(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Missing is an answer, too."""
    async with watching(kube) as state:
        state.watcher.pod_changed(make_pod("one", "a"))
        assert (await state.next_put()).object is None
        server.put(SECRETS, make_secret())
        assert (await state.next_put()).object is not None
        server.remove(SECRETS, "a")
        assert (await state.next_put()).object is None


@on_api_server
@pytest.mark.parametrize("max_watches", [0, 8])
async def test_refusal_right_after_binding_is_not_missing(
    server: FakeAPIServer, kube: KubeClient, max_watches: int
) -> None:
    """The Node authorizer learns of references a moment later, and servers fail."""
    server.put(SECRETS, make_secret())
    for verb in ("list", "get"):
        server.fail(verb, "secrets", 403, times=2)
        server.fail(verb, "secrets", 500)
    async with watching(kube, max_watches=max_watches) as state:
        state.watcher.pod_changed(make_pod("one", "a"))
        put = await state.next_put()
    assert put.object is not None


@on_api_server
async def test_objects_beyond_the_cap_are_polled(server: FakeAPIServer, kube: KubeClient) -> None:
    """A missing one sooner, and at once when another pod asks for it."""
    server.put(SECRETS, make_secret("a"))
    server.put(SECRETS, make_secret("b"))
    async with watching(kube, max_watches=1) as state:
        state.watcher.pod_changed(make_pod("one", "a"))
        await state.next_put()
        state.watcher.pod_changed(make_pod("two", "b", "c"))
        assert {(await state.next_put()).name for _ in range(2)} == {"b", "c"}
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        server.change(SECRETS, "b", {"data": {"k": "eQ=="}})
        server.put(SECRETS, make_secret("c"))
        assert (await state.next_put()).name == "c"
        assert MISSING_POLL_S * 0.9 <= loop.time() - began_at <= MISSING_POLL_S * 1.2
        assert (await state.next_put()).name == "b"
        assert POLL_S * 0.9 <= loop.time() - began_at <= POLL_S * 1.2
        server.change(SECRETS, "b", {"data": {"k": "eg=="}})
        asked_at = loop.time()
        state.watcher.pod_changed(make_pod("three", "b"))
        assert (await state.next_put()).name == "b"
        assert loop.time() - asked_at < 1
    assert len(server.seen("watch", "secrets")) == 1


@on_api_server
async def test_immutable_object_needs_no_watch(server: FakeAPIServer, kube: KubeClient) -> None:
    """Its connection is free for another."""
    server.put(SECRETS, make_secret("a", immutable=True))
    server.put(SECRETS, make_secret("b"))
    async with watching(kube, max_watches=1) as state:
        state.watcher.pod_changed(make_pod("one", "a"))
        assert (await state.next_put()).name == "a"
        state.watcher.pod_changed(make_pod("two", "b"))
        assert (await state.next_put()).name == "b"
        server.change(SECRETS, "b", {"data": {"k": "eQ=="}})
        began_at = asyncio.get_running_loop().time()
        await state.next_put()
        assert asyncio.get_running_loop().time() - began_at < 1


@on_api_server
async def test_object_is_forgotten_with_its_last_pod(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """By deletion, by its end, or because it refers to it no more; and is watched no longer."""
    server.put(SECRETS, make_secret())
    async with watching(kube) as state:
        for index in range(3):
            state.watcher.pod_changed(make_pod(f"p{index}", "a"))
        await state.next_put()
        state.watcher.pod_deleted("p0")
        state.watcher.pod_changed(make_pod("p1", "a", phase="Succeeded"))
        assert state.sent.empty()
        state.watcher.pod_changed(make_pod("p2"))
        assert state.sent.get_nowait() == ObjectForget(kind="Secret", namespace="ns", name="a")
        server.change(SECRETS, "a", {"data": {"k": "eQ=="}})
        await asyncio.sleep(2 * POLL_S)
        assert state.sent.empty()


@on_api_server
async def test_new_session_gets_only_what_differs(server: FakeAPIServer, kube: KubeClient) -> None:
    """And what nobody needs is forgotten only once all pods are known."""
    for name in ("same", "old", "new"):
        server.put(SECRETS, make_secret(name))
    async with watching(kube) as state:
        state.watcher.pod_changed(make_pod("one", "same", "old", "new"))
        revisions = {put.name: put.revision for put in [await state.next_put() for _ in range(3)]}
        state.watcher.session_ended()
        server.change(SECRETS, "old", {"data": {"k": "eQ=="}})
        await asyncio.sleep(1)
        assert state.sent.empty()
        held = {f"Secret/ns/{name}": revisions[name] for name in ("same", "old")}
        state.watcher.session_started({**held, "Secret/ns/nobody": "r", "odd": "r"})
        assert {(await state.next_put()).name for _ in range(2)} == {"old", "new"}
        assert state.sent.empty()
        state.watcher.all_pods_known()
        forgotten = {state.sent.get_nowait() for _ in range(2)}
        assert ObjectForget(kind="Secret", namespace="ns", name="nobody") in forgotten
        state.watcher.all_pods_known()
        assert state.sent.empty()


@on_api_server
async def test_name_that_cannot_be_is_missing_without_a_question(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """It must not become part of a path."""
    async with watching(kube) as state:
        state.watcher.pod_changed(make_pod("one", "../../nodes"))
        put = await state.next_put()
    assert (put.name, put.object) == ("../../nodes", None)
    assert server.requests == []


def test_object_too_large_for_the_stream_is_no_message() -> None:
    """It must not end the sync stream of all others."""
    secret = make_secret(value="x" * MAX_MESSAGE_BYTES)
    assert compute_object_put(REF, secret) is None
    assert compute_object_put(REF, make_secret()) is not None
