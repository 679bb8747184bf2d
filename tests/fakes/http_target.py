"""A container's HTTP server for probes and hooks: answers each connection with given bytes."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator


@dataclass
class HttpTarget:
    """What listens, and what it was asked.

    Attributes:
        answers: By path; another path is answered with 404.
        requests: The heads of all requests so far.
        held: Paths that are answered only once this is set.
        serving: Connections that are still there.
    """

    answers: dict[str, bytes]
    port: int = 0
    requests: list[str] = field(default_factory=list)
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    serving: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        task = asyncio.current_task()
        if task is None:
            raise AssertionError("a connection has a task")
        self.serving.add(task)
        task.add_done_callback(self.serving.discard)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.requests.append(head)
            path = head.split(" ", 2)[1]
            if path in self.held:
                await self.held[path].wait()
            writer.write(self.answers.get(path, answer(404)))
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            return  # whoever asked hung up, or does not speak HTTP
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def answer(status: int, body: str = "", *headers: str) -> bytes:
    """Return an answer with its length."""
    lines = [f"HTTP/1.1 {status} Something", *headers, f"Content-Length: {len(body)}", "", body]
    return "\r\n".join(lines).encode()


@contextlib.asynccontextmanager
async def http_target(
    answers: dict[str, bytes], *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[HttpTarget]:
    """Listen on loopback meanwhile."""
    target = HttpTarget(answers)
    server = await asyncio.start_server(target.serve, "127.0.0.1", 0, ssl=tls)
    target.port = server.sockets[0].getsockname()[1]
    try:
        yield target
    finally:
        for each in target.held.values():
            each.set()
        server.close()
        await server.wait_closed()
        if target.serving:
            await asyncio.wait(target.serving, timeout=5)
