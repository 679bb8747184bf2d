"""Statuses to the API, put right when others write, and deletions finished."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from provider.kube.watch import Added, Deleted, Listed, Modified, list_and_watch
from provider.pods.status_writer import CONCURRENT_CALLS, MAX_UNLISTED, StatusWriter
from tests.fakes.fake_api_server import FakeAPIServer, on_api_server
from tests.fakes.reports import make_pod, make_status
from tunnel.errors import SyncError
from tunnel.sync import (
    FromProvider,
    PodForget,
    PodGone,
    PodStatus,
    StatusAck,
    StatusDigest,
    StatusWant,
    compute_status_hash,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from provider.kube.client import KubeClient

PODS = "/api/v1/namespaces/default/pods"
DELETED = "2026-01-01T00:00:00Z"

pytestmark = pytest.mark.looptime


class Writer:
    """A running StatusWriter that is told of every pod, and what it sent to the edge."""

    def __init__(self, kube: KubeClient) -> None:
        self.sent: list[FromProvider] = []
        self.writer = StatusWriter(kube.as_node, send=self.sent.append)
        self._api = kube.as_node

    async def watch(self) -> None:
        """Tell of pods."""
        async with contextlib.aclosing(list_and_watch(self._api, "/api/v1/pods")) as events:
            async for event in events:
                match event:
                    case Listed(items=items):
                        self.writer.pods_listed({pod["metadata"]["uid"]: pod for pod in items})
                    case Added(object=pod) | Modified(object=pod):
                        self.writer.pod_changed(pod["metadata"]["uid"], pod)
                    case Deleted(object=pod):
                        self.writer.pod_deleted(pod["metadata"]["uid"])

    def status(self, uid: str, sequence: int, status: dict[str, Any]) -> None:
        """Hand over a status."""
        self.writer.status_arrived(PodStatus(uid=uid, sequence=sequence, status=status))


@contextlib.asynccontextmanager
async def writing(kube: KubeClient, *, session: bool = True) -> AsyncIterator[Writer]:
    """Run a writer whose edge has said an empty Hello."""
    running = Writer(kube)
    async with asyncio.TaskGroup() as tasks:
        started = [
            tasks.create_task(running.writer.run()),
            tasks.create_task(running.watch()),
        ]
        await asyncio.sleep(0.1)
        if session:
            running.writer.statuses_offered({})
        yield running
        for task in started:
            task.cancel()


def status_of(server: FakeAPIServer, name: str = "p") -> dict[str, Any]:
    """Return a pod's status in the API."""
    result: dict[str, Any] = server.objects[PODS, name]["status"]
    return result


def ready_of(server: FakeAPIServer) -> str:
    """Return the status of the pod's Ready condition."""
    conditions = {item["type"]: item["status"] for item in status_of(server)["conditions"]}
    return str(conditions.get("Ready"))


NOT_READY = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}


@on_api_server
async def test_a_status_is_patched_then_acknowledged(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """As the node, with the UID as precondition; an older one is dropped."""
    server.put(PODS, make_pod(uid="u"))
    async with writing(kube) as running:
        running.status("u", 2, make_status())
        await asyncio.sleep(0.5)
        assert running.sent == [StatusAck(uid="u", sequence=2)]
        running.status("u", 1, make_status("Pending"))
        await asyncio.sleep(0.5)
    assert status_of(server)["phase"] == "Running"
    (patch,) = server.seen("patch")
    assert (patch.user, patch.path) == ("system:node:site-a", f"{PODS}/p/status")
    assert patch.body["metadata"] == {"uid": "u"}


@on_api_server
async def test_what_an_older_api_server_drops_is_sent_once(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Or every watch event would cost a patch that changes nothing."""
    server.unknown_status_fields = frozenset({"resources", "observedGeneration"})
    server.put(PODS, make_pod(uid="u"))
    status = {**make_status(), "resources": {"requests": {"cpu": "1"}}, "observedGeneration": 2}
    async with writing(kube) as running:
        running.status("u", 1, status)
        await asyncio.sleep(0.5)
        for number in range(3):
            server.change(PODS, "p", {"metadata": {"labels": {"n": str(number)}}})
            await asyncio.sleep(0.5)
    assert len(server.seen("patch")) == 1


@on_api_server
async def test_what_others_write_is_put_right(server: FakeAPIServer, kube: KubeClient) -> None:
    """On the watch event, without a word from the edge."""
    server.put(PODS, make_pod(uid="u"))
    async with writing(kube) as running:
        running.status("u", 1, make_status())
        await asyncio.sleep(0.5)
        server.change(PODS, "p", NOT_READY)
        await asyncio.sleep(0.5)
        assert ready_of(server) == "True"


@on_api_server
async def test_silence_is_not_contradicted(server: FakeAPIServer, kube: KubeClient) -> None:
    """Without a session the node controller is right; with the next Hello the edge is."""
    server.put(PODS, make_pod(uid="u"))
    status = make_status()
    async with writing(kube) as running:
        running.status("u", 1, status)
        await asyncio.sleep(0.5)
        running.writer.session_ended()
        server.change(PODS, "p", NOT_READY)
        await asyncio.sleep(60)
        assert ready_of(server) == "False"
        running.sent.clear()
        digest = StatusDigest(sequence=1, hash=compute_status_hash(status))
        running.writer.statuses_offered({"u": digest})
        await asyncio.sleep(0.5)
        assert ready_of(server) == "True"
        assert running.sent == [StatusAck(uid="u", sequence=1)]


@on_api_server
async def test_hello_asks_for_what_is_not_held(server: FakeAPIServer, kube: KubeClient) -> None:
    """A body that differs is asked for, also with a lower sequence; a dead pod's is settled."""
    server.put(PODS, make_pod(uid="u"))
    async with writing(kube) as running:
        running.status("u", 7, make_status())
        await asyncio.sleep(0.5)
        running.sent.clear()
        other = StatusDigest(sequence=2, hash="other")
        running.writer.statuses_offered({"u": other, "dead": other})
        assert running.sent == [StatusWant(uid="u"), StatusAck(uid="dead", sequence=2)]
        running.status("u", 2, make_status(ip="10.88.0.9"))
        await asyncio.sleep(0.5)
        assert status_of(server)["podIP"] == "10.88.0.9"


@on_api_server
async def test_a_status_before_the_list_waits_for_it(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Whether its pod exists is not known yet; too many are refused."""
    server.put(PODS, make_pod(uid="u"))
    server.fail("list", "pods", 503, times=3)
    async with writing(kube) as running:
        running.status("u", 1, make_status())
        running.status("dead", 1, make_status())
        running.writer.pod_gone(PodGone(uid="dead", sequence=1))
        assert running.sent == []
        for index in range(MAX_UNLISTED - 2):
            running.status(f"x{index}", 1, {})
        with pytest.raises(SyncError, match="pods"):
            running.status("one more", 1, {})
        await asyncio.sleep(20)
        assert status_of(server)["phase"] == "Running"
        assert StatusAck(uid="dead", sequence=1) in running.sent
        assert PodForget(uid="dead") in running.sent


@on_api_server
async def test_a_pod_is_deleted_after_its_last_status(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Terminal first, then DELETE with grace 0 and its UID."""
    server.put(PODS, make_pod(uid="u", deletionTimestamp=DELETED))
    async with writing(kube) as running:
        running.status("u", 3, make_status())
        running.writer.pod_gone(PodGone(uid="u", sequence=4))
        await asyncio.sleep(0.5)
        assert StatusWant(uid="u") in running.sent
        assert (PODS, "p") in server.objects
        running.status("u", 4, make_status("Succeeded", ready=False))
        await asyncio.sleep(0.5)
    assert (PODS, "p") not in server.objects
    (delete,) = server.seen("delete")
    assert delete.body["gracePeriodSeconds"] == 0
    assert delete.body["preconditions"] == {"uid": "u"}
    assert server.seen("patch")[-1].body["status"]["phase"] == "Succeeded"


@on_api_server
async def test_a_pod_that_never_ran_is_failed_then_deleted(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Sequence 0: the edge never knew it."""
    server.put(PODS, make_pod(uid="u", deletionTimestamp=DELETED))
    async with writing(kube) as running:
        running.writer.pod_gone(PodGone(uid="u", sequence=0))
        await asyncio.sleep(0.5)
    assert [request.verb for request in server.requests[-2:]] == ["patch", "delete"]
    assert server.seen("patch")[0].body["status"]["phase"] == "Failed"


@on_api_server
async def test_nobody_asked_for_its_end(server: FakeAPIServer, kube: KubeClient) -> None:
    """A pod without deletionTimestamp is not deleted, whatever the edge says."""
    server.put(PODS, make_pod(uid="u"))
    async with writing(kube) as running:
        running.status("u", 1, make_status("Succeeded", ready=False))
        running.writer.pod_gone(PodGone(uid="u", sequence=1))
        await asyncio.sleep(0.5)
        assert not server.seen("delete")
        server.change(PODS, "p", {"metadata": {"deletionTimestamp": DELETED}})
        await asyncio.sleep(0.5)
        assert len(server.seen("delete")) == 1


@on_api_server
async def test_finalizers_keep_the_object_and_one_delete_is_enough(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """The finalizer's owner does the rest."""
    server.put(PODS, make_pod(uid="u", deletionTimestamp=DELETED, finalizers=["x/y"]))
    async with writing(kube) as running:
        running.writer.pod_gone(PodGone(uid="u", sequence=0))
        await asyncio.sleep(0.5)
        server.change(PODS, "p", {"metadata": {"labels": {"a": "b"}}})
        await asyncio.sleep(0.5)
    assert len(server.seen("delete")) == 1


@on_api_server
async def test_a_namesake_is_never_touched(server: FakeAPIServer, kube: KubeClient) -> None:
    """The old UID's status and deletion meet a new pod of the same name."""
    server.put(PODS, make_pod(uid="old", deletionTimestamp=DELETED))
    async with writing(kube) as running:
        gate = server.hold(f"{PODS}/p")
        running.status("old", 1, make_status("Failed", ready=False))
        running.writer.pod_gone(PodGone(uid="old", sequence=1))
        await asyncio.sleep(0.5)
        server.remove(PODS, "p")
        server.put(PODS, make_pod(uid="new"))
        gate.set()
        await asyncio.sleep(5)
        assert status_of(server)["phase"] == "Pending"
        assert StatusAck(uid="old", sequence=1) in running.sent
    assert not server.seen("delete")


@on_api_server
async def test_failures_are_tried_again_and_stay_one_pods_own(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Another pod's status passes meanwhile; nothing is acknowledged too early."""
    server.put(PODS, make_pod(uid="u"))
    server.put(PODS, make_pod("q", uid="v"))
    for code in (503, 409, 422, 500):
        server.fail("patch", f"{PODS}/p", code)
    async with writing(kube) as running:
        running.status("u", 1, make_status())
        running.status("v", 1, make_status())
        await asyncio.sleep(0.01)
        await asyncio.sleep(0)
        assert StatusAck(uid="u", sequence=1) not in running.sent
        await asyncio.sleep(20)
        assert {message.uid for message in running.sent if isinstance(message, StatusAck)} == {
            "u",
            "v",
        }
    assert status_of(server)["phase"] == "Running"


@on_api_server
async def test_a_status_that_cannot_be_handled_harms_nobody_else(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """An edge that sends nonsense for one pod."""
    server.put(PODS, make_pod(uid="u"))
    server.put(PODS, make_pod("q", uid="v"))
    async with writing(kube) as running:
        running.status("u", 1, {"phase": "Running", "conditions": "nonsense"})
        running.status("v", 1, make_status())
        await asyncio.sleep(2)
        assert status_of(server, "q")["phase"] == "Running"
        running.status("u", 2, make_status())
        await asyncio.sleep(60)
        assert status_of(server)["phase"] == "Running"


@on_api_server
async def test_calls_are_bounded_and_one_pods_are_in_order(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Eight at a time, never two of one pod; the newest status wins."""
    for index in range(40):
        server.put(PODS, make_pod(f"p{index}", uid=f"u{index}"))
    gate = server.hold("/status")
    async with writing(kube) as running:
        for sequence in (1, 2, 3):
            for index in range(40):
                running.status(f"u{index}", sequence, make_status(ip=f"10.0.0.{sequence}"))
            await asyncio.sleep(0.1)
        assert server.max_concurrent == CONCURRENT_CALLS
        assert len({request.path for request in server.seen("patch")}) == CONCURRENT_CALLS
        gate.set()
        await asyncio.sleep(5)
    assert all(item["status"]["podIP"] == "10.0.0.3" for item in server.objects.values())
    assert len(server.seen("patch")) == 40 + CONCURRENT_CALLS


@on_api_server
async def test_a_deleted_pods_status_is_settled(server: FakeAPIServer, kube: KubeClient) -> None:
    """The edge need not keep it."""
    server.put(PODS, make_pod(uid="u"))
    async with writing(kube) as running:
        running.status("u", 1, make_status())
        await asyncio.sleep(0.5)
        server.remove(PODS, "p")
        await asyncio.sleep(0.5)
        running.sent.clear()
        running.status("u", 2, make_status())
        running.writer.pod_gone(PodGone(uid="u", sequence=2))
        assert running.sent == [StatusAck(uid="u", sequence=2), PodForget(uid="u")]


@on_api_server
async def test_a_pod_that_cannot_be_written_is_said_once(
    server: FakeAPIServer, kube: KubeClient, caplog: pytest.LogCaptureFixture
) -> None:
    """While the API server is away every pod is tried again and again."""
    server.put(PODS, make_pod(uid="u"))
    server.fail("patch", f"{PODS}/p", 503, times=8)
    async with writing(kube) as running:
        running.status("u", 1, make_status())
        await asyncio.sleep(120)
    assert status_of(server)["phase"] == "Running"
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 1
