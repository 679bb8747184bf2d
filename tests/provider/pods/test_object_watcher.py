"""Objects that pods refer to: once each, only what changed, and only for as long as needed."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING, Any

import pytest

from provider.pods.object_watcher import MISSING_POLL_S, POLL_S, UNBOUND_POLL_S, ObjectWatcher
from tests.fakes.fake_api_server import FakeAPIServer, on_api_server
from tunnel.sync import ObjectForget, ObjectPut

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from provider.kube.client import KubeClient

Json = dict[str, Any]

SECRETS = "/api/v1/namespaces/ns/secrets"
CLAIMS = "/api/v1/namespaces/ns/persistentvolumeclaims"
VOLUMES = "/api/v1/persistentvolumes"

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
        server.change(SECRETS, "a", {"metadata": {"managedFields": [], "labels": {"x": "y"}}})
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


def make_claim_pod(uid: str, *claims: str) -> Json:
    """Return a pod with these claims."""
    volumes = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in claims]
    metadata = {"namespace": "ns", "name": uid, "uid": uid}
    return {"metadata": metadata, "spec": {"volumes": volumes}, "status": {"phase": "Pending"}}


def put_volume(server: FakeAPIServer, *, claim: str = "c", volume: str = "pv") -> None:
    """Bind a claim to a volume."""
    server.put(VOLUMES, {"metadata": {"name": volume}, "spec": {"local": {"path": "/x"}}})
    bound = {"spec": {"volumeName": volume}, "status": {"phase": "Bound"}}
    server.put(CLAIMS, {"metadata": {"name": claim}, **bound})


@on_api_server
async def test_claim_brings_its_volume_once_it_is_bound(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Neither is ever watched: a node may only get them."""
    server.put(CLAIMS, {"metadata": {"name": "c"}, "spec": {}, "status": {"phase": "Pending"}})
    async with watching(kube) as state:
        state.watcher.pod_changed(make_claim_pod("one", "c"))
        state.watcher.pod_changed(make_claim_pod("two", "c"))
        unbound = await state.next_put()
        put_volume(server)
        began_at = asyncio.get_running_loop().time()
        bound, volume = await state.next_put(), await state.next_put()
        assert asyncio.get_running_loop().time() - began_at < 2 * UNBOUND_POLL_S
        assert unbound.object is not None
        assert unbound.object["status"] == {"phase": "Pending"}
        assert bound.object is not None
        assert bound.object["spec"]["volumeName"] == "pv"
        assert (volume.kind, volume.namespace, volume.name) == ("PersistentVolume", "", "pv")
        assert volume.object is not None
        assert volume.object["spec"] == {"local": {"path": "/x"}}
        state.watcher.pod_deleted("one")
        assert state.sent.empty()
        state.watcher.pod_deleted("two")
        forgotten = {state.sent.get_nowait() for _ in range(2)}
    assert forgotten == {
        ObjectForget(kind="PersistentVolumeClaim", namespace="ns", name="c"),
        ObjectForget(kind="PersistentVolume", namespace="", name="pv"),
    }
    assert not server.seen("watch", "persistentvolume")
    assert not server.seen("list", "persistentvolume")


@on_api_server
async def test_volume_that_the_edge_holds_is_kept_until_its_claim_was_read(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """A provider that has just started knows of a volume only through the claim."""
    put_volume(server)
    server.fail("get", "persistentvolumeclaims", 503, times=3)
    async with watching(kube) as state:
        state.watcher.pod_changed(make_claim_pod("one", "c"))
        volumes = {"PersistentVolume//pv": "r", "PersistentVolume//other": "r"}
        state.watcher.session_started({**volumes, "PersistentVolumeClaim/ns/gone": "r"})
        state.watcher.all_pods_known()
        gone = ObjectForget(kind="PersistentVolumeClaim", namespace="ns", name="gone")
        assert state.sent.get_nowait() == gone
        assert state.sent.empty()
        assert (await state.next_put()).kind == "PersistentVolumeClaim"
        other = ObjectForget(kind="PersistentVolume", namespace="", name="other")
        assert state.sent.get_nowait() == other
        assert (await state.next_put()).name == "pv"


@on_api_server
async def test_claim_that_vanishes_takes_its_volume_along(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """The claim is missing; the volume is nobody's any more."""
    put_volume(server)
    async with watching(kube) as state:
        state.watcher.pod_changed(make_claim_pod("one", "c"))
        assert [(await state.next_put()).name for _ in range(2)] == ["c", "pv"]
        server.remove(CLAIMS, "c")
        assert (await state.next_put()).object is None
        assert state.sent.get_nowait() == ObjectForget(
            kind="PersistentVolume", namespace="", name="pv"
        )


@on_api_server
async def test_one_pod_with_many_kinds_of_references(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """ConfigMaps and Secrets by name, with watches; nothing is listed as a whole."""
    server.put("/api/v1/namespaces/ns/configmaps", {"metadata": {"name": "m"}, "data": {"k": "v"}})
    server.put(SECRETS, make_secret("s"))
    put_volume(server)
    pod = make_claim_pod("one", "c")
    pod["spec"]["volumes"] += [
        {"name": "m", "configMap": {"name": "m"}},
        {"name": "p", "projected": {"sources": [{"secret": {"name": "s"}}]}},
    ]
    pod["spec"]["containers"] = [{"name": "c", "envFrom": [{"configMapRef": {"name": "late"}}]}]
    async with watching(kube) as state:
        state.watcher.pod_changed(pod)
        puts = [await state.next_put() for _ in range(5)]
    found = {f"{put.kind}/{put.name}": put.object is not None for put in puts}
    assert found == {
        "ConfigMap/m": True,
        "ConfigMap/late": False,
        "Secret/s": True,
        "PersistentVolumeClaim/c": True,
        "PersistentVolume/pv": True,
    }
