"""Plain calls are streamed: heads at once, bodies with back-pressure, losses never as ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from provider.edge_link import edge_client
from tests.fakes.edge import connected_edge
from tests.fakes.kubelet_port import ClusterPki, kubelet_port
from tunnel.errors import HeadError
from tunnel.log_positions import POSITIONS_HEADER, POSITIONS_VERSION, encode_frames
from tunnel.protocol import ResponseHead

if TYPE_CHECKING:
    from tunnel.stream import Stream

TEXT = (("content-type", "text/plain"),)
LOGS = "/containerLogs/ns/pod/c?follow=true"


async def chunk(reader: asyncio.StreamReader) -> bytes:
    """Read one chunk of a chunked body."""
    size = int((await reader.readuntil(b"\r\n")).strip(), 16)
    return (await reader.readexactly(size + 2))[:-2]


async def test_head_and_lines_arrive_as_they_come(pki: ClusterPki) -> None:
    """The head of `logs -f` is there before its first line, and each line before the next."""
    lines: asyncio.Queue[bytes] = asyncio.Queue()

    async def follow(stream: Stream) -> None:
        await stream.respond(ResponseHead(status=200, headers=TEXT))
        while line := await lines.get():
            await stream.write(line)
        await stream.close_write()

    async with (
        connected_edge(follow) as edge,
        kubelet_port(edge.client, pki) as port,
        port.connect() as client,
    ):
        await client.request("GET", LOGS)
        status, headers = await client.head()
        assert (status, headers["content-type"]) == (200, "text/plain")
        for line in (b"one\n", b"two\n"):
            lines.put_nowait(line)
            assert await chunk(client.reader) == line
        lines.put_nowait(b"")
        assert await chunk(client.reader) == b""


@pytest.mark.parametrize("status", [200, 400, 404, 422, 500, 503])
async def test_answers_of_the_edge_pass_unchanged(pki: ClusterPki, status: int) -> None:
    """Status, content type and body are the edge's own, its length, too."""
    body = b'container "c" in pod "p" is waiting to start: ContainerCreating'

    async def answer(stream: Stream) -> None:
        headers = (
            ("content-type", "text/plain; charset=utf-8"),
            ("content-length", str(len(body))),
            ("retry-after", "1"),
            ("set-cookie", "no=way"),
            ("server", "edge"),
        )
        await stream.respond(ResponseHead(status=status, headers=headers))
        await stream.write(body)
        await stream.close_write()

    async with (
        connected_edge(answer) as edge,
        kubelet_port(edge.client, pki) as port,
        port.connect() as client,
    ):
        await client.request("GET", LOGS)
        got, headers = await client.head()
        assert got == status
        assert headers["content-type"] == "text/plain; charset=utf-8"
        assert headers["content-length"] == str(len(body))
        assert headers["retry-after"] == "1"
        assert "set-cookie" not in headers
        assert await client.reader.readexactly(len(body)) == body


async def test_credentials_stay_here(pki: ClusterPki) -> None:
    """The edge sees neither tokens nor cookies, but who asked through whom."""
    seen: list[tuple[str, str]] = []

    async def look(stream: Stream) -> None:
        seen.extend(stream.request.headers)
        await stream.respond(ResponseHead(status=200, headers=TEXT), end=True)

    async with (
        connected_edge(look) as edge,
        kubelet_port(edge.client, pki) as port,
        port.connect() as client,
    ):
        lines = ("Authorization: Bearer secret", "Cookie: a=b", "X-Forwarded-For: 10.0.0.9")
        await client.request("GET", LOGS, *lines, "User-Agent: kubectl", "Accept: */*")
        await client.head()
    assert sorted(seen) == [
        ("accept", "*/*"),
        ("edgelet-caller", "kube-apiserver-kubelet-client"),
        ("edgelet-log-positions", "1"),
        ("user-agent", "kubectl"),
        ("x-forwarded-for", "10.0.0.9, 127.0.0.1"),
    ]


@pytest.mark.parametrize("loss", ["reset", "session"])
async def test_a_lost_body_does_not_look_complete(pki: ClusterPki, loss: str) -> None:
    """The chunked body is broken off, without the chunk that ends it."""
    go_on = asyncio.Event()

    async def broken(stream: Stream) -> None:
        await stream.respond(ResponseHead(status=200, headers=TEXT))
        await stream.write(b"line\n")
        await go_on.wait()
        if loss == "reset":
            stream.reset()
        else:
            edge.pipe.cut()

    async with (
        connected_edge(broken) as edge,
        kubelet_port(edge.client, pki) as port,
        port.connect() as client,
    ):
        await client.request("GET", LOGS)
        await client.head()
        assert await chunk(client.reader) == b"line\n"
        go_on.set()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await client.reader.readuntil(b"0\r\n\r\n")


@pytest.mark.parametrize("loss", ["reset", "session", "torn", "nonsense"])
async def test_a_followed_log_that_breaks_off_says_how_to_go_on(pki: ClusterPki, loss: str) -> None:
    """In its last bytes, before the connection is broken off, too."""
    go_on = asyncio.Event()

    async def broken(stream: Stream) -> None:
        positions = (POSITIONS_HEADER, POSITIONS_VERSION)
        assert positions in stream.request.headers
        await stream.respond(ResponseHead(status=200, headers=(*TEXT, positions)))
        await stream.write(encode_frames(b"line\n", position_ns=1767323045_123456789))
        await go_on.wait()
        match loss:
            case "reset":
                stream.reset(reason="the disk failed")
            case "session":
                edge.pipe.cut()
            case "torn":
                await stream.write(encode_frames(b"line\n", position_ns=1)[:-1])
                await stream.close_write()
            case _:
                await stream.write(b"\xff" * 20)

    async with (
        connected_edge(broken) as edge,
        kubelet_port(edge.client, pki) as port,
        port.connect() as client,
    ):
        await client.request("GET", LOGS)
        _, headers = await client.head()
        assert POSITIONS_HEADER not in headers
        assert await chunk(client.reader) == b"line\n"
        go_on.set()
        notice = (await chunk(client.reader)).decode()
        assert await client.reader.read() == b""
    assert notice.startswith("edgelet: the log of site site-a broke off here: ")
    assert "goes on at 2026-01-02T03:04:05.123456790Z:" in notice
    assert "kubectl logs -f -n ns pod -c c --since-time=2026-01-02T03:04:05Z" in notice


async def test_a_client_that_leaves_resets_the_stream(pki: ClusterPki) -> None:
    """An interrupted `logs -f` costs nothing on the edge."""
    gone = asyncio.Event()

    async def follow(stream: Stream) -> None:
        await stream.respond(ResponseHead(status=200, headers=TEXT))
        await stream.wait_closed()
        gone.set()

    async with connected_edge(follow) as edge, kubelet_port(edge.client, pki) as port:
        async with port.connect() as client:
            await client.request("GET", LOGS)
            await client.head()
        async with asyncio.timeout(2):
            await gone.wait()


async def test_a_client_that_does_not_read_stops_the_edge(pki: ClusterPki) -> None:
    """What waits on the way is bounded: the edge's write waits for the client."""
    written = 0

    async def pour(stream: Stream) -> None:
        nonlocal written
        await stream.respond(ResponseHead(status=200, headers=TEXT))
        while True:
            await stream.write(b"x" * 65536)
            written += 65536

    async with (
        connected_edge(pour) as edge,
        kubelet_port(edge.client, pki) as port,
        port.connect() as client,
    ):
        await client.request("GET", LOGS)
        await client.head()
        before = -1
        while written != before:
            before = written
            await asyncio.sleep(0.2)
        # Sockets and TLS of both sides, the windows of the stream, the reader of this test.
        assert written < 32 << 20


@pytest.mark.parametrize(
    "head",
    [
        ResponseHead(status=302, headers=(("location", "http://elsewhere/"),)),
        ResponseHead(status=200, headers=(("content-type", "text/plain\u00e9"),)),
        ResponseHead(status=200, headers=(("content-type", "\x1b[31m"),)),
    ],
)
async def test_heads_that_no_kubelet_sends_are_refused(pki: ClusterPki, head: ResponseHead) -> None:
    """An edge cannot send the API server elsewhere, nor put what it likes into its headers."""

    async def answer(stream: Stream) -> None:
        try:
            await stream.respond(head, end=True)
        except HeadError:
            # Our own end refuses to send some of them; a lying edge would not.
            stream.reset()

    async with (
        connected_edge(answer) as edge,
        kubelet_port(edge.client, pki) as port,
        port.connect() as client,
    ):
        await client.request("GET", LOGS, "Connection: close")
        assert (await client.head())[0] in (500, 502)


@pytest.mark.parametrize("upgrade", [(), ("Connection: Upgrade", "Upgrade: SPDY/3.1")])
async def test_a_call_too_many_is_told_so(
    pki: ClusterPki, monkeypatch: pytest.MonkeyPatch, upgrade: tuple[str, ...]
) -> None:
    """It never takes the streams that the provider keeps for itself."""
    monkeypatch.setattr(edge_client, "MAX_CALLS", 0)
    async with (
        connected_edge(lambda stream: stream.wait_closed()) as edge,
        kubelet_port(edge.client, pki) as port,
        port.connect() as client,
        asyncio.timeout(5),
    ):
        await client.request("GET", "/exec/ns/pod/c" if upgrade else LOGS, *upgrade)
        status, headers = await client.head()
        body = await client.reader.readexactly(int(headers["content-length"]))
    assert status == 503
    assert body == b"site site-a takes no more calls now: 0 are running"
