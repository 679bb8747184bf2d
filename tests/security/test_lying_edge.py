"""An edge that holds its site's certificate, speaks the tunnel, and lies.

What it says of its own pods and its own machine is for it to say: it runs them. Nothing else may
come of it, and nobody else may suffer from it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from provider import app
from provider.kubelet_api import forward, server
from provider.pods import edge_claims, sync_stream
from tests.fakes import spdy
from tests.fakes.fake_edge import make_hello
from tests.fakes.lying_edge import LyingSite, RawEdge, SyncLiar, lying_site
from tests.fakes.reports import make_pod, make_report, make_status
from tunnel import sync
from tunnel.errors import TunnelError
from tunnel.protocol import ResponseHead
from tunnel.sync import EventReport, PodGone, PodStatus, TokenWant, encode_message

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.fakes.kubelet_port import RawClient
    from tunnel.stream import Stream

pytestmark = pytest.mark.timeout(90)

PODS = "/api/v1/namespaces/default/pods"
KUBE_SYSTEM_PODS = "/api/v1/namespaces/kube-system/pods"
NODES = "/api/v1/nodes"
EVENTS = "/api/v1/namespaces/default/events"
LOGS = "/containerLogs/default/p/c"
EXEC = "/exec/default/p/c"
SPDY = (
    "Connection: Upgrade",
    "Upgrade: SPDY/3.1",
    "X-Stream-Protocol-Version: v4.channel.k8s.io",
)
ESCAPES = "\x1b[2J\x1b]0;title\x07\r\n\x00\x9b\u202e"
EXIT_0 = b'{"metadata":{},"status":"Success"}'


@pytest.fixture(autouse=True)
def _stop_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "DRAIN_S", 0.1)


async def until(condition: Callable[[], object]) -> None:
    """Wait for what only the fake API server can show."""
    async with asyncio.timeout(15):
        while not condition():  # noqa: ASYNC110  # a plain dict tells nobody
            await asyncio.sleep(0.01)


def put_pods(site: LyingSite) -> None:
    """Let the site have a pod, and another node one, too."""
    site.api.put(PODS, make_pod("p", uid="own"))
    foreign = make_pod("foreign", uid="foreign", deletionTimestamp="2026-01-01T00:00:00Z")
    foreign["spec"]["nodeName"] = "site-b"
    site.api.put(KUBE_SYSTEM_PODS, foreign)


def phase(site: LyingSite, name: str = "p", pods: str = PODS) -> str:
    """Return what the API server holds."""
    return str(site.api.objects[pods, name]["status"]["phase"])


async def works_on(site: LyingSite, liar: SyncLiar, *, sequence: int = 1000) -> None:
    """See an honest call and an honest status go through."""
    await liar.send(PodStatus(uid="own", sequence=sequence, status=make_status()))
    await until(lambda: phase(site) == "Running")
    assert await site.answers()


def writes(site: LyingSite, *parts: str) -> list[tuple[str, str]]:
    """Return the verbs and paths of writes to any of these."""
    return [
        (each.verb, each.path)
        for each in site.api.requests
        if each.verb in ("create", "update", "patch", "delete")
        and any(part in each.path for part in parts)
    ]


# What it says of pods.


@pytest.mark.parametrize("uid", ["foreign", "nobody", "", "../../nodes/site-b", "x" * 1_000_000])
async def test_pods_that_are_not_its_own_are_nobodys_business_of_its(
    tmp_path: Path, uid: str
) -> None:
    """Neither a status nor an end of them reaches the API server."""
    async with lying_site(tmp_path) as site, site.edge() as edge:
        put_pods(site)
        liar = await edge.sync()
        await liar.send(PodStatus(uid=uid, sequence=1, status=make_status("Failed")))
        await liar.send(PodGone(uid=uid, sequence=1))
        await works_on(site, liar)
        assert phase(site, "foreign", KUBE_SYSTEM_PODS) == "Pending"
        assert {path for _, path in writes(site, "/pods")} == {f"{PODS}/p/status"}


async def test_pod_that_nobody_wants_gone_is_not_deleted(tmp_path: Path) -> None:
    """Its object is its owner's: only who deletes it lets the node finish that."""
    async with lying_site(tmp_path) as site, site.edge() as edge:
        put_pods(site)
        liar = await edge.sync()
        await liar.send(PodGone(uid="own", sequence=0))
        await works_on(site, liar)
        assert site.api.seen("delete", "/pods/") == []


async def test_terminal_pod_is_not_brought_back_to_life(tmp_path: Path) -> None:
    """A Job that has ended has ended."""
    async with lying_site(tmp_path) as site, site.edge() as edge:
        site.api.put(PODS, make_pod("p", uid="own") | {"status": {"phase": "Succeeded"}})
        liar = await edge.sync()
        await liar.send(PodStatus(uid="own", sequence=1, status=make_status()))
        await liar.send(PodStatus(uid="own", sequence=2, status=make_status("Failed")))
        await asyncio.sleep(0.5)
        assert await site.answers()
        assert phase(site) == "Succeeded"


async def test_conditions_of_others_are_not_the_edges_to_set(tmp_path: Path) -> None:
    """A readiness gate is opened by whoever owns it."""
    gate = {"type": "example.com/gate", "status": "True"}
    status = make_status()
    async with lying_site(tmp_path) as site, site.edge() as edge:
        put_pods(site)
        liar = await edge.sync()
        lie = status | {"conditions": [*status["conditions"], gate]}
        await liar.send(PodStatus(uid="own", sequence=1, status=lie))
        await works_on(site, liar)
        conditions = site.api.objects[PODS, "p"]["status"]["conditions"]
        assert "example.com/gate" not in {each["type"] for each in conditions}


async def test_statuses_speak_to_no_terminal(tmp_path: Path) -> None:
    """`kubectl describe` shows them as they are."""
    status = make_status() | {"message": f"a{ESCAPES}b", "reason": ESCAPES}
    async with lying_site(tmp_path) as site, site.edge() as edge:
        put_pods(site)
        liar = await edge.sync()
        await liar.send(PodStatus(uid="own", sequence=1, status=status))
        await until(lambda: phase(site) == "Running")
        written = site.api.objects[PODS, "p"]["status"]
        for text in (written["message"], written["reason"]):
            assert text.replace("\n", "").isprintable()
        assert await site.answers()


@pytest.mark.parametrize(
    "status",
    [
        {"conditions": "nonsense"},
        {"conditions": ["nonsense"]},
        {"conditions": [{}]},
        {"containerStatuses": {"a": 1}},
        {"podIPs": [1]},
        {"resources": ["x"]},
        {"message": "x" * edge_claims.MAX_STATUS_BYTES},
        {"deep": json.loads("[" * 60 + "]" * 60)},
    ],
)
async def test_status_that_is_none_is_refused_alone(tmp_path: Path, status: dict[str, Any]) -> None:
    """The next one is taken, and so are those of other pods."""
    async with lying_site(tmp_path) as site, site.edge() as edge:
        put_pods(site)
        liar = await edge.sync()
        lie = {"phase": "Failed"} | status
        await liar.send(PodStatus(uid="own", sequence=1, status=lie))
        await works_on(site, liar)
        assert [each.body["status"]["phase"] for each in site.api.seen("patch", "/pods/")] == [
            "Running"
        ]


# What it says of its machine.


@pytest.mark.parametrize(
    "changes",
    [
        {"capacity": {"cpu": "-1"}},
        {"capacity": {"cpu": "lots"}},
        {"allocatable": {"memory": "9e99"}},
        {"capacity": {"cpu\r\nevil": "1"}},
        {"capacity": {f"example.com/{number}": "1" for number in range(100)}},
        {"conditions": [{"type": "Ready"}]},
        {"conditions": [{"type": "Ready", "status": "Perhaps"}]},
        {"node_info": {"operatingSystem": "linux\nevil"}},
        {"node_info": {"architecture": ["amd64"]}},
        {"images": [{"names": ["x" * 1_000_000]}]},
    ],
)
async def test_machine_that_cannot_be_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Its sync stream ends; the Node stays as it was, and the next report is taken."""
    async with lying_site(tmp_path) as site, site.edge() as edge:
        put_pods(site)
        liar = await edge.sync()
        await liar.send(make_report(**changes))
        await liar.closed()
        assert (NODES, "site-a") not in site.api.objects
        liar = await edge.sync()
        await liar.send(make_report())
        await until(lambda: (NODES, "site-a") in site.api.objects)
        await works_on(site, liar)


async def test_labels_taints_addresses_and_others_conditions_are_not_its_to_set(
    tmp_path: Path,
) -> None:
    """It may send them; nobody reads them."""
    report = make_report()
    lie = json.loads(encode_message(report)) | {
        "labels": {"node-role.kubernetes.io/control-plane": ""},
        "annotations": {"evil": "yes"},
        "taints": [],
        "addresses": [{"type": "InternalIP", "address": "198.51.100.66"}],
        "host_addresses": ["198.51.100.66"],
        "spec": {"podCIDRs": ["0.0.0.0/0"]},
        "daemon_endpoints": {"kubeletEndpoint": {"Port": 1}},
    }
    lie["conditions"] += [
        {"type": "EdgeletTunnelReady", "status": "False", "message": "forged"},
        {"type": "NetworkUnavailable", "status": "True"},
    ]
    lie["conditions"][0]["message"] = ESCAPES
    lie["node_info"]["kubeletVersion"] = "v9.9.9"
    async with lying_site(tmp_path) as site, site.edge() as edge:
        liar = await edge.sync()
        await liar.send_payload(json.dumps(lie).encode())
        await until(lambda: (NODES, "site-a") in site.api.objects)
        node = site.api.objects[NODES, "site-a"]
        assert "node-role.kubernetes.io/control-plane" not in node["metadata"]["labels"]
        assert "evil" not in node["metadata"]["annotations"]
        assert [each["key"] for each in node["spec"]["taints"]] == ["edgelet.dev/site"]
        assert "podCIDRs" not in node["spec"]
        status = node["status"]
        assert status["addresses"] == [{"type": "InternalIP", "address": "127.0.0.1"}]
        assert status["daemonEndpoints"]["kubeletEndpoint"]["Port"] != 1
        assert status["nodeInfo"]["kubeletVersion"] != "v9.9.9"
        conditions = {each["type"]: each for each in status["conditions"]}
        assert conditions["EdgeletTunnelReady"]["status"] == "True"
        assert "NetworkUnavailable" not in conditions
        assert conditions["MemoryPressure"]["message"].replace("\n", "").isprintable()
        assert await site.answers()


# Events.


def event(number: int = 0, **changes: Any) -> EventReport:  # noqa: ANN401 - any field
    """Return an event about the site's own pod."""
    regarding = {"kind": "Pod", "namespace": "default", "name": "p", "uid": "own"}
    fields: dict[str, Any] = {
        "id": f"e{number}",
        "regarding": regarding,
        "event_type": "Normal",
        "reason": "Pulled",
        "message": "m",
        "count": 1,
        "first_timestamp": "2026-01-01T00:00:00Z",
        "last_timestamp": "2026-01-01T00:00:00Z",
    }
    return EventReport(**(fields | changes))


@pytest.mark.parametrize(
    "lie",
    [
        {"regarding": {"kind": "Pod", "namespace": "kube-system", "name": "foreign",
                       "uid": "foreign"}},
        {"regarding": {"kind": "Pod", "namespace": "kube-system", "name": "p", "uid": "own"}},
        {"regarding": {"kind": "Node", "name": "site-b", "uid": "site-b"}},
        {"regarding": {"kind": "Secret", "namespace": "default", "name": "p", "uid": "own"}},
        {"regarding": {"kind": "Pod", "uid": ["own"]}},
        {"regarding": {}},
        {"event_type": "Alarming"},
        {"id": "provider/1/1"},
    ],
)  # fmt: skip
async def test_events_about_others_are_not_written(tmp_path: Path, lie: dict[str, Any]) -> None:
    """NodeRestriction would let a node write them about anything."""
    async with lying_site(tmp_path) as site, site.edge() as edge:
        put_pods(site)
        liar = await edge.sync()
        await liar.send(event(1, **lie))
        await liar.send(event(2))
        await until(lambda: any(path == EVENTS for path, _ in site.api.objects))
        await works_on(site, liar)
        written = [
            each["involvedObject"]
            for (path, _), each in site.api.objects.items()
            if path.endswith("/events") and each["involvedObject"]["kind"] != "Node"
        ]
        assert [each["uid"] for each in written] == ["own"]


async def test_event_is_bounded_and_speaks_to_no_terminal(tmp_path: Path) -> None:
    """And refers to the pod that there is, by nothing but its names."""
    regarding = event().regarding | {"apiVersion": "evil/v1", "resourceVersion": "1"}
    lie = event(
        regarding=regarding | {"fieldPath": ESCAPES},
        reason=ESCAPES + "r" * 10_000,
        message=ESCAPES + "m" * 1_000_000,
        count=1 << 40,
    )
    async with lying_site(tmp_path) as site, site.edge() as edge:
        put_pods(site)
        liar = await edge.sync()
        await liar.send(lie)

        def mine() -> list[dict[str, Any]]:
            return [
                each
                for (path, _), each in site.api.objects.items()
                if path == EVENTS and each["involvedObject"]["kind"] == "Pod"
            ]

        await until(mine)
        (written,) = mine()
        reference = written["involvedObject"]
        assert set(reference) == {"apiVersion", "kind", "namespace", "name", "uid", "fieldPath"}
        assert reference["apiVersion"] == "v1"
        for text in (written["reason"], written["message"], reference["fieldPath"]):
            assert text.replace("\n", "").isprintable()
            assert len(text) <= 1024
        assert written["count"] < 1 << 31


async def test_floods_are_paced_and_hold_up_nobody(tmp_path: Path) -> None:
    """Of events, statuses and reports: the API server gets so many, and other calls go through."""
    async with lying_site(tmp_path) as site, site.edge() as edge:
        put_pods(site)
        site.api.put(PODS, make_pod("q", uid="other"))
        liar = await edge.sync()
        began = asyncio.get_running_loop().time()
        for number in range(3000):
            await liar.send(event(number, message=str(number)))
            status = make_status(ip=f"10.0.{number >> 8}.{number & 255}")
            await liar.send(PodStatus(uid="own", sequence=number + 1, status=status))
            await liar.send(make_report(capacity={"cpu": str(number)}))
        await liar.send(PodStatus(uid="other", sequence=1, status=make_status()))
        await until(lambda: phase(site, "q") == "Running")
        assert await site.answers()
        took_s = asyncio.get_running_loop().time() - began
        assert len(writes(site, "/events")) <= 110 + 6 * took_s
        assert len(writes(site, "/pods/p/status")) <= 210 + 101 * took_s
        assert len(writes(site, "/nodes/site-a/status")) <= 20 + 2 * took_s


# The sync stream itself.


async def _tail(liar: SyncLiar, *pieces: bytes, times: int = 1) -> None:
    """Send fragments until the provider has had enough, and raise what it ended the stream with."""
    async with asyncio.timeout(60):
        for _ in range(times):
            for piece in pieces:
                await liar.stream.write(piece)
        await liar.stream.wait_closed()
        await liar.stream.flush()


async def _speak_of_nobody(liar: SyncLiar) -> None:
    for number in range(200_000):
        uid = f"{number}-{'x' * 200}"
        await liar.send(PodStatus(uid=uid, sequence=1, status={}))


LARGEST = b"\x00\x00\xff\xfb\x01" + b" " * 0xFFFB


@pytest.mark.parametrize(
    ("pieces", "times"),
    [
        ((LARGEST,), 200),
        ((b"\x00\x00\x00\x00\x01" * 10_000,), 1),
        ((b"\x00\x00\x00\x01\x01 " * 10_000,), 1000),
        ((b"\xff\xff\xff\xff\x01",), 1),
        ((b"\x00\x00\x00\x02\x04{}",), 1),
        ((b"\x00\x00\x00\x02\x00{}",), 1),
        ((b'\x00\x00\x00\x11\x00{"type":"Secrets"}',), 1),
        ((b"\x00\x00\x00\x02\x00\xff\xfe",), 1),
    ],
    ids=["10 MB", "empty ones", "small ones", "4 GB", "flags", "no type", "unknown type", "bytes"],
)
async def test_fragments_without_end_or_sense_end_the_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pieces: tuple[bytes, ...], times: int
) -> None:
    """Only the stream: the session's other calls go on, and the next stream is taken."""
    if len(pieces[0]) < 65536:
        # A message of small fragments takes long to grow; it need not grow as far as others.
        monkeypatch.setattr(sync, "MAX_MESSAGE_BYTES", 1 << 20)
    async with lying_site(tmp_path) as site, site.edge() as edge:
        put_pods(site)
        liar = await edge.sync()
        with pytest.raises(TunnelError):
            await _tail(liar, *pieces, times=times)
        assert await site.answers()
        await works_on(site, await edge.sync())


async def test_edge_that_reads_no_answers_loses_its_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each unknown pod is an answer that waits; they are not kept for ever."""
    monkeypatch.setattr(sync_stream, "MAX_WAITING", 500)
    async with lying_site(tmp_path) as site, site.edge() as edge:
        put_pods(site)
        edge.reads_sync = False
        liar = await edge.sync()
        with pytest.raises(TunnelError):
            await _speak_of_nobody(liar)
        edge.reads_sync = True
        await works_on(site, await edge.sync())


async def test_hello_with_more_pods_than_there_are_is_refused(tmp_path: Path) -> None:
    """A comparison with each of them would be an answer each."""
    many = {str(number): "r" for number in range(edge_claims.MAX_PODS + 1)}
    async with lying_site(tmp_path) as site, site.edge() as edge:
        put_pods(site)
        liar = await edge.sync(make_hello(pods=many))
        await liar.closed()
        await works_on(site, await edge.sync())


@pytest.mark.parametrize("pod_uid", ["own", "foreign", "nobody"])
async def test_tokens_are_not_to_be_had_by_asking(tmp_path: Path, pod_uid: str) -> None:
    """No token is requested at the API server, for whatever pod or audience."""
    async with lying_site(tmp_path) as site, site.edge() as edge:
        put_pods(site)
        liar = await edge.sync()
        for _ in range(100):
            await liar.send(
                TokenWant(
                    pod_uid=pod_uid,
                    service_account="default",
                    audiences=["https://kubernetes.default.svc", "vault"],
                    expiry_s=1 << 40,
                )
            )
        await works_on(site, liar)
        assert writes(site, "/token", "/serviceaccounts") == []


# What it answers to calls.


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (b"302", [(b"location", b"https://evil.example/")], b""),
        (b"307", [(b"location", b"https://evil.example/")], b""),
        (b"304", [], b""),
        (b"204", [], b"HTTP/1.1 200 OK\r\n\r\nforged"),
        (b"205", [], b"HTTP/1.1 200 OK\r\n\r\nforged"),
        (b"200", [(b"content-type", b"text/plain\r\nset-cookie: a=b")], b"x"),
        (b"200", [(b"content-type", b"text/plain\x00")], b"x"),
        (b"200", [(b"content-type", b"\x1b[31mtext/plain")], b"x"),
        (b"200", [(b"content-type\r\nx", b"y")], b"x"),
        (b"200", [(b"content-length", b"1"), (b"content-length", b"100")], b"x"),
        (b"200", [(b"content-length", b"+1")], b"x"),
        (b"200", [(b"content-length", b"1_0")], b"xxxxxxxxxx"),
        (b"200", [(b"transfer-encoding", b"chunked")], b"0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
        (b"200", [(b"connection", b"upgrade"), (b"upgrade", b"SPDY/3.1")], b"x"),
        (b"200", [(b"warning", b"x" * 60_000)], b"x"),
        (b"200", [(b"x-%d" % number, b"y" * 900) for number in range(100)], b"x"),
        (b"999", [], b"x"),
        (b"abc", [], b"x"),
    ],
)
async def test_answers_that_no_kubelet_gives_are_not_passed_on(
    tmp_path: Path, status: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    """The caller gets an error of the provider's own, and the next call its answer."""

    def lie(edge: RawEdge, stream_id: int) -> None:
        edge.respond(stream_id, status, *headers)
        edge.h2.send_data(stream_id, body, end_stream=True)

    async with lying_site(tmp_path) as site:
        async with site.raw_edge({LOGS: lie}):
            answer, fields, text = await site.ask(LOGS)
        assert answer in (500, 502, 503)
        assert not {"location", "set-cookie", "upgrade"} & set(fields)
        assert b"forged" not in text
        async with site.edge():
            assert await site.answers()


@pytest.mark.parametrize("lines", [(), SPDY], ids=["plain", "upgrade"])
async def test_switch_that_nobody_asked_for_is_none(tmp_path: Path, lines: tuple[str, ...]) -> None:
    """101 is no answer within the tunnel, whatever was asked; what follows it is one."""

    def lie(edge: RawEdge, stream_id: int) -> None:
        edge.respond(stream_id, b"101", (b"sec-websocket-accept", b"x"))
        edge.respond(stream_id, b"500", (b"content-type", b"text/plain"))
        edge.h2.send_data(stream_id, b"no", end_stream=True)

    path = EXEC + "?command=sh&output=1" if lines else LOGS
    async with lying_site(tmp_path) as site:
        async with site.raw_edge({EXEC: lie, LOGS: lie}):
            answer, fields, _ = await site.ask(path, *lines)
        assert answer in (500, 503)
        assert "upgrade" not in fields
        async with site.edge():
            assert await site.answers()


@pytest.mark.parametrize(
    "headers",
    [
        (("x-stream-protocol-version", "v1.channel.k8s.io"),),
        (("x-stream-protocol-version", "v4.channel.k8s.io, v1.channel.k8s.io"),),
        (
            ("x-stream-protocol-version", "v4.channel.k8s.io"),
            ("x-stream-protocol-version", "v1.channel.k8s.io"),
        ),
    ],
)
async def test_subprotocol_that_nobody_offered_is_refused(
    tmp_path: Path, headers: tuple[tuple[str, str], ...]
) -> None:
    """In an older one an empty error stream is success."""

    async def lie(stream: Stream) -> None:
        await stream.respond(ResponseHead(status=200, headers=headers))
        await stream.wait_closed()

    async with lying_site(tmp_path) as site, site.edge() as edge:
        edge.lies[EXEC] = lie
        answer, _, _ = await site.ask(EXEC + "?command=sh&output=1", *SPDY, method="POST")
        assert answer == 502
        assert await site.answers()


@pytest.mark.parametrize("lines", [(), SPDY], ids=["plain", "upgrade"])
async def test_refusals_speak_to_no_terminal_and_have_an_end(
    tmp_path: Path, lines: tuple[str, ...]
) -> None:
    """`kubectl` prints what it is refused with."""

    async def lie(stream: Stream) -> None:
        head = ResponseHead(status=403, headers=(("content-type", "text/plain"),))
        await stream.respond(head)
        while True:
            await stream.write(ESCAPES.encode() + b"no " * 10_000)

    path = EXEC + "?command=sh&output=1" if lines else LOGS
    async with lying_site(tmp_path) as site, site.edge() as edge:
        edge.lies |= {EXEC: lie, LOGS: lie}
        answer, fields, text = await site.ask(path, *lines)
        assert answer == 403
        assert fields["content-type"] == "text/plain"
        assert len(text) <= 70_000
        assert text.decode().replace("\n", "").isprintable()
        assert await site.answers()


async def test_flood_of_heads_ends_the_session(tmp_path: Path) -> None:
    """1xx heads carry nothing, however many come."""

    def lie(edge: RawEdge, stream_id: int) -> None:
        for _ in range(12_000):
            edge.respond(stream_id, b"103", (b"link", b"x"))

    async with lying_site(tmp_path) as site:
        async with site.raw_edge({LOGS: lie}) as ended:
            answer, _, _ = await site.ask(LOGS)
            async with asyncio.timeout(20):
                await ended.wait()
        assert answer == 503
        async with site.edge():
            assert await site.answers()


async def test_exit_code_on_a_stream_that_is_not_its_own_is_none(tmp_path: Path) -> None:
    """A stream that the provider never opened ends the session; a running exec does not succeed."""
    forged = spdy.data_frame(1, EXIT_0, fin=True)

    def accept(edge: RawEdge, stream_id: int) -> None:
        edge.respond(stream_id, b"200", (b"x-stream-protocol-version", b"v4.channel.k8s.io"))

    def lie(edge: RawEdge, stream_id: int) -> None:
        for other in (stream_id + 2, stream_id + 100):
            # The library knows its streams; the frame is made by hand.
            head = len(forged).to_bytes(3, "big") + b"\x00\x01" + other.to_bytes(4, "big")
            edge.h2._data_to_send += head + forged

    async with lying_site(tmp_path) as site:
        async with site.raw_edge({EXEC: accept, LOGS: lie}), site.client() as client:
            await client.request("POST", EXEC + "?command=sh&output=1", *SPDY)
            assert (await client.head())[0] == 101
            client.writer.write(spdy.HeaderWriter().syn_stream(1, {"streamtype": "error"}))
            await client.writer.drain()
            await asyncio.sleep(0.2)
            assert (await site.ask(LOGS))[0] == 503
            rest = await client.rest()
        assert EXIT_0 not in rest
        assert json.loads(spdy.stream_bytes(rest, 1))["status"] == "Failure"
        async with site.edge():
            assert await site.answers()


# Bodies without end.


async def _endless(stream: Stream) -> None:
    await stream.respond(ResponseHead(status=200, headers=(("content-type", "application/json"),)))
    piece = b" " * 65536
    while True:
        await stream.write(piece)


async def test_10_gb_that_are_announced_are_refused_at_once(tmp_path: Path) -> None:
    """Before one byte of them is read."""

    async def lie(stream: Stream) -> None:
        await stream.respond(ResponseHead(status=200, headers=(("content-length", str(10 << 30)),)))
        await stream.wait_closed()

    async with lying_site(tmp_path) as site, site.edge() as edge:
        edge.lies["/pods"] = lie
        answer, _, text = await site.ask("/pods")
        assert (answer, b"10737418240 bytes" in text) == (502, True)
        assert await site.answers()


async def test_10_gb_to_pods_are_cut_off_in_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection breaks, so that nobody takes it for a list; other calls go on meanwhile."""
    limit = forward.MAX_LIST_BYTES // 4
    monkeypatch.setattr(server, "MAX_LIST_BYTES", limit)
    process = psutil.Process()
    async with lying_site(tmp_path) as site, site.edge() as edge, site.client() as client:
        edge.lies["/pods"] = _endless
        assert await site.answers()
        before_bytes = process.memory_info().rss
        await client.request("GET", "/pods")
        assert (await client.head())[0] == 200
        received, tail, slowest_s = await _read_beside_others(site, client)
        assert received <= limit + (2 << 20)
        assert b"0\r\n\r\n" not in tail
        assert process.memory_info().rss - before_bytes < 64 << 20
        assert slowest_s < 2
        assert await site.answers()


async def _read_beside_others(site: LyingSite, client: RawClient) -> tuple[int, bytes, float]:
    """Read to the end of the connection, and make other calls meanwhile.

    Returns:
        How many bytes there were, the last of them, and how long the slowest call took.
    """
    loop = asyncio.get_running_loop()
    received, tail, slowest_s, looked_at = 0, b"", 0.0, loop.time()
    with contextlib.suppress(OSError):
        while data := await client.reader.read(1 << 20):
            received += len(data)
            tail = (tail + data)[-16:]
            if loop.time() - looked_at > 0.2:
                began = loop.time()
                assert await site.answers()
                looked_at = loop.time()
                slowest_s = max(slowest_s, looked_at - began)
    return received, tail, slowest_s


async def test_reader_that_stops_costs_its_own_window(tmp_path: Path) -> None:
    """An endless log that nobody reads waits at the edge."""
    process = psutil.Process()
    async with lying_site(tmp_path) as site, site.edge() as edge, site.client() as client:
        edge.lies[LOGS] = _endless
        assert await site.answers()
        before_bytes = process.memory_info().rss
        await client.request("GET", LOGS + "?follow=true")
        assert (await client.head())[0] == 200
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(10):
            await asyncio.sleep(0.1)
            assert await site.answers()
        assert process.memory_info().rss - before_bytes < 64 << 20
