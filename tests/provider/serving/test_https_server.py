"""Listening, and what is said when it cannot."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from provider.serving import https_server
from provider.serving.https_server import HttpsServer, ListenError
from provider.serving.tls import subject_of
from tests.fakes.kubelet_port import ClusterPki

if TYPE_CHECKING:
    from pathlib import Path


async def ok(request: web.BaseRequest) -> web.StreamResponse:
    """Answer `ok`."""
    del request
    return web.Response(text="ok")


def server(tmp_path: Path) -> HttpsServer:
    """Make a server."""
    context = ClusterPki(tmp_path).server_context()
    return HttpsServer(ok, context=lambda: context, cancel_on_disconnect=True, head_timeout_s=1)


async def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    """Address, port and the reason."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError) as caught:
            await server(tmp_path).listen(host="127.0.0.1", port=port)
    assert str(caught.value) == f"cannot listen on 127.0.0.1:{port}: address already in use"


async def test_an_address_of_another_machine_is_named(tmp_path: Path) -> None:
    """192.0.2.0/24 is nobody's."""
    with pytest.raises(ListenError, match=r"192\.0\.2\.1:9: cannot assign requested address"):
        await server(tmp_path).listen(host="192.0.2.1", port=9)


async def test_a_server_that_never_listened_stops() -> None:
    """Stopping half a start is no error."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    idle = HttpsServer(ok, context=lambda: context, cancel_on_disconnect=True, head_timeout_s=1)
    idle.stop_accepting()
    await idle.shutdown(timeout_s=1)


async def test_a_connection_without_a_request_is_closed(tmp_path: Path) -> None:
    """A client that sends half a head does not hold its connection for ever."""
    served = server(tmp_path)
    await served.listen(host="127.0.0.1", port=0)
    context = ssl.create_default_context(cafile=tmp_path / "cluster-ca.pem")
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=context)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n")
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()
    await served.shutdown(timeout_s=1)


async def test_a_connection_without_a_handshake_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does one that says nothing at all."""
    monkeypatch.setattr(https_server, "HANDSHAKE_TIMEOUT_S", 0.2)
    served = server(tmp_path)
    await served.listen(host="127.0.0.1", port=0)
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()
    await served.shutdown(timeout_s=1)


async def test_silent_connections_keep_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When there are too many, the one that has waited longest goes, never one with a request."""
    monkeypatch.setattr(https_server, "MAX_CONNECTIONS", 3)
    begun, finish = asyncio.Event(), asyncio.Event()

    async def slow(request: web.BaseRequest) -> web.StreamResponse:
        if request.raw_path == "/slow":
            begun.set()
            await finish.wait()
        return web.Response(text="ok")

    tls = ClusterPki(tmp_path).server_context()
    served = HttpsServer(slow, context=lambda: tls, cancel_on_disconnect=True, head_timeout_s=60)
    await served.listen(host="127.0.0.1", port=0)
    context = ssl.create_default_context(cafile=tmp_path / "cluster-ca.pem")
    async with asyncio.timeout(10):
        working, works = await asyncio.open_connection("127.0.0.1", served.port, ssl=context)
        works.write(b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await begun.wait()
        silent = [
            await asyncio.open_connection("127.0.0.1", served.port, ssl=context) for _ in range(4)
        ]
        for reader, _ in silent[:2]:
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        reader, writer = silent[3]
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
        finish.set()
        assert (await working.read()).startswith(b"HTTP/1.1 200")
    for _, writer in (*silent, (working, works)):
        writer.transport.abort()
    await served.shutdown(timeout_s=1)


async def peer(served: HttpsServer, context: ssl.SSLContext, *, name: str) -> str:
    """Ask for the common name that the server takes the client for."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", served.port, ssl=context, server_hostname=name
    )
    try:
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
    finally:
        writer.transport.abort()
    if not answer:
        raise ConnectionResetError("closed in the handshake")
    return answer.rpartition(b"\r\n")[2].decode()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("name", ["provider.test", ""], ids=["name", "no name"])
async def test_a_new_context_is_the_next_handshakes(
    tmp_path: Path, version: ssl.TLSVersion, name: str
) -> None:
    """Its certificate and its CA alone: whom the old CA vouched for is nobody any more."""
    folders = [tmp_path / name for name in ("old", "new")]
    for folder in folders:
        folder.mkdir()
    old, new = (ClusterPki(folder) for folder in folders)
    current = old.server_context()

    async def who(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        certificate = request.transport.get_extra_info("peercert")
        return web.Response(text=subject_of(certificate or {}).get("commonName", ("nobody",))[0])

    def client(pki: ClusterPki, user: str | None, signer: ClusterPki) -> ssl.SSLContext:
        context = pki.client_context(user, authority=signer.authority)
        context.minimum_version = context.maximum_version = version
        context.check_hostname = False
        return context

    served = HttpsServer(who, context=lambda: current, cancel_on_disconnect=True, head_timeout_s=10)
    await served.listen(host="127.0.0.1", port=0)
    assert await peer(served, client(old, "a", old), name=name) == "a"
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", served.port, ssl=client(old, "b", old)
    )
    current = new.server_context()
    assert await peer(served, client(new, "c", new), name=name) == "c"
    assert await peer(served, client(new, None, new), name=name) == "nobody"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await peer(served, client(new, "d", old), name=name)
    with pytest.raises(ssl.SSLCertVerificationError):
        await peer(served, client(old, "e", old), name=name)
    # A connection of before goes on.
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (await reader.read()).endswith(b"b")
    writer.close()
    await served.shutdown(timeout_s=1)


async def test_a_client_that_vanished_is_noticed(tmp_path: Path) -> None:
    """Within minutes, while nothing is sent: accepted connections inherit the keep-alive."""
    seen: list[int] = []

    async def look(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        accepted = request.transport.get_extra_info("socket")
        options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        seen.append(accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
        seen.extend(accepted.getsockopt(socket.IPPROTO_TCP, option) for option in options)
        return web.Response()

    tls = ClusterPki(tmp_path).server_context()
    served = HttpsServer(look, context=lambda: tls, cancel_on_disconnect=True, head_timeout_s=1)
    await served.listen(host="127.0.0.1", port=0)
    context = ssl.create_default_context(cafile=tmp_path / "cluster-ca.pem")
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=context)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    async with asyncio.timeout(5):
        await reader.read()
    writer.close()
    await served.shutdown(timeout_s=1)
    assert seen == [1, 15, 15, 9]
