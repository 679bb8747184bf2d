"""How fast the tunnel is on loopback: one stream, and eight, beside bare WebSocket messages."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from typing import TYPE_CHECKING

from aiohttp import WSMsgType, web

from benchmarks.figure import Figure, median_figure
from benchmarks.tunnel_ends import call, drain, site_pki, tunnel_ends
from provider.serving.tls import server_context
from tests.fakes.edge_process import edge_process
from tunnel.inbox import Inbox
from tunnel.pipe import MAX_MESSAGE_BYTES
from tunnel.schedule import MAX_FRAME_BYTES
from tunnel.stream import READ_BYTES

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    from tests.fakes.edge_port import EdgePort
    from tests.fakes.site_pki import SitePki

ROUNDS = 5
STREAMS = 8
MB = 1_000_000
SIZE = 200 * MB
WARM_UP_SIZE = 40 * MB
# The largest message, and the largest that TCP takes in one piece on loopback. Which of them is
# faster depends on who waits for whom; the baseline is the faster one.
BARE_MESSAGE_BYTES = (MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES - 256)


async def measure() -> list[Figure]:
    """Return the figures; the kinds take turns, so that a busy moment slows all of them."""
    bare: dict[int, list[float]] = {size: [] for size in BARE_MESSAGE_BYTES}
    one, eight, handed_out = [], [], []
    with site_pki() as pki:
        async with tunnel_ends(pki) as port, bare_websocket(pki) as websocket:
            await _tunnel_mb_per_s(port, streams=1, size=WARM_UP_SIZE)
            for _ in range(ROUNDS):
                for message_bytes, seen in bare.items():
                    seen.append(await _bare_mb_per_s(websocket, message_bytes=message_bytes))
                one.append(await _tunnel_mb_per_s(port, streams=1, size=SIZE))
                eight.append(await _tunnel_mb_per_s(port, streams=STREAMS, size=SIZE))
                handed_out.append(await _handed_out_mb_per_s(websocket, readers=STREAMS))
    return [
        median_figure(
            f"tunnel, one stream of {SIZE // MB} MB, mTLS loopback (aim: 0.8)",
            one,
            max(bare.values(), key=statistics.median),
            unit="MB/s",
            baseline_name="the same bytes as bare WebSocket messages, same libraries, best size",
        ),
        median_figure(
            f"tunnel, {STREAMS} streams together (aim: 1)",
            eight,
            one,
            unit="MB/s",
            baseline_name="the one stream",
        ),
        median_figure(
            f"tunnel, {STREAMS} streams together, beside bare messages",
            eight,
            handed_out,
            unit="MB/s",
            baseline_name=f"bare messages, pieces of which go to {STREAMS} readers in turn",
        ),
    ]


async def _tunnel_mb_per_s(port: EdgePort, *, streams: int, size: int) -> float:
    started = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        runs = [
            tasks.create_task(_transfer(port, path=f"/bytes?size={size // streams}"))
            for _ in range(streams)
        ]
    assert sum(run.result() for run in runs) == size
    return size / MB / (time.perf_counter() - started)


async def _transfer(port: EdgePort, *, path: str) -> int:
    return await drain(await call(port, path))


@contextlib.asynccontextmanager
async def bare_websocket(pki: SitePki) -> AsyncIterator[web.WebSocketResponse]:
    """Serve a WebSocket with aiohttp and mTLS, and let the other process dial it."""
    arrived: asyncio.Queue[web.WebSocketResponse] = asyncio.Queue()
    done = asyncio.Event()

    async def accept(request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse(compress=False, max_msg_size=MAX_MESSAGE_BYTES + 1)
        await websocket.prepare(request)
        arrived.put_nowait(websocket)
        await done.wait()
        return websocket

    application = web.Application()
    application.router.add_get("/bare", accept)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=_context(pki))
        await site.start()
        (address,) = runner.addresses
        async with edge_process(pki, port=address[1], bare=True):
            yield await arrived.get()
            done.set()
    finally:
        await runner.cleanup()


def _context(pki: SitePki) -> ssl.SSLContext:
    return server_context(
        certificate_pem=pki.server_certificate_file.read_bytes(),
        key_pem=pki.server_key_file.read_bytes(),
        client_ca_pem=pki.ca_file.read_bytes(),
    )


async def _bare_mb_per_s(websocket: web.WebSocketResponse, *, message_bytes: int) -> float:
    started = time.perf_counter()
    await websocket.send_str(f"{SIZE} {message_bytes}")
    received = 0
    while received < SIZE:
        message = await websocket.receive()
        assert message.type is WSMsgType.BINARY, message
        received += len(message.data)
    return SIZE / MB / (time.perf_counter() - started)


async def _handed_out_mb_per_s(websocket: web.WebSocketResponse, *, readers: int) -> float:
    """Measure what handing out alone costs: pieces of a frame's size, to whoever's turn it is."""
    inboxes = [Inbox() for _ in range(readers)]
    done = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for inbox in inboxes:
            tasks.create_task(_drain_inbox(inbox, done))
        await asyncio.sleep(0)
        started = time.perf_counter()
        await websocket.send_str(f"{SIZE} {BARE_MESSAGE_BYTES[1]}")
        received = turn = 0
        while received < SIZE:
            data = memoryview((await websocket.receive()).data)
            received += len(data)
            for start in range(0, len(data), MAX_FRAME_BYTES):
                inboxes[turn % readers].put(data[start : start + MAX_FRAME_BYTES])
                turn += 1
        done.set()
        for inbox in inboxes:
            inbox.wake()
    return SIZE / MB / (time.perf_counter() - started)


async def _drain_inbox(inbox: Inbox, done: asyncio.Event) -> None:
    while inbox.size or not done.is_set():
        if inbox.size:
            inbox.take(READ_BYTES)
        else:
            await inbox.wait()
