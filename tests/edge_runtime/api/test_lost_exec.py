"""Exec calls whose caller is gone, seen from the runtime: with a terminal or not."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from edge_runtime.api.lost_exec import LostExec
from edge_runtime.api.router import Route, Router
from edge_runtime.api.stream_relay import relay_upgrade
from tests.fakes.edge_api import edge_api
from tests.fakes.fake_cri_streaming import (
    SWITCHING,
    FakeCriStreaming,
    Upgraded,
    serve_cri_streaming,
)
from tests.fakes.spdy import HeaderWriter, data_frame, parse_frames
from tests.fakes.tunnel_pair import TunnelPair, tunnel_pair
from tunnel.protocol import METHOD_HEADER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from edge_runtime.api.request import ApiRequest
    from tunnel.stream import Stream

ERROR, STDIN = 1, 5
CTRL_C, CTRL_D, FIN = (STDIN, 0, b"\x03"), (STDIN, 0, b"\x04"), (STDIN, 1, b"")
SWITCHING_WEBSOCKET = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n"
)


class Runtime:
    """A streaming server that keeps what it got; its process ends when the test says so.

    Attributes:
        received: What came after the upgrade.
    """

    def __init__(self, switching: bytes = SWITCHING) -> None:
        self.switching = switching
        self.received = bytearray()
        self.ends_on = b""
        self.closed = asyncio.Event()
        self._came = asyncio.Event()

    async def behave(self, connection: Upgraded) -> None:
        """Serve one call."""
        connection.writer.write(self.switching)
        try:
            while data := await connection.reader.read(65536):
                self.received += data
                self._came.set()
                if self.ends_on and self.received.endswith(self.ends_on):
                    return
        finally:
            self.closed.set()

    async def has(self, size: int) -> None:
        """Wait until so many bytes came."""
        while len(self.received) < size:
            self._came.clear()
            await self._came.wait()


class Site:
    """An edge that execs into the runtime."""

    def __init__(self, pair: TunnelPair, outlived: list[None]) -> None:
        self.pair = pair
        self.outlived = outlived

    async def exec(self, protocol: str = "SPDY/3.1") -> Stream:
        """Begin a call."""
        stream = await self.pair.request(
            "/exec", protocol=protocol, headers=((METHOD_HEADER, "POST"),)
        )
        assert (await stream.response()).status == 200
        return stream


@contextlib.asynccontextmanager
async def site(runtime: Runtime, *, has_terminal: bool) -> AsyncIterator[Site]:
    """Connect provider, edge and runtime."""
    outlived: list[None] = []
    lost = LostExec(has_terminal=has_terminal, outlived=lambda: outlived.append(None))

    def relay_to(fake: FakeCriStreaming) -> Callable[[ApiRequest, Stream], Awaitable[None]]:
        async def relay(request: ApiRequest, stream: Stream) -> None:
            await relay_upgrade(request, stream, url=fake.url(), lost=lost)

        return relay

    async with (
        asyncio.timeout(20),
        serve_cri_streaming(runtime.behave) as fake,
        tunnel_pair(Router([Route("/exec", ("POST",), relay_to(fake))]).handle) as pair,
    ):
        yield Site(pair, outlived)


def streams() -> bytes:
    """Return what opens an error stream and stdin."""
    headers = HeaderWriter()
    error = headers.syn_stream(ERROR, {"streamtype": "error"})
    return error + headers.syn_stream(STDIN, {"streamType": "stdin"})


async def test_a_terminal_gets_ctrl_c_then_ctrl_d() -> None:
    """What a person would do who wants to leave; then stdin ends, and the process is gone."""
    runtime = Runtime()
    runtime.ends_on = data_frame(STDIN, b"", fin=True)
    async with site(runtime, has_terminal=True) as edge:
        stream = await edge.exec()
        typed = streams() + data_frame(STDIN, b"sleep 1000\n")
        await stream.write(typed)
        await runtime.has(len(typed))
        edge.pair.pipe.cut()
        await runtime.closed.wait()
        assert parse_frames(bytes(runtime.received[len(typed) :])) == [CTRL_C, CTRL_D, FIN]
        assert edge.outlived == []


async def test_without_a_terminal_stdin_ends() -> None:
    """`cat` ends by it; nobody types control characters into a file that is being copied."""
    runtime = Runtime()
    runtime.ends_on = data_frame(STDIN, b"", fin=True)
    async with site(runtime, has_terminal=False) as edge:
        stream = await edge.exec()
        await stream.write(streams())
        await runtime.has(len(streams()))
        edge.pair.pipe.cut()
        await runtime.closed.wait()
        assert parse_frames(bytes(runtime.received[len(streams()) :])) == [FIN]
        assert edge.outlived == []


@pytest.mark.parametrize("torn_at", range(1, 18))
async def test_a_frame_that_was_lost_in_the_middle_never_reaches_the_runtime(torn_at: int) -> None:
    """Half a frame, and what the edge says would be taken for its rest."""
    runtime = Runtime()
    runtime.ends_on = data_frame(STDIN, b"", fin=True)
    async with site(runtime, has_terminal=False) as edge:
        stream = await edge.exec()
        await stream.write(
            streams() + data_frame(STDIN, b"whole") + data_frame(STDIN, b"x" * 10)[:torn_at]
        )
        await runtime.has(len(streams()) + 13)
        edge.pair.pipe.cut()
        await runtime.closed.wait()
        frames = parse_frames(bytes(runtime.received[len(streams()) :]))
        assert frames == [(STDIN, 0, b"whole"), FIN]


async def test_a_client_that_went_away_is_a_lost_one() -> None:
    """The person closed the window: nobody will ever type there again."""
    runtime = Runtime()
    runtime.ends_on = data_frame(STDIN, b"", fin=True)
    async with site(runtime, has_terminal=True) as edge:
        stream = await edge.exec()
        await stream.write(streams())
        await runtime.has(len(streams()))
        stream.reset()
        await runtime.closed.wait()
        assert parse_frames(bytes(runtime.received[len(streams()) :])) == [CTRL_C, CTRL_D, FIN]


async def test_a_process_that_ignores_it_is_counted() -> None:
    """It outlives the call, as under a kubelet; its connection and the handler do not."""
    runtime = Runtime()
    async with site(runtime, has_terminal=True) as edge:
        stream = await edge.exec()
        await stream.write(streams())
        await runtime.has(len(streams()))
        edge.pair.pipe.cut()
        await runtime.closed.wait()
        assert edge.outlived == [None]


async def test_a_call_that_ended_in_order_is_told_nothing() -> None:
    """Its client goes away, too, and that is no loss."""
    runtime = Runtime()
    runtime.ends_on = b"bye"
    async with site(runtime, has_terminal=True) as edge:
        stream = await edge.exec()
        await stream.write(streams() + data_frame(STDIN, b"bye"))
        while await stream.read():
            pass
        stream.reset()
        await runtime.closed.wait()
        assert parse_frames(bytes(runtime.received[len(streams()) :])) == [(STDIN, 0, b"bye")]
        assert edge.outlived == []


async def test_a_websocket_terminal_gets_messages_on_channel_0() -> None:
    """Masked, as a client's are."""
    runtime = Runtime(SWITCHING_WEBSOCKET)
    runtime.ends_on = b"\x82\x82\0\0\0\0\x00\x04"
    async with site(runtime, has_terminal=True) as edge:
        stream = await edge.exec("websocket")
        await stream.write(b"\x82\x83abcd\x61\x0a")
        edge.pair.pipe.cut()
        await runtime.closed.wait()
        # The torn message was held back.
        assert bytes(runtime.received) == b"\x82\x82\0\0\0\0\x00\x03" + runtime.ends_on
        assert edge.outlived == []


async def test_exec_asks_for_a_terminals_end_only_with_tty(tmp_path: Path) -> None:
    """The whole way from the request."""
    runtime = Runtime()
    runtime.ends_on = data_frame(STDIN, b"", fin=True)
    async with edge_api(tmp_path, behaviour=runtime.behave) as api:
        await api.run_pod()
        stream = await api.upgrade("/exec/ns/p/c?command=sh&input=1&output=1&tty=1")
        await stream.response()
        await stream.write(streams())
        await runtime.has(len(streams()))
        api.pair.pipe.cut()
        await runtime.closed.wait()
    assert parse_frames(bytes(runtime.received[len(streams()) :])) == [CTRL_C, CTRL_D, FIN]
