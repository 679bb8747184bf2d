"""An edge that speaks the real sync protocol over a stream in memory, and a link that a test cuts.

It stands where ``edge_link.EdgeClient`` stands; the other end is the test itself, which sends and
expects messages through ``EdgeSide``.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar, cast

from provider.edge_link.edge_client import LinkState, SiteOffline
from tunnel.errors import SessionClosed, StreamReset
from tunnel.heads import RequestHead, ResponseHead
from tunnel.sync import FromEdge, FromProvider, Hello, decode_from_provider, encode_message
from tunnel.sync_fragments import FragmentReader, encode_fragments

if TYPE_CHECKING:
    from tunnel.stream import Stream

M = TypeVar("M")
# Virtual seconds under looptime; real ones elsewhere.
PATIENCE_S = 20.0


class MemoryStream:
    """What the provider holds: bytes one way to the test and one way back."""

    def __init__(self) -> None:
        self.to_provider = bytearray()
        self.to_edge = bytearray()
        self.error: Exception | None = None
        self.ended = False
        self._event = asyncio.Event()

    async def response(self) -> ResponseHead:
        """Return the answer at once."""
        return ResponseHead(status=200)

    async def read(self, max_bytes: int = 65536) -> bytes:
        """Return what the edge sent."""
        while not self.to_provider:
            if self.error:
                raise self.error
            if self.ended:
                return b""
            await self.wait()
        data = bytes(self.to_provider[:max_bytes])
        del self.to_provider[:max_bytes]
        return data

    async def write(self, data: bytes) -> None:
        """Take what the provider sends; never blocks."""
        if self.error:
            raise self.error
        self.to_edge += data
        self.notify()

    def reset(self, error_code: int = 0x8, reason: str = "reset") -> None:
        """End both ways."""
        if self.error is None:
            self.fail(StreamReset(error_code, reason))

    def fail(self, error: Exception) -> None:
        """Let both ends raise this."""
        self.error = error
        self.notify()

    def notify(self) -> None:
        """Wake all that wait for a change."""
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self) -> None:
        """Wait for a change."""
        await self._event.wait()


class EdgeSide:
    """The edge's end of one sync stream."""

    def __init__(self, stream: MemoryStream) -> None:
        self._stream = stream
        self._reader = FragmentReader()
        self._messages: list[FromProvider] = []

    def send(self, message: FromEdge) -> None:
        """Send one message."""
        for fragment in encode_fragments(encode_message(message)):
            self._stream.to_provider += fragment
        self._stream.notify()

    def end(self) -> None:
        """End the stream as a peer that leaves."""
        self._stream.ended = True
        self._stream.notify()

    async def receive(self) -> FromProvider:
        """Return the next message from the provider."""
        async with asyncio.timeout(PATIENCE_S):
            while not self._messages:
                if self._stream.to_edge:
                    data = bytes(self._stream.to_edge)
                    self._stream.to_edge.clear()
                    decoded = self._reader.receive_data(data)
                    self._messages += [decode_from_provider(payload) for payload in decoded]
                else:
                    await self._stream.wait()
        return self._messages.pop(0)

    async def expect(self, kind: type[M]) -> M:
        """Return the next message of this kind and drop the others before it."""
        while True:
            message = await self.receive()
            if isinstance(message, kind):
                return message


class FakeEdge:
    """The link and the calls, as the provider's controllers see them."""

    def __init__(self) -> None:
        self.healthy = True
        self._sessions = 0
        self._change = asyncio.Event()
        self._streams: list[MemoryStream] = []
        self._accepted: asyncio.Queue[EdgeSide] = asyncio.Queue()
        self.state = self._state(connected=False, last_error="not connected yet")

    async def wait_connected(self) -> None:
        """Return when connected."""
        while not self.state.connected:
            await self._change.wait()

    async def changed(self) -> LinkState:
        """Return the next state."""
        await self._change.wait()
        return self.state

    async def answers(self, *, timeout_s: float) -> bool:
        """Whether the edge answers; a sick one takes its whole time."""
        if not self.healthy:
            await asyncio.sleep(timeout_s)
        return self.state.connected and self.healthy

    async def open(self, head: RequestHead) -> Stream:
        """Open a sync stream."""
        if not self.state.connected:
            raise SiteOffline(f"offline: {self.state.last_error}")
        assert head.path == "/sync"
        stream = MemoryStream()
        self._streams.append(stream)
        self._accepted.put_nowait(EdgeSide(stream))
        return cast("Stream", stream)

    def connect(self) -> None:
        """Begin a session, or go on with one that is interrupted."""
        if not self.state.session_id_hash:
            self._sessions += 1
        self._set(self._state(connected=True, last_error=""))

    def interrupt(self, error: str = "no answer") -> None:
        """Lose the connection; the session and its streams stay."""
        self._set(self._state(connected=False, last_error=error, has_session=True))

    def cut(self, error: str = "no answer") -> None:
        """Lose the session and all its streams."""
        self._set(self._state(connected=False, last_error=error))
        for stream in self._streams:
            stream.fail(SessionClosed(error))
        self._streams.clear()

    async def accept(self, hello: Hello | None = None) -> EdgeSide:
        """Return the edge's end of the next sync stream, after its Hello."""
        async with asyncio.timeout(PATIENCE_S):
            side = await self._accepted.get()
        side.send(hello or make_hello())
        return side

    def _set(self, state: LinkState) -> None:
        self.state = state
        self._change.set()
        self._change = asyncio.Event()

    def _state(self, *, connected: bool, last_error: str, has_session: bool = False) -> LinkState:
        return LinkState(
            connected=connected,
            since=datetime.now(UTC),
            last_error=last_error,
            session_id_hash=f"session-{self._sessions}" if connected or has_session else "",
        )


def make_hello(**changes: object) -> Hello:
    """Return the Hello of an edge that holds nothing, or what is given."""
    fields: dict[str, object] = {
        "protocol": 1,
        "version": "0.1.0",
        "instance_id": "i",
        "boot_id": "b",
        "pods": {},
        "statuses": {},
    }
    return Hello(**(fields | changes))  # type: ignore[arg-type]
