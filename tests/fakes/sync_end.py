"""The provider's end of one sync stream, message by message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunnel.protocol import RequestHead
from tunnel.sync import SYNC_PATH, SYNC_PROTOCOL, FromEdge, decode_from_edge, encode_message
from tunnel.sync_fragments import FragmentReader, encode_fragments

if TYPE_CHECKING:
    from tunnel.session import Session
    from tunnel.stream import Stream
    from tunnel.sync import FromProvider


class SyncEnd:
    """The provider's end of one sync stream."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._reader = FragmentReader()
        self._messages: list[FromEdge] = []

    @classmethod
    async def open(cls, session: Session) -> SyncEnd:
        """Open it through the tunnel."""
        head = RequestHead(method="CONNECT", path=SYNC_PATH, protocol=SYNC_PROTOCOL)
        stream = await session.open(head)
        assert (await stream.response()).status == 200
        return cls(stream)

    async def send(self, message: FromProvider) -> None:
        """Send one message."""
        for fragment in encode_fragments(encode_message(message)):
            await self.stream.write(fragment)

    async def receive(self, *kinds: type[FromEdge]) -> Any:  # noqa: ANN401  # of an asked kind
        """Return the next message of these kinds, dropping what comes before."""
        while True:
            while not self._messages:
                data = await self.stream.read()
                assert data
                received = self._reader.receive_data(data)
                self._messages += [decode_from_edge(payload) for payload in received]
            message = self._messages.pop(0)
            if isinstance(message, kinds):
                return message
