"""One session per site: the same instance replaces, another one only when the first is silent."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import InvalidStatus

from provider.edge_link.site_session import DUPLICATE_SITE
from tests.fakes.edge_port import INSTANCE_A, INSTANCE_B, EdgePort, edge_port
from tests.fakes.memory_pipe import memory_pipes
from tunnel.errors import SessionClosed
from tunnel.protocol import RequestHead

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

    from tests.fakes.site_pki import SitePki
    from tunnel.stream import Stream

HEAD = RequestHead(method="GET", path="/healthz")


async def silent(stream: Stream) -> None:
    """Never answer."""
    await stream.wait_closed()


async def test_the_same_instance_replaces_its_own_session(pki: SitePki) -> None:
    """An edge that dials again has lost its connection, whatever this end believes."""
    async with edge_port(pki) as port, port.edge(silent) as old:
        stream = await port.client.open(HEAD)
        async with port.edge() as new:
            with pytest.raises(SessionClosed):
                await stream.response()
            await old.ended.wait()
            assert await port.client.answers(timeout_s=5)
            assert not new.ended.is_set()
        assert port.events == []


async def test_another_instance_is_refused_while_the_first_answers(pki: SitePki) -> None:
    """Two machines with one identity: the one that works stays, and an event names it."""
    async with edge_port(pki) as port, port.edge(instance=INSTANCE_A) as first:
        with pytest.raises(InvalidStatus) as caught:
            await port.dial(instance=INSTANCE_B)
        assert caught.value.response.status_code == 409
        assert await port.client.answers(timeout_s=5)
        assert not first.ended.is_set()
    ((reason, message),) = port.events
    assert reason == DUPLICATE_SITE
    assert "site-a" in message


async def test_another_instance_replaces_a_silent_one_after_two_seconds(pki: SitePki) -> None:
    """A machine that was restored elsewhere takes over from one that is gone."""
    loop = asyncio.get_running_loop()
    async with edge_port(pki) as port, port.dial(instance=INSTANCE_A) as frozen:
        await port.client.wait_connected()
        started = loop.time()
        async with port.dial(instance=INSTANCE_B), asyncio.TaskGroup() as tasks:
            tasks.create_task(frozen.wait_closed())
        assert 1.9 < loop.time() - started < 4
        assert port.events == []
        assert port.metrics.reconnects == {"new instance": 1}


async def test_two_newcomers_at_once_leave_one_session(pki: SitePki) -> None:
    """Admission is one at a time."""
    async with edge_port(pki) as port:
        async with asyncio.TaskGroup() as tasks:
            dials = [tasks.create_task(_dial(port)) for _ in range(5)]
        connections = [dial.result() for dial in dials]
        async with asyncio.TaskGroup() as tasks:
            ends = [tasks.create_task(connection.wait_closed()) for connection in connections]
            while sum(end.done() for end in ends) < 4:
                await asyncio.wait(
                    [end for end in ends if not end.done()], return_when=asyncio.FIRST_COMPLETED
                )
            await port.client.wait_connected()
            assert sum(end.done() for end in ends) == 4
            for connection in connections:
                connection.transport.abort()


async def _dial(port: EdgePort) -> ClientConnection:
    return await port.dial()


async def test_drain_ends_running_calls_with_the_deadline(pki: SitePki) -> None:
    """Calls get their time, then they end with an error, and the edge is told."""
    came = asyncio.Event()

    async def busy(stream: Stream) -> None:
        came.set()
        await stream.wait_closed()

    async with edge_port(pki) as port, port.edge(busy) as edge:
        stream = await port.client.open(HEAD)
        await came.wait()
        await port.site_session.drain(deadline_s=0.2)
        with pytest.raises(SessionClosed):
            await stream.response()
        await edge.ended.wait()
        assert not port.client.state.connected


async def test_drain_without_a_session_returns_at_once(pki: SitePki) -> None:
    """There is nobody to wait for."""
    async with edge_port(pki) as port, asyncio.timeout(0.5):
        await port.site_session.drain(deadline_s=10)


async def test_no_session_begins_once_the_provider_stops(pki: SitePki) -> None:
    """Its WebSocket was being accepted when the stop came: nobody would ever end it in order."""
    async with edge_port(pki) as port:
        shown = ssl.PEM_cert_to_DER_cert(pki.client_certificate_file.read_text())
        admission = await port.site_session.admit(
            instance=INSTANCE_A, certificate=port.trust.check(shown)
        )
        await port.site_session.drain(deadline_s=0)
        near, _ = memory_pipes()
        async with asyncio.timeout(1):
            await port.site_session.attach(admission, near)
        assert admission.session.close_reason is not None
        assert not port.client.state.connected
