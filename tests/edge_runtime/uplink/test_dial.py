"""One dial: over TLS, through a proxy process, against the provider's own edge port."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

import pytest

from edge_runtime.uplink.dial import Dialled, ProviderDial
from edge_runtime.uplink.dial_error import DialError
from edge_runtime.uplink.dialer import Dialer
from tests.fakes.connect_proxy import connect_proxy
from tests.fakes.edge_port import INSTANCE_A, EdgePort, edge_port
from tests.fakes.session_pair import GET, echo, read_all
from tests.fakes.site_pki import SitePki

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tunnel.stream import Stream

PASSWORD = "p%40ss"  # "p@ss", as it stands in a URL


@pytest.fixture
def pki(tmp_path: Path) -> SitePki:
    """A site's certificates."""
    return SitePki(tmp_path, site="site-a")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever proxy this machine has."""
    for name in ("https_proxy", "http_proxy", "all_proxy", "no_proxy", "wss_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def dial_to(port: EdgePort, *, host: str = "127.0.0.1") -> ProviderDial:
    """Dial the edge port as the edge does."""
    return ProviderDial(
        server=(host, port.listener.port),
        credentials=port.pki.credentials(),
        instance_id=INSTANCE_A,
    )


async def dialled(port: EdgePort) -> Dialled:
    """Dial for a new session."""
    return await dial_to(port)(session_id="", received_bytes=0)


@contextlib.asynccontextmanager
async def running(dialer: Dialer) -> AsyncIterator[None]:
    """Run a dialer until the block ends."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(dialer.run())
        try:
            async with asyncio.timeout(20):
                yield
        finally:
            task.cancel()


async def send_all(stream: Stream, data: bytes) -> None:
    """Send a whole body."""
    await stream.write(data)
    await stream.close_write()


async def test_a_call_goes_on_over_the_next_connection(pki: SitePki) -> None:
    """Both real ends over TLS: the first connection is broken off in the middle of a call."""
    async with edge_port(pki) as port:
        dialer = Dialer(dial=dial_to(port), handler=echo)
        async with running(dialer):
            await port.client.wait_connected()
            stream = await port.client.open(GET)
            await stream.write(b"before")
            assert await stream.read() == b"before"
            session = port.client.state.session_id_hash
            port.site_session._present.session.detach("cut by the test")  # type: ignore[union-attr]
            await stream.write(b"during")
            assert await stream.read() == b"during"
            assert port.client.state.connected
            assert port.client.state.session_id_hash == session
            assert port.metrics.reconnects == {"resumed": 1}


async def test_the_answer_names_the_session_and_what_has_arrived(pki: SitePki) -> None:
    """A new one has received nothing."""
    async with edge_port(pki) as port:
        answer = await dialled(port)
        assert len(answer.session_id) == 32
        assert answer.received_bytes == 0
        answer.pipe.abort()


async def test_a_session_that_is_not_known_is_answered_with_a_new_one(pki: SitePki) -> None:
    """And so is one of another instance's."""
    async with edge_port(pki) as port:
        answer = await dial_to(port)(session_id="0" * 32, received_bytes=5)
        assert answer.session_id != "0" * 32
        assert answer.received_bytes == 0
        answer.pipe.abort()


@pytest.mark.parametrize(
    "headers",
    [
        {"Edgelet-Session": "x"},
        {"Edgelet-Session": "0" * 32, "Edgelet-Received": "-1"},
        {"Edgelet-Received": "1" * 21},
    ],
)
async def test_a_malformed_request_to_resume_is_refused(
    pki: SitePki, headers: dict[str, str]
) -> None:
    """It is no edge's."""
    async with edge_port(pki) as port:
        with pytest.raises(Exception, match="400"):
            await port.dial(headers=headers)


async def test_a_count_that_cannot_be_ends_the_session(pki: SitePki) -> None:
    """Whoever says that it has received what was never sent cannot be resumed."""
    async with edge_port(pki) as port:
        first = await dialled(port)
        await port.client.wait_connected()
        again = await dial_to(port)(session_id=first.session_id, received_bytes=1 << 40)
        while port.client.state.session_id_hash:
            await port.client.changed()
        assert "received bytes" in port.client.state.last_error
        for answer in (first, again):
            answer.pipe.abort()


async def test_the_sockets_options_are_set(pki: SitePki) -> None:
    """Little waits in the kernel, and a vanished peer costs no socket for ever."""
    async with edge_port(pki) as port:
        answer = await dialled(port)
        tcp = answer.pipe._connection.transport.get_extra_info("socket")  # type: ignore[attr-defined]
        options = [
            tcp.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_NODELAY, socket.TCP_NOTSENT_LOWAT, socket.TCP_USER_TIMEOUT)
        ]
        assert (bool(options[0]), options[1:]) == (True, [64 << 10, 15_000])
        assert answer.pipe._connection.transport.get_write_buffer_limits()[1] == 64 << 10  # type: ignore[attr-defined]
        answer.pipe.abort()


async def test_a_proxy_is_asked_with_its_password(
    pki: SitePki, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CONNECT, then TLS with the provider itself: the proxy sees neither names nor bytes."""
    async with connect_proxy("me:p@ss") as proxy, edge_port(pki) as port:
        monkeypatch.setenv("https_proxy", f"http://me:{PASSWORD}@127.0.0.1:{proxy.port}")
        dialer = Dialer(dial=dial_to(port), handler=echo)
        async with running(dialer):
            assert await proxy.request() == f"200 CONNECT 127.0.0.1:{port.listener.port} HTTP/1.1"
            await port.client.wait_connected()
            stream = await port.client.open(GET)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(send_all(stream, bytes(1 << 20)))
                received = tasks.create_task(read_all(stream))
            assert received.result() == bytes(1 << 20)


async def test_a_proxy_that_refuses_the_password_is_said(
    pki: SitePki, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the edge goes on trying."""
    async with connect_proxy("me:p@ss") as proxy, edge_port(pki) as port:
        monkeypatch.setenv("https_proxy", f"http://me:wrong@127.0.0.1:{proxy.port}")
        with pytest.raises(DialError, match=r"^the proxy does not let us reach 127.0.0.1:.*407"):
            await dialled(port)
        assert (await proxy.request()).startswith("407 CONNECT")


async def test_a_proxy_that_does_not_reach_the_provider_is_said(
    pki: SitePki, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not the provider that is down, as far as anybody here can tell."""
    async with connect_proxy() as proxy, edge_port(pki) as port:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        await port.listener.shutdown(timeout_s=1)
        with pytest.raises(DialError, match=r"^the proxy does not let us reach .*502"):
            await dial_to(port, host="127.0.0.1")(session_id="", received_bytes=0)


@pytest.mark.parametrize("names", ["127.0.0.1", "example.org,127.0.0.1", "*"])
async def test_no_proxy_is_heeded(
    pki: SitePki, monkeypatch: pytest.MonkeyPatch, names: str
) -> None:
    """A proxy that nobody should ask: dialling it would fail."""
    async with edge_port(pki) as port:
        monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
        monkeypatch.setenv("no_proxy", names)
        (await dialled(port)).pipe.abort()


async def test_a_port_that_listens_is_reachable(
    pki: SitePki, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it speaks TLS is not asked; through a proxy nobody can tell."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    dial = ProviderDial(
        server=("127.0.0.1", port), credentials=pki.credentials(), instance_id=INSTANCE_A
    )
    async with server:
        assert await dial.is_reachable()
        monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
        monkeypatch.setenv("no_proxy", "")
        assert not await dial.is_reachable()
        monkeypatch.delenv("https_proxy")
    assert not await dial.is_reachable()
