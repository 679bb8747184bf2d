"""The sync stream: desired pods down, statuses up, over the real store and workers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from edge_runtime.objects.pod import Pod, PodUID
from tests.fakes.edge_api import edge_api
from tests.fakes.edge_pods import deleted, pod_json, running_ids, until
from tests.fakes.sync_end import SyncEnd
from tests.fakes.tunnel_pair import read_all
from tunnel.errors import StreamReset
from tunnel.sync import (
    Ack,
    Desired,
    EventAck,
    EventReport,
    Hello,
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
    encode_message,
    token_key,
)
from tunnel.sync_fragments import encode_fragments

if TYPE_CHECKING:
    from pathlib import Path

PUT = PodPut(uid="u", revision="r1", pod=pod_json())


async def test_stream_begins_with_all_that_the_edge_holds(tmp_path: Path) -> None:
    """Hello, then the machine, then what is gone."""
    async with edge_api(tmp_path) as api:
        await api.run_pod()
        await api.pods.put(deleted(pod_json("old", "gone")))
        end = await SyncEnd.open(api.pair.client)
        hello = await end.receive(Hello)
        report = await end.receive(NodeReport)
        gone = await end.receive(PodGone)

    assert hello.pods == {"u": "r1"}
    assert hello.statuses["u"].sequence >= 1
    assert (hello.instance_id, hello.boot_id) == ("i" * 32, "b")
    assert report.capacity["pods"] == "110"
    assert gone == PodGone(uid="gone", sequence=0)


async def test_pod_is_on_disk_before_it_is_acknowledged(tmp_path: Path) -> None:
    """And then runs; its statuses come up as they change."""
    async with edge_api(tmp_path) as api:
        api.cri.add_image("busybox:1")
        end = await SyncEnd.open(api.pair.client)
        await end.send(PUT)
        ack = await end.receive(Ack)
        revisions = api.pods.manager.revisions()
        sequences = []
        while True:
            status = await end.receive(PodStatus)
            sequences.append(status.sequence)
            if status.status["phase"] == "Running":
                break

    assert ack == Ack(key="u", revision="r1")
    assert revisions == {"u": "r1"}
    assert sequences == sorted(set(sequences))


async def test_deleted_pod_ends_with_its_status_then_gone(tmp_path: Path) -> None:
    """The provider needs the terminal status before it may delete the object."""
    async with edge_api(tmp_path) as api:
        await api.run_pod()
        end = await SyncEnd.open(api.pair.client)
        await end.send(PodPut(uid="u", revision="r2", pod=deleted(pod_json())))
        last = None
        while not isinstance(message := await end.receive(PodStatus, PodGone), PodGone):
            last = message
        await end.send(PodForget(uid="u"))
        await until(lambda: api.pods.manager.gone() == [])

    assert last is not None
    assert last.status["phase"] in {"Failed", "Succeeded"}
    assert message == PodGone(uid="u", sequence=last.sequence)
    assert api.cri.sandboxes == {}


async def test_pod_that_was_never_here_is_gone_at_once(tmp_path: Path) -> None:
    """A tombstone first, then the answer; asked again, the same answer, and it never starts."""
    async with edge_api(tmp_path) as api:
        end = await SyncEnd.open(api.pair.client)
        await end.send(PodPut(uid="u", revision="r", pod=deleted(pod_json())))
        first = await end.receive(PodGone)
        await end.send(PUT)
        again = await end.receive(PodGone)

    assert first == again == PodGone(uid="u", sequence=0)
    assert api.cri.called("RunPodSandbox") == []


async def test_only_a_complete_list_stops_what_is_not_in_it(tmp_path: Path) -> None:
    """DESIGN §4, law 2."""
    async with edge_api(tmp_path) as api:
        await api.run_pod()
        end = await SyncEnd.open(api.pair.client)
        await end.send(Desired(pods={}, complete=False))
        await end.send(PodPut(uid="other", revision="r", pod=pod_json("other", "other")))
        await end.receive(Ack)
        running = running_ids(api.cri)
        await end.send(Desired(pods={"other": "r"}, complete=True))
        await until(lambda: api.pods.manager.get("ns", "p") is None)

    assert len(running) >= 1


async def test_wanted_status_is_sent(tmp_path: Path) -> None:
    """Hello has digests only."""
    async with edge_api(tmp_path) as api:
        await api.run_pod()
        end = await SyncEnd.open(api.pair.client)
        hello = await end.receive(Hello)
        await end.send(StatusWant(uid="u"))
        await end.send(StatusWant(uid="unknown"))
        status = await end.receive(PodStatus)

    assert (status.uid, status.sequence) == ("u", hello.statuses["u"].sequence)


async def test_acknowledged_status_and_event_are_noted(tmp_path: Path) -> None:
    """They need not be told again."""
    async with edge_api(tmp_path) as api:
        await api.run_pod()
        end = await SyncEnd.open(api.pair.client)
        hello = await end.receive(Hello)
        event = await end.receive(EventReport)
        await end.send(EventAck(id=event.id))
        await end.send(StatusAck(uid="u", sequence=hello.statuses["u"].sequence))
        await until(lambda: event.id not in {each.id for each in api.pods.recorder.pending()})
        await until(lambda: api.pods.statuses.unacknowledged() == 0)


async def test_message_of_a_later_part_changes_nothing(tmp_path: Path) -> None:
    """The stream goes on."""
    async with edge_api(tmp_path) as api:
        end = await SyncEnd.open(api.pair.client)
        await end.send(NodePut(revision="1", name="site-a"))
        await end.send(StatusWant(uid="unknown"))
        await end.send(PUT)
        ack = await end.receive(Ack)

    assert ack.key == "u"


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xff\xff\xff\x00",
        next(iter(encode_fragments(b"{not json"))),
        next(iter(encode_fragments(b'{"type":"Reboot"}'))),
        next(iter(encode_fragments(b'{"type":"PodPut","uid":7}'))),
    ],
)
async def test_message_that_cannot_be_read_resets_the_stream(tmp_path: Path, data: bytes) -> None:
    """Nothing is guessed; the next stream begins anew."""
    async with edge_api(tmp_path) as api:
        end = await SyncEnd.open(api.pair.client)
        await end.stream.write(data)
        with pytest.raises(StreamReset):
            await read_all(end.stream)
        again = await SyncEnd.open(api.pair.client)
        hello = await again.receive(Hello)

    assert hello.protocol == 1


async def test_torn_message_at_the_end_is_refused(tmp_path: Path) -> None:
    """Half a message is none."""
    async with edge_api(tmp_path) as api:
        end = await SyncEnd.open(api.pair.client)
        await end.stream.write(next(iter(encode_fragments(encode_message(PUT))))[:-1])
        await end.stream.close_write()
        with pytest.raises(StreamReset):
            await read_all(end.stream)
        revisions = api.pods.manager.revisions()

    assert revisions == {}


async def test_newest_stream_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    """Two would tell everything twice."""
    async with edge_api(tmp_path) as api:
        old = await SyncEnd.open(api.pair.client)
        await old.receive(NodeReport)
        new = await SyncEnd.open(api.pair.client)
        with pytest.raises(StreamReset):
            await read_all(old.stream)
        await new.receive(NodeReport)
        await new.send(PUT)
        ack = await new.receive(Ack)

    assert ack.key == "u"


async def test_ended_stream_is_ended_in_return(tmp_path: Path) -> None:
    """An orderly goodbye."""
    async with edge_api(tmp_path) as api:
        end = await SyncEnd.open(api.pair.client)
        await end.receive(NodeReport)
        await end.stream.close_write()
        async with asyncio.timeout(5):
            await read_all(end.stream)


async def test_stopped_handler_ends_its_stream_and_begins_no_other(tmp_path: Path) -> None:
    """A planned stop waits for people's calls, and this stream would never end by itself."""
    async with edge_api(tmp_path) as api:
        end = await SyncEnd.open(api.pair.client)
        await end.receive(NodeReport)
        api.sync.stop()
        with pytest.raises(StreamReset):
            await read_all(end.stream)
        again = await api.pair.request("/sync", method="CONNECT", protocol="edgelet.sync.v1")
        head = await again.response()

    assert head.status == 503


async def test_other_protocol_is_refused(tmp_path: Path) -> None:
    """Before anything is told."""
    async with edge_api(tmp_path) as api:
        stream = await api.pair.request("/sync", method="CONNECT", protocol="edgelet.sync.v9")
        head = await stream.response()

    assert head.status == 400


async def test_pods_survive_the_loss_of_the_stream(tmp_path: Path) -> None:
    """A connection that breaks deletes nothing."""
    async with edge_api(tmp_path) as api:
        api.cri.add_image("busybox:1")
        end = await SyncEnd.open(api.pair.client)
        await end.send(PUT)
        await end.receive(Ack)
        end.stream.reset()
        again = await SyncEnd.open(api.pair.client)
        hello = await again.receive(Hello)
        pod = api.pods.manager.get("ns", "p", PodUID("u"))

    assert hello.pods == {"u": "r1"}
    assert pod is not None


async def test_own_node_is_on_disk_for_the_next_pod(tmp_path: Path) -> None:
    """Admission asks for the newest one, also while the cloud is away."""
    put = NodePut(revision="r", name="edge", labels={"zone": "a"})
    async with edge_api(tmp_path) as api:
        end = await SyncEnd.open(api.pair.client)
        await end.send(put)
        await until(lambda: api.pods.parts.stores.own_node.node is not None)
        node = api.pods.parts.stores.own_node.node
    assert node is not None
    assert (node.name, node.labels) == ("edge", {"zone": "a"})


async def test_object_is_on_disk_before_it_is_acknowledged_until_it_is_forgotten(
    tmp_path: Path,
) -> None:
    """And the next Hello tells of it."""
    put = ObjectPut(kind="Secret", namespace="ns", name="a", revision="r", object={"data": {}})
    async with edge_api(tmp_path) as api:
        end = await SyncEnd.open(api.pair.client)
        await end.send(put)
        ack = await end.receive(Ack)
        held = api.pods.parts.stores.objects.revisions()
        again = await SyncEnd.open(api.pair.client)
        hello = await again.receive(Hello)
        await again.send(ObjectForget(kind="Secret", namespace="ns", name="a"))
        await until(lambda: api.pods.parts.stores.objects.revisions() == {})

    assert ack == Ack(key="Secret/ns/a", revision="r")
    assert held == hello.objects == {"Secret/ns/a": "r"}


async def test_services_are_named_by_their_revision(tmp_path: Path) -> None:
    """So that only what changed is sent again; a namespace that nobody needs is forgotten."""
    web = {"metadata": {"namespace": "ns", "name": "web"}, "spec": {"clusterIP": "10.0.0.7"}}
    async with edge_api(tmp_path) as api:
        services = api.pods.parts.stores.services
        end = await SyncEnd.open(api.pair.client)
        await end.send(ServicesPut(namespace="ns", services=[web], complete=True, revision="r1"))
        await until(lambda: services.get("ns") == (web,))
        again = await SyncEnd.open(api.pair.client)
        hello = await again.receive(Hello)
        await again.send(ServicesPut(namespace="ns", services=[], complete=False))
        await until(lambda: services.get("ns") is None)

    assert hello.services["ns"] == "r1"


WANT = TokenWant(pod_uid="u", service_account="default", audiences=["vault"], expiry_s=600)
TOKEN = TokenPut(
    key=token_key(WANT),
    token="t1",
    expiry="2126-01-01T00:10:00Z",
    issued_at="2126-01-01T00:00:00Z",
)


async def test_token_is_asked_for_once_it_is_wanted(tmp_path: Path) -> None:
    """And named by the next Hello with its expiry, not with itself."""
    async with edge_api(tmp_path) as api:
        tokens = api.pods.parts.stores.tokens
        end = await SyncEnd.open(api.pair.client)
        await end.receive(NodeReport)
        async with asyncio.TaskGroup() as group:
            pod = Pod(pod_json())
            waiting = group.create_task(tokens.token(pod, audience="vault", expiry_s=600))
            want = await end.receive(TokenWant)
            await end.send(TOKEN)
        again = await SyncEnd.open(api.pair.client)
        hello = await again.receive(Hello)

    assert want == WANT
    assert waiting.result() == "t1"
    assert hello.tokens == {token_key(WANT): "2126-01-01T00:10:00Z"}
    assert "t1" not in str(hello)


async def test_want_that_was_not_answered_is_told_on_the_next_stream(tmp_path: Path) -> None:
    """It, or its answer, was lost with the link."""
    async with edge_api(tmp_path) as api:
        tokens = api.pods.parts.stores.tokens
        async with asyncio.TaskGroup() as group:
            pod = Pod(pod_json())
            waiting = group.create_task(tokens.token(pod, audience="vault", expiry_s=600))
            first = await SyncEnd.open(api.pair.client)
            wants = [await first.receive(TokenWant)]
            second = await SyncEnd.open(api.pair.client)
            wants.append(await second.receive(TokenWant))
            await second.send(TOKEN)

    assert wants == [WANT, WANT]
    assert waiting.result() == "t1"


async def test_token_goes_with_its_pod(tmp_path: Path) -> None:
    """From the disk, too: nothing of it is in the next Hello, nor in the next process."""
    async with edge_api(tmp_path) as api:
        await api.run_pod()
        tokens = api.pods.parts.stores.tokens
        end = await SyncEnd.open(api.pair.client)
        async with asyncio.TaskGroup() as group:
            group.create_task(tokens.token(Pod(pod_json()), audience="vault", expiry_s=600))
            await end.receive(TokenWant)
            await end.send(TOKEN)
        held = tokens.expiries()
        await end.send(PodPut(uid="u", revision="r2", pod=deleted(pod_json())))
        await end.receive(PodGone)
        kept = await api.pods.database.run(lambda c: c.execute("SELECT * FROM tokens").fetchall())

    assert list(held) == [token_key(WANT)]
    assert tokens.expiries() == {}
    assert kept == []
