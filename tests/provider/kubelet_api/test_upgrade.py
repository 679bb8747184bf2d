"""Exec, attach and port-forward: connections are taken over, a loss is told in their protocol."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import struct
import time
from typing import TYPE_CHECKING

import pytest

from tests.fakes import spdy
from tests.fakes.edge import connected_edge
from tests.fakes.kubelet_port import ClusterPki, RawClient, kubelet_port
from tunnel.protocol import ResponseHead

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunnel.stream import Stream

EXEC = "/exec/ns/pod/c?command=sh&output=1"
FORWARD = "/portForward/ns/pod"
SPDY_LINES = (
    "Connection: Upgrade",
    "Upgrade: SPDY/3.1",
    "X-Stream-Protocol-Version: v5.channel.k8s.io",
    "X-Stream-Protocol-Version: v4.channel.k8s.io",
)
WEBSOCKET_LINES = (
    "Connection: keep-alive, Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol: v4.channel.k8s.io",
)
SPDY_V4 = ResponseHead(status=200, headers=(("x-stream-protocol-version", "v4.channel.k8s.io"),))
WEBSOCKET_V4 = ResponseHead(
    status=200,
    headers=(
        ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ("sec-websocket-protocol", "v4.channel.k8s.io"),
    ),
)
LOST = "edgelet: the link to site-a was lost; the command may still be running"


def open_streams() -> bytes:
    """What a client sends first: its error and output streams."""
    writer = spdy.HeaderWriter()
    return writer.syn_stream(1, {"streamtype": "error"}) + writer.syn_stream(
        3, {"streamtype": "stdout"}
    )


async def upgraded(
    client: RawClient, target: str, *lines: str, body: bytes = b""
) -> dict[str, str]:
    """Send an upgrade request and read the 101."""
    await client.request("POST", target, *lines, body=body)
    status, headers = await client.head()
    assert status == 101
    return headers


async def test_both_heads_carry_what_the_protocol_needs(pki: ClusterPki) -> None:
    """The edge gets method, protocol and subprotocols; the client the 101 with the choice."""
    requests = []

    async def accept(stream: Stream) -> None:
        requests.append(stream.request)
        await stream.respond(SPDY_V4)
        await stream.close_write()

    async with (
        connected_edge(accept) as edge,
        kubelet_port(edge.client, pki) as port,
        port.connect() as client,
    ):
        headers = await upgraded(client, EXEC, *SPDY_LINES, "Content-Length: 0")
    assert headers == {
        "connection": "Upgrade",
        "upgrade": "SPDY/3.1",
        "x-stream-protocol-version": "v4.channel.k8s.io",
    }
    (request,) = requests
    assert (request.path, request.protocol) == (EXEC, "SPDY/3.1")
    assert ("edgelet-method", "POST") in request.headers
    offered = [value for name, value in request.headers if name == "x-stream-protocol-version"]
    assert offered == ["v5.channel.k8s.io", "v4.channel.k8s.io"]
    assert not {"connection", "upgrade", "host"} & {name for name, _ in request.headers}


async def test_bytes_pass_both_ways_and_the_end_closes(pki: ClusterPki) -> None:
    """What the client sends arrives as it was, and so does what the runtime sends."""
    sent = open_streams() + spdy.data_frame(3, os.urandom(300_000))

    async def echo(stream: Stream) -> None:
        await stream.respond(SPDY_V4)
        received = b""
        while len(received) < len(sent):
            received += await stream.read()
        assert received == sent
        await stream.write(spdy.data_frame(3, b"output") + spdy.data_frame(1, b'{"status":""}'))
        await stream.close_write()

    async with (
        connected_edge(echo) as edge,
        kubelet_port(edge.client, pki) as port,
        port.connect() as client,
    ):
        await upgraded(client, EXEC, *SPDY_LINES)
        client.writer.write(sent)
        assert spdy.parse_frames(await client.rest()) == [
            (3, 0, b"output"),
            (1, 0, b'{"status":""}'),
        ]


@pytest.mark.parametrize("lines", [SPDY_LINES, WEBSOCKET_LINES], ids=["spdy", "websocket"])
async def test_bytes_behind_the_head_are_not_lost(pki: ClusterPki, lines: tuple[str, ...]) -> None:
    """A client that does not wait for the 101 has its first bytes relayed all the same."""
    received = bytearray()
    answer = SPDY_V4 if lines is SPDY_LINES else WEBSOCKET_V4

    async def look(stream: Stream) -> None:
        # What comes before the answer must not be lost either.
        await asyncio.sleep(0.05)
        await stream.respond(answer)
        while len(received) < 10:
            received.extend(await stream.read())
        await stream.close_write()

    async with (
        connected_edge(look) as edge,
        kubelet_port(edge.client, pki) as port,
        port.connect() as client,
    ):
        await client.request("POST", EXEC, *lines, body=b"early")
        await asyncio.sleep(0.01)
        client.writer.write(b"later")
        assert (await client.head())[0] == 101
        await client.rest()
    assert bytes(received) == b"earlylater"


async def test_a_refusal_of_the_edge_passes_as_it_is(pki: ClusterPki) -> None:
    """A pod that is not there is a plain 404, and the connection serves on."""

    async def refuse(stream: Stream) -> None:
        headers = (("content-type", "text/plain"), ("content-length", "18"))
        await stream.respond(ResponseHead(status=404, headers=headers))
        await stream.write(b"pod does not exist")
        await stream.close_write()

    async with (
        connected_edge(refuse) as edge,
        kubelet_port(edge.client, pki) as port,
        port.connect() as client,
    ):
        for _ in range(2):
            await client.request("POST", EXEC, *SPDY_LINES)
            assert (await client.head())[0] == 404
            assert await client.reader.readexactly(18) == b"pod does not exist"


@pytest.mark.parametrize("torn", [b"", spdy.data_frame(3, b"torn" * 1000)[:-1]])
async def test_a_lost_session_puts_a_status_on_the_spdy_error_stream(
    pki: ClusterPki, torn: bytes
) -> None:
    """Whole frames, then a Status with the end of the error stream, also when a frame was torn."""

    async def run(stream: Stream) -> None:
        await stream.respond(SPDY_V4)
        await stream.read()
        await stream.write(spdy.data_frame(3, b"whole") + torn)
        await stream.wait_closed()

    async with (
        connected_edge(run) as edge,
        kubelet_port(edge.client, pki) as port,
        port.connect() as client,
    ):
        await upgraded(client, EXEC, *SPDY_LINES)
        client.writer.write(open_streams())
        first = await client.reader.readexactly(len(spdy.data_frame(3, b"whole")))
        edge.pipe.cut()
        (stdout, error) = spdy.parse_frames(first + await client.rest())
    assert stdout == (3, 0, b"whole")
    assert error[:2] == (1, spdy.FIN)
    status = json.loads(error[2])
    assert (status["status"], status["code"]) == ("Failure", 500)
    assert status["message"] == LOST


@pytest.mark.parametrize("torn", [b"", b"\x82\x05\x01to"])
async def test_a_lost_session_puts_a_status_on_channel_3(pki: ClusterPki, torn: bytes) -> None:
    """The same over WebSocket, and a Close after it."""

    async def run(stream: Stream) -> None:
        await stream.respond(WEBSOCKET_V4)
        await stream.write(b"\x82\x03\x01hi" + torn)
        await stream.wait_closed()

    async with (
        connected_edge(run) as edge,
        kubelet_port(edge.client, pki) as port,
        port.connect() as client,
    ):
        await client.request("GET", EXEC, *WEBSOCKET_LINES)
        status, headers = await client.head()
        assert (status, headers["sec-websocket-protocol"]) == (101, "v4.channel.k8s.io")
        assert await client.reader.readexactly(5) == b"\x82\x03\x01hi"
        edge.pipe.cut()
        rest = await client.rest()
    (size,) = struct.unpack_from(">H", rest, 2)
    assert rest[:2] == b"\x82\x7e"
    assert rest[4] == 3
    assert json.loads(rest[5 : 4 + size])["message"] == LOST
    assert rest[4 + size : 5 + size] == b"\x88"


async def test_a_stream_that_the_edge_breaks_off_is_told_too(pki: ClusterPki) -> None:
    """A reset by the edge is no end in good order."""

    async def run(stream: Stream) -> None:
        await stream.respond(SPDY_V4)
        await stream.read()
        stream.reset()

    async with (
        connected_edge(run) as edge,
        kubelet_port(edge.client, pki) as port,
        port.connect() as client,
    ):
        await upgraded(client, EXEC, *SPDY_LINES)
        client.writer.write(open_streams())
        message = json.loads(spdy.stream_bytes(await client.rest(), 1))["message"]
    assert message.startswith("edgelet: the call on site-a was broken off; ")


async def test_a_runtime_that_ends_without_a_result_is_told_too(pki: ClusterPki) -> None:
    """A containerd killed in the middle of an exec must not look like exit status 0."""

    async def run(stream: Stream) -> None:
        await stream.respond(SPDY_V4)
        await stream.read()
        await stream.close_write()

    async with (
        connected_edge(run) as edge,
        kubelet_port(edge.client, pki) as port,
        port.connect() as client,
    ):
        await upgraded(client, EXEC, *SPDY_LINES)
        client.writer.write(open_streams())
        message = json.loads(spdy.stream_bytes(await client.rest(), 1))["message"]
    assert "ended the call without a result" in message


async def test_port_forward_is_told_in_text_on_each_error_stream(pki: ClusterPki) -> None:
    """Every forwarded connection has an error stream of its own."""
    accept = ResponseHead(
        status=200, headers=(("x-stream-protocol-version", "portforward.k8s.io"),)
    )

    async def run(stream: Stream) -> None:
        await stream.respond(accept)
        await stream.read()
        await stream.write(spdy.data_frame(7, b"reply"))
        await stream.wait_closed()

    writer = spdy.HeaderWriter()
    opening = b"".join(
        writer.syn_stream(number, {"streamtype": kind, "port": "80", "requestID": str(number // 4)})
        for number, kind in ((1, "error"), (3, "data"), (5, "error"), (7, "data"))
    )
    async with (
        connected_edge(run) as edge,
        kubelet_port(edge.client, pki) as port,
        port.connect() as client,
    ):
        await upgraded(
            client,
            FORWARD,
            "Connection: Upgrade",
            "Upgrade: SPDY/3.1",
            "X-Stream-Protocol-Version: portforward.k8s.io",
        )
        client.writer.write(opening)
        await client.reader.readexactly(len(spdy.data_frame(7, b"reply")))
        edge.pipe.cut()
        frames = spdy.parse_frames(await client.rest())
    text = b"edgelet: the link to site-a was lost; the forwarded connection is closed"
    assert frames == [(1, spdy.FIN, text), (5, spdy.FIN, text)]


async def test_a_drained_session_ends_its_calls_with_the_message(pki: ClusterPki) -> None:
    """A planned stop of the provider tells those who did not end in time."""

    async def run(stream: Stream) -> None:
        await stream.respond(SPDY_V4)
        await stream.read()
        await stream.write(spdy.data_frame(3, b"up"))
        await stream.wait_closed()

    async with (
        connected_edge(run) as edge,
        kubelet_port(edge.client, pki) as port,
        port.connect() as client,
    ):
        await upgraded(client, EXEC, *SPDY_LINES)
        client.writer.write(open_streams())
        await client.reader.readexactly(10)
        port.server.stop_accepting()
        await edge.session.drain(0.1, reason="the provider is stopping")
        await port.server.shutdown(timeout_s=2)
        message = json.loads(spdy.stream_bytes(await client.rest(), 1))["message"]
    assert message == LOST


async def test_a_client_that_leaves_resets_the_stream(pki: ClusterPki) -> None:
    """A killed kubectl is noticed on the edge at once."""
    gone = asyncio.Event()

    async def run(stream: Stream) -> None:
        await stream.respond(SPDY_V4)
        await stream.wait_closed()
        gone.set()

    async with connected_edge(run) as edge, kubelet_port(edge.client, pki) as port:
        async with port.connect() as client:
            await upgraded(client, EXEC, *SPDY_LINES)
        async with asyncio.timeout(2):
            await gone.wait()


async def test_a_client_that_leaves_before_the_answer_resets_the_stream(pki: ClusterPki) -> None:
    """Nothing is left on the edge of a call that nobody waits for."""
    came, gone = asyncio.Event(), asyncio.Event()

    async def run(stream: Stream) -> None:
        came.set()
        await stream.wait_closed()
        gone.set()

    async with connected_edge(run) as edge, kubelet_port(edge.client, pki) as port:
        async with port.connect() as client:
            await client.request("POST", EXEC, *SPDY_LINES)
            await came.wait()
        async with asyncio.timeout(2):
            await gone.wait()


async def test_neither_side_is_read_ahead_without_end(pki: ClusterPki) -> None:
    """A command that does not read its stdin stops the client."""
    stop = asyncio.Event()

    async def run(stream: Stream) -> None:
        await stream.respond(SPDY_V4)
        await stop.wait()

    async with (
        connected_edge(run) as edge,
        kubelet_port(edge.client, pki) as port,
        port.connect() as client,
    ):
        await upgraded(client, EXEC, *SPDY_LINES)
        written, block = 0, spdy.data_frame(3, b"x" * 32768)
        with contextlib.suppress(TimeoutError):
            while written < 64 << 20:
                client.writer.write(block)
                async with asyncio.timeout(0.5):
                    await client.writer.drain()
                written += len(block)
        assert written < 16 << 20
        stop.set()


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("Upgrade: SPDY/3.1",),
        ("Connection: Upgrade",),
        ("Connection: Upgrade", "Upgrade: h2c"),
    ],
)
async def test_without_an_upgrade_there_is_no_call(pki: ClusterPki, lines: tuple[str, ...]) -> None:
    """A kubelet's own words and status."""

    async def run(stream: Stream) -> None:
        raise AssertionError(f"{stream.request} reached the edge")

    async with (
        connected_edge(run) as edge,
        kubelet_port(edge.client, pki) as port,
        port.connect() as client,
    ):
        await client.request("POST", EXEC, *lines, "Content-Length: 0")
        status, headers = await client.head()
        assert status == 500
        body = await client.reader.readexactly(int(headers["content-length"]))
        assert body == b"Upgrade request required\n"


async def test_a_hundred_megabytes_pass_quickly(
    pki: ClusterPki, record_property: Callable[[str, object], None]
) -> None:
    """One exec's output; the bound is loose, the figure is in the report."""
    block = spdy.data_frame(3, os.urandom(32 << 10))
    count = 100 * 32

    async def pour(stream: Stream) -> None:
        await stream.respond(SPDY_V4)
        for _ in range(count):
            await stream.write(block)
        await stream.close_write()

    async with (
        connected_edge(pour) as edge,
        kubelet_port(edge.client, pki) as port,
        port.connect() as client,
    ):
        await upgraded(client, EXEC, *SPDY_LINES)
        started, received = time.perf_counter(), 0
        while data := await client.reader.read(1 << 20):
            received += len(data)
        elapsed_s = time.perf_counter() - started
    assert received == count * len(block)
    record_property("exec_MB_per_s", round(received / 1e6 / elapsed_s))
    assert elapsed_s < 30
