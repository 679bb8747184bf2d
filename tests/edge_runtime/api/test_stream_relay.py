"""Relaying upgrades to a streaming server that speaks HTTP/1.1 on a real socket."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from edge_runtime.api.request import ApiError, ApiRequest
from edge_runtime.api.router import Route, Router
from edge_runtime.api.runtime_connection import parse_streaming_url
from edge_runtime.api.stream_relay import relay_upgrade
from tests.fakes.fake_cri_streaming import (
    SWITCHING,
    FakeCriStreaming,
    Upgraded,
    echo,
    serve_cri_streaming,
)
from tests.fakes.tunnel_pair import TunnelPair, read_all, tunnel_pair
from tunnel.errors import StreamReset
from tunnel.protocol import METHOD_HEADER

if TYPE_CHECKING:
    from tunnel.stream import Stream

HEADERS = (
    (METHOD_HEADER, "POST"),
    ("x-stream-protocol-version", "v5.channel.k8s.io"),
    ("x-stream-protocol-version", "v4.channel.k8s.io"),
    ("x-forwarded-for", "10.1.2.3"),
    ("authorization", "Bearer secret"),
    ("expect", "100-continue"),
)


def router_to(fake: FakeCriStreaming) -> Router:
    """Relay every exec to the fake."""

    async def relay(request: ApiRequest, stream: Stream) -> None:
        await relay_upgrade(request, stream, url=fake.url("/exec/token"))

    return Router([Route("/exec", ("GET", "POST"), relay)])


async def read_into(received: bytearray, stream: Stream) -> None:
    """Read to the end, but begin only when nothing moves any more."""
    for _ in range(500):
        await asyncio.sleep(0)
    while data := await stream.read():
        received += data


async def upgrade(pair: TunnelPair) -> Stream:
    """Ask for an exec over SPDY."""
    return await pair.request("/exec?x=1", protocol="SPDY/3.1", headers=HEADERS)


async def test_upgrade_is_replayed_as_the_client_made_it() -> None:
    """Method, protocol and headers; the path is the runtime's; no credential goes along."""
    async with serve_cri_streaming(echo) as fake, tunnel_pair(router_to(fake).handle) as pair:
        stream = await upgrade(pair)
        head = await stream.response()
        await stream.close_write()
        await read_all(stream)

    connection = fake.connections[0]
    assert connection.request_line == "POST /exec/token HTTP/1.1"
    assert connection.headers == [
        ("host", f"127.0.0.1:{fake.port}"),
        ("connection", "Upgrade"),
        ("upgrade", "SPDY/3.1"),
        ("x-stream-protocol-version", "v5.channel.k8s.io"),
        ("x-stream-protocol-version", "v4.channel.k8s.io"),
        ("x-forwarded-for", "10.1.2.3"),
    ]
    assert head.status == 200
    assert head.headers == (("x-stream-protocol-version", "v4.channel.k8s.io"),)


async def test_bytes_pass_both_ways_unchanged() -> None:
    """More than any buffer on the way holds, at the same time, and the half-close behind them."""
    payload = bytes(range(256)) * (8 << 10)
    async with serve_cri_streaming(echo) as fake, tunnel_pair(router_to(fake).handle) as pair:
        stream = await upgrade(pair)
        await stream.response()

        async def send() -> None:
            await stream.write(payload)
            await stream.close_write()

        async with asyncio.TaskGroup() as group:
            group.create_task(send())
            received = group.create_task(read_all(stream))

    assert received.result() == payload


async def test_bytes_behind_the_101_are_not_lost() -> None:
    """A server may talk in the same packet."""

    async def talk_at_once(connection: Upgraded) -> None:
        connection.writer.write(SWITCHING + b"hello")
        await connection.reader.read()

    async with (
        serve_cri_streaming(talk_at_once) as fake,
        tunnel_pair(router_to(fake).handle) as pair,
    ):
        stream = await upgrade(pair)
        await stream.response()
        first = await stream.read()
        await stream.close_write()
        rest = await read_all(stream)

    assert first + rest == b"hello"


async def test_output_after_the_clients_half_close_arrives() -> None:
    """`sort` answers only when its input has ended."""

    async def answer_at_the_end(connection: Upgraded) -> None:
        connection.writer.write(SWITCHING)
        data = await connection.reader.read()
        connection.writer.write(data[::-1])

    async with (
        serve_cri_streaming(answer_at_the_end) as fake,
        tunnel_pair(router_to(fake).handle) as pair,
    ):
        stream = await upgrade(pair)
        await stream.write(b"abc")
        await stream.close_write()
        received = await read_all(stream)

    assert received == b"cba"


@pytest.mark.parametrize("length", [b"Content-Length: 9\r\n", b"Connection: close\r\n"])
async def test_refusal_of_the_runtime_passes_unchanged(length: bytes) -> None:
    """Status, type and text reach the client."""

    async def refuse(connection: Upgraded) -> None:
        connection.writer.write(
            b"HTTP/1.1 404 Not Found\r\nContent-Type: text/x\r\n" + length + b"\r\nno token\n"
        )

    async with serve_cri_streaming(refuse) as fake, tunnel_pair(router_to(fake).handle) as pair:
        stream = await upgrade(pair)
        head = await stream.response()
        body = await read_all(stream)

    assert head.status == 404
    assert ("content-type", "text/x") in head.headers
    assert body == b"no token\n"


@pytest.mark.parametrize("status", [b"200 OK", b"302 Found"])
async def test_success_without_an_upgrade_is_an_error(status: bytes) -> None:
    """200 on the tunnel means 101 here, so nothing else may look like it."""

    async def pretend(connection: Upgraded) -> None:
        connection.writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")

    async with serve_cri_streaming(pretend) as fake, tunnel_pair(router_to(fake).handle) as pair:
        stream = await upgrade(pair)
        head = await stream.response()
        body = await read_all(stream)

    assert head.status == 500
    assert body.startswith(b"invalid upgrade response: status code")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 101", b"garbage\r\n\r\n"])
async def test_answer_that_is_none_is_a_500(answer: bytes) -> None:
    """The runtime went away, or something else listens there."""

    async def mumble(connection: Upgraded) -> None:
        connection.writer.write(answer)

    async with serve_cri_streaming(mumble) as fake, tunnel_pair(router_to(fake).handle) as pair:
        stream = await upgrade(pair)
        head = await stream.response()
        body = await read_all(stream)

    assert head.status == 500
    assert body.startswith(b"error from the container runtime")


async def test_nobody_at_the_url_is_a_500() -> None:
    """The URL outlived the runtime."""
    async with serve_cri_streaming(echo) as fake:
        pass
    async with tunnel_pair(router_to(fake).handle) as pair:
        stream = await upgrade(pair)
        head = await stream.response()

    assert head.status == 500


async def test_request_without_upgrade_is_the_kubelets_500() -> None:
    """A plain GET of an exec path."""
    async with serve_cri_streaming(echo) as fake, tunnel_pair(router_to(fake).handle) as pair:
        answer = await pair.fetch("/exec")

    assert answer == (500, b"Upgrade request required\n")
    assert fake.connections == []


async def test_broken_connection_resets_instead_of_ending() -> None:
    """An end of stream would read as success: kubectl would exit 0. What came before arrives."""

    async def break_off(connection: Upgraded) -> None:
        connection.writer.write(SWITCHING + b"partial")
        await connection.reader.readexactly(4)
        connection.reset()

    async with serve_cri_streaming(break_off) as fake, tunnel_pair(router_to(fake).handle) as pair:
        stream = await upgrade(pair)
        received = await stream.read()
        await stream.write(b"more")
        with pytest.raises(StreamReset):
            await read_all(stream)

    assert received == b"partial"


async def test_all_that_came_before_a_break_arrives_first() -> None:
    """A runtime that ends with input unread resets its connection behind the exit code."""
    output = bytes(range(256)) * 400  # more than a window, less than window and buffer

    async def end_with_input_unread(connection: Upgraded) -> None:
        connection.writer.write(SWITCHING)
        await connection.reader.readexactly(1)
        connection.writer.write(output)
        await connection.delivered()

    async with (
        serve_cri_streaming(end_with_input_unread) as fake,
        tunnel_pair(router_to(fake).handle) as pair,
    ):
        stream = await upgrade(pair)
        await stream.response()
        received = bytearray()

        async def send() -> None:
            with contextlib.suppress(StreamReset):
                await stream.write(bytes(4 << 20))

        async with asyncio.TaskGroup() as group:
            group.create_task(send())
            with pytest.raises(StreamReset):
                await read_into(received, stream)

    assert received == output


async def test_lost_stream_closes_the_connection_to_the_runtime() -> None:
    """Whereby the process in the container sees the end of its input."""
    ended = asyncio.Event()

    async def wait_for_the_end(connection: Upgraded) -> None:
        connection.writer.write(SWITCHING)
        try:
            await connection.reader.read()
        finally:
            ended.set()

    async with (
        serve_cri_streaming(wait_for_the_end) as fake,
        tunnel_pair(router_to(fake).handle) as pair,
    ):
        stream = await upgrade(pair)
        await stream.response()
        pair.pipe.cut()
        async with asyncio.timeout(5):
            await ended.wait()


async def test_runtime_that_takes_no_more_input_still_gives_its_output() -> None:
    """`head -c1 < big`: the exit code comes after the command has stopped reading."""

    async def stop_reading(connection: Upgraded) -> None:
        connection.writer.write(SWITCHING)
        await connection.reader.readexactly(1)
        connection.writer.write(b"exit code")
        await connection.writer.drain()

    async with (
        serve_cri_streaming(stop_reading) as fake,
        tunnel_pair(router_to(fake).handle) as pair,
    ):
        stream = await upgrade(pair)

        async def send() -> None:
            for _ in range(64):
                await stream.write(bytes(64 << 10))

        async with asyncio.TaskGroup() as group:
            sender = group.create_task(send())
            received = await stream.read()
            sender.cancel()
        stream.reset()

    assert received == b"exit code"


async def test_stuck_client_stops_the_reading_from_the_runtime() -> None:
    """Back-pressure all the way: the server's writes wait."""
    written = 0

    async def flood(connection: Upgraded) -> None:
        nonlocal written
        connection.writer.write(SWITCHING)
        while True:
            connection.writer.write(bytes(64 << 10))
            await connection.writer.drain()
            written += 64 << 10

    async with serve_cri_streaming(flood) as fake, tunnel_pair(router_to(fake).handle) as pair:
        stream = await upgrade(pair)
        await stream.response()
        before = -1
        async with asyncio.timeout(10):
            while written != before:
                before = written
                # Not a wait for a time but for a standstill: the flood moves in every turn it can.
                for _ in range(200):
                    await asyncio.sleep(0)
        stuck_at = written
        stream.reset()

    # Windows and socket buffers (the kernel takes a few MB on loopback), not the whole flood.
    assert stuck_at < 16 << 20


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1:4000/exec/t",
        "http://169.254.169.254:80/exec/t",
        "http://localhost:4000/exec/t",
        "https://127.0.0.1:4000/exec/t",
        "http://127.0.0.1/exec/t",
        "http://user@127.0.0.1:4000/exec/t",
        "http://127.0.0.1:4000/exec/t x",
        "http://127.0.0.1:99999/exec/t",
        "http://127.0.0.1@10.0.0.1:4000/exec/t",
        "//127.0.0.1:4000/exec/t",
        "",
    ],
)
def test_only_loopback_urls_are_dialled(url: str) -> None:
    """Whatever the runtime says, the edge dials no other machine for it."""
    with pytest.raises(ApiError) as refused:
        parse_streaming_url(url)

    assert refused.value.status == 500


@pytest.mark.parametrize(
    ("url", "authority", "path"),
    [
        ("http://127.0.0.1:4000/exec/t", "127.0.0.1:4000", "/exec/t"),
        ("http://[::1]:4000/attach/t?x=1", "[::1]:4000", "/attach/t?x=1"),
    ],
)
def test_loopback_urls_are_taken_apart(url: str, authority: str, path: str) -> None:
    """Both families."""
    address = parse_streaming_url(url)

    assert (address.authority, address.path) == (authority, path)
