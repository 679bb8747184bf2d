"""An edge in a process of its own: the real dialer, and a few paths in place of the edge API.

    /bytes?size=N     N bytes
    /log              bytes without end
    /sink             takes all, then answers how much it was
    /echo             sends back what comes
    /state            its memory, file descriptors, tasks and streams, as JSON
    …?reset_after=N   ends the call with RST_STREAM after N bytes sent (or taken)

With ``--bare`` it sends the same bytes as bare messages over a WebSocket of the same library: the
baseline for measurements.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import gc
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import psutil
import uvloop
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from edge_runtime.uplink.credentials import Credentials
from edge_runtime.uplink.dial import ProviderDial
from edge_runtime.uplink.dialer import Dialer
from tunnel.errors import SessionClosed, StreamReset
from tunnel.heap import keep_freed_memory
from tunnel.identity import parse_site_name
from tunnel.metrics import TunnelMetrics
from tunnel.pipe import MAX_MESSAGE_BYTES
from tunnel.protocol import ResponseHead

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.fakes.site_pki import SitePki
    from tunnel.stream import Stream

Json = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]
PIECE = bytes(64 << 10)
START_TIMEOUT_S = 30.0
END_TIMEOUT_S = 10.0
INTERNAL_ERROR = 2


class EdgePaths:
    """Answers the calls; see the module's docstring."""

    def __init__(self, metrics: TunnelMetrics) -> None:
        self._metrics = metrics

    async def __call__(self, stream: Stream) -> None:
        """Answer one call; a call that the other end cancels is not an error here."""
        with contextlib.suppress(StreamReset, SessionClosed):
            await self._answer(stream)

    async def _answer(self, stream: Stream) -> None:
        url = urlsplit(stream.request.path)
        query = parse_qs(url.query)
        reset_after = int(query.get("reset_after", ["0"])[0]) or None
        await stream.respond(ResponseHead(status=200))
        match url.path:
            case "/bytes":
                await _send(stream, int(query["size"][0]), reset_after)
            case "/log":
                await _send(stream, 1 << 60, reset_after)
            case "/sink":
                await _sink(stream, reset_after)
            case "/state":
                await stream.write(json.dumps(self._state()).encode())
            case _:
                while data := await stream.read():
                    await stream.write(data)
        if not stream.is_closed:
            await stream.close_write()

    def _state(self) -> Json:
        # This call itself is one of the streams, and has a task.
        return {**process_state(), "streams": open_streams(self._metrics)}


def open_streams(metrics: TunnelMetrics) -> int:
    """Return how many streams are open on all sessions that these metrics watch."""
    families = {family.name: family for family in metrics.collect()}
    return int(families["edgelet_tunnel_streams_open"].samples[0].value)


def process_state() -> Json:
    """Return what this process holds; to be called in its event loop.

    What the C library's allocator merely keeps for later is given back before: nobody holds it.
    """
    process = psutil.Process()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return {
        "rss_bytes": process.memory_info().rss,
        "fds": process.num_fds(),
        "tasks": len(asyncio.all_tasks()),
        "pid": process.pid,
    }


async def _send(stream: Stream, size: int, reset_after: int | None) -> None:
    left = size if reset_after is None else min(size, reset_after)
    while left:
        part = PIECE[:left]  # PIECE itself while so much is left
        await stream.write(part)
        left -= len(part)
    if reset_after is not None:
        stream.reset(INTERNAL_ERROR, "as asked for")


async def _sink(stream: Stream, reset_after: int | None) -> None:
    taken = 0
    while data := await stream.read():
        taken += len(data)
        if reset_after is not None and taken >= reset_after:
            stream.reset(INTERNAL_ERROR, "as asked for")
            return
    await stream.write(str(taken).encode())


async def dial(*, server: tuple[str, int], credentials: Credentials, instance_id: str) -> None:
    """Be an edge until cancelled."""
    one_dial = ProviderDial(server=server, credentials=credentials, instance_id=instance_id)
    metrics = TunnelMetrics()
    await Dialer(dial=one_dial, handler=EdgePaths(metrics), metrics=metrics).run()


async def send_bare(*, server: tuple[str, int], credentials: Credentials) -> None:
    """Send as many bytes as each message asks for, in messages of the size that it names."""
    host, port = server
    async with connect(
        f"wss://{host}:{port}/bare",
        ssl=credentials.tls_context(),
        server_hostname=credentials.server_hostname,
        compression=None,
        proxy=None,
        ping_interval=None,
        max_size=MAX_MESSAGE_BYTES,
    ) as connection:
        with contextlib.suppress(ConnectionClosed):
            while True:
                left, message_bytes = map(int, (await connection.recv(decode=True)).split())
                while left:
                    size = min(left, message_bytes)
                    await connection.send(PIECE[:size])
                    left -= size


def main() -> None:
    """Parse the command line and run until killed, or until the standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--pki", required=True, type=Path)
    parser.add_argument("--site", required=True)
    parser.add_argument("--instance", required=True)
    parser.add_argument("--bare", action="store_true")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    keep_freed_memory()
    uvloop.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> None:
    server = ("127.0.0.1", arguments.port)
    credentials = Credentials(
        site=parse_site_name(arguments.site),
        ca_file=str(arguments.pki / "ca.crt"),
        identity_file=str(arguments.pki / "identity.pem"),
    )
    stdin = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin
    )
    async with asyncio.TaskGroup() as tasks:
        if arguments.bare:
            work = tasks.create_task(send_bare(server=server, credentials=credentials))
        else:
            work = tasks.create_task(
                dial(server=server, credentials=credentials, instance_id=arguments.instance)
            )
        await stdin.read()
        work.cancel()


@contextlib.asynccontextmanager
async def edge_process(
    pki: SitePki, *, port: int, instance: str = "a" * 32, bare: bool = False
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run an edge that dials 127.0.0.1 at this port, until the block is left."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.fakes.edge_process", "--port", str(port), "--site", pki.site),
        *("--pki", str(pki.ca_file.parent), "--instance", instance),
        *(["--bare"] if bare else []),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    try:
        yield process
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(END_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


if __name__ == "__main__":
    main()
