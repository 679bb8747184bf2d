"""Listening, and what is said when it cannot."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from provider.serving.https_server import HttpsServer, ListenError
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
    return HttpsServer(ok, context=context, cancel_on_disconnect=True, head_timeout_s=1)


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
    idle = HttpsServer(ok, context=context, cancel_on_disconnect=True, head_timeout_s=1)
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
    served = HttpsServer(look, context=tls, cancel_on_disconnect=True, head_timeout_s=1)
    await served.listen(host="127.0.0.1", port=0)
    context = ssl.create_default_context(cafile=tmp_path / "cluster-ca.pem")
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=context)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    async with asyncio.timeout(5):
        await reader.read()
    writer.close()
    await served.shutdown(timeout_s=1)
    assert seen == [1, 15, 15, 9]
