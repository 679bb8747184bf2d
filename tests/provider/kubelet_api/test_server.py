"""The kubelet port: who is let in, which path goes on, and what is said when it cannot."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import pytest
import trustme

from provider.edge_link.edge_client import EdgeClient
from provider.kubelet_api.server import ROUTES
from tests.fakes.edge import connected_edge
from tests.fakes.kubelet_port import ClusterPki, KubeletPort, kubelet_port
from tunnel.identity import parse_site_name
from tunnel.protocol import ResponseHead

if TYPE_CHECKING:
    from tunnel.stream import Stream

SITE = parse_site_name("site-a")


async def echo_path(stream: Stream) -> None:
    """Answer every call with its method and path."""
    await stream.respond(ResponseHead(status=200, headers=(("content-type", "text/plain"),)))
    await stream.write(f"{stream.request.method} {stream.request.path}".encode())
    await stream.close_write()


def offline() -> EdgeClient:
    """Return the client of an edge that never came."""
    return EdgeClient(site=SITE)


async def test_without_a_certificate_nobody_is_let_in(pki: ClusterPki) -> None:
    """Every path, also one that is not there, says 401 to a caller without a credential."""
    async with kubelet_port(offline(), pki) as port:
        for path in ("/pods", "/no-such-path"):
            async with port.connect(None) as client:
                await client.request("GET", path, "Connection: close")
                status, _ = await client.head()
                assert (status, await client.rest()) == (401, b"Unauthorized")


async def ask(port: KubeletPort, authority: trustme.CA) -> None:
    """Ask with the API server's name, certified by this CA."""
    async with port.connect(authority=authority) as client:
        await client.request("GET", "/pods")
        await client.head()


async def test_a_certificate_of_another_ca_fails_in_the_handshake(pki: ClusterPki) -> None:
    """The right name from the wrong CA does not even get an answer."""
    async with kubelet_port(offline(), pki) as port:
        with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
            await ask(port, trustme.CA())


async def test_another_user_of_the_cluster_is_refused_as_a_kubelet_says_it(
    pki: ClusterPki,
) -> None:
    """A verified certificate of somebody else gets 403 and the text of a kubelet."""
    async with kubelet_port(offline(), pki) as port, port.connect("jane") as client:
        await client.request("POST", "/exec/ns/pod/c?command=sh", "Connection: close")
        status, _ = await client.head()
        assert status == 403
        assert await client.rest() == (
            b"Forbidden (user=jane, verb=create, resource=nodes, subresource(s)=[proxy])\n"
        )


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/containerLogs/ns/pod/c?follow=true&tailLines=10"),
        ("GET", "/containerLogs/ns/pod.with.dots/c?sinceTime=2026-01-01T00%3A00%3A00Z&x=a+b%20c"),
        ("GET", "/pods"),
        ("GET", "/runningpods/"),
        ("GET", "/healthz"),
        ("GET", "/stats/summary?only_cpu_and_memory=true"),
        ("POST", "/stats/summary"),
        ("GET", "/metrics/cadvisor"),
        ("GET", "/logs/"),
        ("GET", "/logs/apt/history.log"),
        ("POST", "/run/ns/pod/c?cmd=ls%20-l"),
        ("POST", "/run/ns/pod/0a-1b/c?cmd=ls"),
    ],
)
async def test_a_path_goes_on_as_it_came(pki: ClusterPki, method: str, target: str) -> None:
    """Path and query reach the edge byte for byte."""
    async with (
        connected_edge(echo_path) as edge,
        kubelet_port(edge.client, pki) as port,
        port.connect() as client,
    ):
        await client.request(method, target, "Connection: close", "Content-Length: 0")
        status, headers = await client.head()
        assert status == 200
        assert headers["transfer-encoding"] == "chunked"
        assert f"{method} {target}".encode() in await client.rest()


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/stats", 404),
        ("POST", "/metrics/resource", 405),
        ("GET", "/logs", 404),
        ("GET", "/logs/../pods", 404),
        ("GET", "/logs//x", 404),
        ("GET", "/edgelet/", 404),
        ("GET", "/containerLogs/ns/pod", 404),
        ("GET", "/containerLogs/ns/../c", 404),
        ("GET", "/containerLogs/ns//c", 404),
        ("GET", "/containerLogs/ns/a%2Fb/c", 404),
        ("GET", "//pods", 404),
        ("GET", "/pods/../healthz", 404),
        ("GET", "http://elsewhere/pods", 400),
        ("POST", "/containerLogs/ns/pod/c", 405),
        ("GET", "/run/ns/pod/c", 405),
        ("DELETE", "/pods", 405),
        ("GET", "/exec/ns/pod/c?command=sh", 500),
    ],
)
async def test_what_is_not_on_the_table_ends_here(
    pki: ClusterPki, method: str, target: str, status: int
) -> None:
    """Nothing but the table's paths reaches the edge."""
    async with (
        connected_edge(echo_path) as edge,
        kubelet_port(edge.client, pki) as port,
        port.connect() as client,
    ):
        await client.request(method, target, "Connection: close")
        assert (await client.head())[0] == status
        if status == 500:
            assert await client.rest() == b"Upgrade request required\n"


async def test_an_offline_site_says_since_when_and_why(pki: ClusterPki) -> None:
    """503 at once, with what is known."""
    async with kubelet_port(offline(), pki) as port, port.connect() as client:
        async with asyncio.timeout(1):
            await client.request("GET", "/pods", "Connection: close")
            status, _ = await client.head()
            text = (await client.rest()).decode()
    assert status == 503
    assert text.startswith("site site-a is offline since ")
    assert text.endswith("(last error: it has not connected since the provider started)")


async def test_answers_are_told_by_row(pki: ClusterPki) -> None:
    """Names of pods and unknown paths, of which there is no end, are not told."""
    async with kubelet_port(offline(), pki) as port:
        for path in ("/pods", "/containerLogs/ns/pod/c", "/nowhere"):
            await port.ask("GET", path, common_name="kube-apiserver-kubelet-client")
        assert port.answered == [
            ("/pods", 503),
            ("/containerLogs/{namespace}/{pod}/{container}", 503),
            ("other", 404),
        ]


async def test_a_link_that_is_lost_before_the_answer_is_told(pki: ClusterPki) -> None:
    """A call that never got an answer gets one when the session ends."""
    asked = asyncio.Event()

    async def no_answer(stream: Stream) -> None:
        asked.set()
        await stream.wait_closed()

    async with (
        connected_edge(no_answer) as edge,
        kubelet_port(edge.client, pki) as port,
        port.connect() as client,
    ):
        await client.request("GET", "/pods", "Connection: close")
        await asked.wait()
        edge.pipe.cut()
        status, _ = await client.head()
        assert status == 503
        assert await client.rest() == b"the link to site-a was lost: the connection was lost"


async def test_a_long_command_reaches_the_edge(pki: ClusterPki) -> None:
    """A command of 40 KiB in the query is no reason for 400."""
    target = "/run/ns/pod/c?cmd=" + "x" * 40_000
    async with (
        connected_edge(echo_path) as edge,
        kubelet_port(edge.client, pki) as port,
        port.connect() as client,
    ):
        await client.request("POST", target, "Connection: close", "Content-Length: 0")
        assert (await client.head())[0] == 200
        assert target[5:].encode() in await client.rest()


async def test_requests_share_a_connection(pki: ClusterPki) -> None:
    """The API server keeps its connections: one serves many calls."""
    async with (
        connected_edge(echo_path) as edge,
        kubelet_port(edge.client, pki) as port,
        port.connect() as client,
    ):
        for path in ("/pods", "/healthz", "/pods"):
            await client.request("GET", path)
            assert (await client.head())[0] == 200
            assert (await client.reader.readuntil(b"0\r\n\r\n")).endswith(
                f"GET {path}\r\n0\r\n\r\n".encode()
            )


def test_every_route_has_a_leading_slash_and_methods() -> None:
    """The table is complete in itself."""
    assert all(route.path.startswith("/") and route.methods for route in ROUTES)


async def redirect(stream: Stream) -> None:
    """Answer as no kubelet does."""
    await stream.respond(ResponseHead(status=302), end=True)


async def test_a_command_is_in_no_log(pki: ClusterPki, caplog: pytest.LogCaptureFixture) -> None:
    """It may hold a password; the audit log of the machine is the place for it."""
    caplog.set_level("DEBUG", logger="provider")
    async with (
        connected_edge(redirect) as edge,
        kubelet_port(edge.client, pki) as port,
        port.connect() as client,
    ):
        await client.request("POST", "/run/ns/pod/c?cmd=s3cret", "Connection: close")
        assert (await client.head())[0] == 502
    assert "/run/ns/pod/c" in caplog.text
    assert "s3cret" not in caplog.text
