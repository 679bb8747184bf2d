"""An HTTP proxy as companies have them, its own process: CONNECT alone, perhaps with a password.

    python -m tests.fakes.connect_proxy [USER:PASSWORD]

It prints its port, then one line per request: the status that it answered and the request line.
Whatever the headers say, they travel in clear; what is inside the connection it never sees.

Source: RFC 9110 §9.3.6, RFC 7617.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).parents[2]


class ConnectProxy:
    """Serves one connection after the other.

    Args:
        credentials: ``USER:PASSWORD`` that is asked for; "" for none.
    """

    def __init__(self, credentials: str) -> None:
        encoded = base64.b64encode(credentials.encode()).decode()
        self._authorization = f"Basic {encoded}" if credentials else None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until either end is gone."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await self._serve(reader, writer)
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        method, target, _ = request.split()
        if headers.get("proxy-authorization") != self._authorization:
            await answer(writer, request, "407 Proxy Authentication Required")
            return
        if method != "CONNECT":
            await answer(writer, request, "405 Method Not Allowed")
            return
        host, _, port = target.rpartition(":")
        try:
            far_reader, far_writer = await asyncio.open_connection(host.strip("[]"), int(port))
        except OSError:
            await answer(writer, request, "502 Bad Gateway")
            return
        await answer(writer, request, "200 Connection established", body=None)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(copy(reader, far_writer))
            tasks.create_task(copy(far_reader, writer))


async def answer(
    writer: asyncio.StreamWriter, request: str, status: str, *, body: bytes | None = b"no\n"
) -> None:
    """Answer, and say so on standard output."""
    head = f"HTTP/1.1 {status}\r\n"
    if body is not None:
        head += f'Proxy-Authenticate: Basic realm="x"\r\nContent-Length: {len(body)}\r\n'
    writer.write(head.encode() + b"\r\n" + (body or b""))
    await writer.drain()
    print(status.split()[0], request, flush=True)  # noqa: T201 - the protocol of this process


async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Copy to the end."""
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.close()


class RunningProxy:
    """The process, seen from a test."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self.port = port

    async def request(self) -> str:
        """Return the next request and what was answered."""
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode().strip()


@contextlib.asynccontextmanager
async def connect_proxy(credentials: str = "") -> AsyncIterator[RunningProxy]:
    """Run the process until the block ends."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.fakes.connect_proxy", credentials),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            port = int(await process.stdout.readline())
        yield RunningProxy(process, port)
    finally:
        process.terminate()
        await process.communicate()


async def main(credentials: str) -> None:
    """Listen on a free port of loopback and serve for ever."""
    server = await asyncio.start_server(ConnectProxy(credentials).serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - as above
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else ""))
