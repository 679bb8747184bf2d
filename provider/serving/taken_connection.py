"""A client's connection after the HTTP part of it is over."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from provider.serving.https_server import Connection

if TYPE_CHECKING:
    from aiohttp import web

# What waits to be read before the client's socket is left alone, and what may wait to be sent.
READ_AHEAD_BYTES = 256 << 10
WRITE_BUFFER_BYTES = 256 << 10


class ClientGone(Exception):
    """The client's connection ended."""


class TakenConnection(asyncio.Protocol):
    """Read and write a connection that an HTTP request was upgraded to.

    At most READ_AHEAD_BYTES (and what one read of the socket brings) wait on the reading side;
    writing waits when more than WRITE_BUFFER_BYTES are under way. With TLS an end of the client's
    side is the end of the connection.

    When the connection is lost, the request's handler is cancelled (``cancel_on_disconnect`` of the
    server).
    """

    def __init__(self, transport: asyncio.Transport, owner: asyncio.Protocol, early: bytes) -> None:
        self._transport = transport
        self._owner = owner
        self._received = bytearray(early)
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._lost = asyncio.Event()
        if early:
            self._readable.set()

    @classmethod
    def take(cls, request: web.BaseRequest) -> TakenConnection:
        """Take the connection of a request that has no answer yet.

        MUST be no await between here and the first write: what comes in between belongs to the new
        protocol.

        Raises:
            ClientGone: It is closed already, or has more on it than this one request.
        """
        transport, owner = request.transport, request.protocol
        if transport is None or transport.is_closing() or not isinstance(owner, Connection):
            raise ClientGone
        early = owner.take_early_bytes(request)
        if early is None:
            transport.abort()
            raise ClientGone
        taken = cls(transport, owner, early)
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        transport.set_protocol(taken)
        # aiohttp pauses a connection that sends on while a request runs.
        transport.resume_reading()
        return taken

    # asyncio.Protocol

    def data_received(self, data: bytes) -> None:
        """Keep bytes of the client until they are read."""
        self._received += data
        self._readable.set()
        if len(self._received) > READ_AHEAD_BYTES:
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        """Make writers wait."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let writers go on."""
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake everyone, and tell aiohttp, which cancels the request's handler."""
        self._lost.set()
        self._readable.set()
        self._writable.set()
        self._owner.connection_lost(exc)

    # for the request's handler

    async def read(self) -> bytes:
        """Return what has arrived, at least one byte. Cancelling is safe: nothing is lost.

        Raises:
            ClientGone: The connection ended and everything was read.
        """
        await self._readable.wait()
        if not self._received:
            raise ClientGone
        data = bytes(self._received)
        self._received.clear()
        if not self._lost.is_set():
            self._readable.clear()
            if len(data) > READ_AHEAD_BYTES:
                self._transport.resume_reading()
        return data

    async def write(self, data: bytes) -> None:
        """Write, and wait while more than WRITE_BUFFER_BYTES are under way.

        Raises:
            ClientGone: The connection ended.
        """
        if self._lost.is_set():
            raise ClientGone
        self._transport.write(data)
        await self._writable.wait()

    async def close(self, *, timeout_s: float) -> None:
        """Send what was written, then close; after ``timeout_s`` reset."""
        self._transport.close()
        try:
            async with asyncio.timeout(timeout_s):
                await self._lost.wait()
        except TimeoutError:
            self.abort()

    def abort(self) -> None:
        """Reset the connection; what was not sent yet is dropped."""
        self._transport.abort()
