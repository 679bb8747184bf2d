"""The sync stream of one session, and the messages that wait for it.

Source: DESIGN.md §4 (docs/protocol.md), the order of messages.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from provider.telemetry.sync_traffic import SyncTraffic
from tunnel.errors import SyncError, TunnelError
from tunnel.protocol import RequestHead
from tunnel.sync import (
    SYNC_PATH,
    SYNC_PROTOCOL,
    Desired,
    EventAck,
    FromEdge,
    FromProvider,
    Hello,
    NodePut,
    ObjectForget,
    ObjectPut,
    PodForget,
    PodPut,
    ServicesPut,
    StatusAck,
    StatusWant,
    TokenPut,
    decode_from_edge,
    encode_message,
    object_key,
)
from tunnel.sync_fragments import FragmentReader, encode_fragments

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from provider.edge_link.edge_client import LinkState
    from tunnel.stream import Stream

PROTOCOL_VERSION: Final = 1
# The edge reads at once what it gets: one that leaves a fragment unread for this long is stuck.
WRITE_TIMEOUT_S: Final = 60.0
# Subjects of which messages wait; a node has hundreds, and whoever has more reads none of them.
MAX_WAITING: Final = 16384
# From the request to the edge's Hello.
OPEN_TIMEOUT_S: Final = 15.0
_HEAD = RequestHead(method="CONNECT", path=SYNC_PATH, headers=(), protocol=SYNC_PROTOCOL)

_Key = tuple[str, str]


class Edge(Protocol):
    """What this package needs to know of the edge; edge_link.EdgeClient fits."""

    @property
    def state(self) -> LinkState:
        """The state of this moment."""

    async def changed(self) -> LinkState:
        """Return the state after its next change."""

    async def wait_connected(self) -> None:
        """Return when a connection carries a session, at once if it does."""

    async def open(self, head: RequestHead) -> Stream:
        """Begin a call.

        Raises:
            SiteOffline: The edge is not there.
        """


class SyncOutbox:
    """Messages that wait to be sent; of one subject only the newest.

    Bounded by the number of subjects: a node's pods, its own description, the events that the
    edge may have under way. An edge that speaks of more than there are, and does not read the
    answers, loses its stream. While no session takes from it nothing is kept: the next session
    begins with a comparison of everything.
    """

    def __init__(self) -> None:
        self._waiting: dict[_Key, FromProvider] = {}
        self._arrived = asyncio.Event()
        self._is_open = False
        self._has_overflowed = False

    def open(self) -> None:
        """Keep messages from now on, for a session that has begun."""
        self._waiting.clear()
        self._is_open = True
        self._has_overflowed = False

    def close(self) -> None:
        """Drop what waits and all that comes."""
        self._waiting.clear()
        self._is_open = False

    def pending(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    def put(self, message: FromProvider) -> None:
        """Queue a message; it takes the place of one of the same subject that was not sent yet."""
        if not self._is_open:
            return
        subject = _subject(message)
        if len(self._waiting) >= MAX_WAITING and subject not in self._waiting:
            self._has_overflowed = True
        else:
            self._waiting[subject] = message
            self._arrived.set()

    def check(self) -> None:
        """Find out whether the edge reads.

        Raises:
            SyncError: Messages were dropped, since it does not.
        """
        if self._has_overflowed:
            raise SyncError(f"the edge leaves more than {MAX_WAITING} messages unread")

    async def get(self) -> FromProvider:
        """Take the message whose subject has waited longest. Cancelling loses none."""
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.pop(next(iter(self._waiting)))


def _subject(message: FromProvider) -> _Key:
    """Return what the message is about: a newer one about the same makes it void."""
    match message:
        case PodPut(uid=uid) | PodForget(uid=uid):
            return "pod", uid
        case StatusAck(uid=uid):
            return "status", uid
        case StatusWant(uid=uid):
            return "want", uid
        case EventAck(id=event_id):
            return "event", event_id
        case (
            ObjectPut(kind=kind, namespace=namespace, name=name)
            | ObjectForget(kind=kind, namespace=namespace, name=name)
        ):
            return "object", object_key(kind=kind, namespace=namespace, name=name)
        case ServicesPut(namespace=namespace):
            return "services", namespace
        case TokenPut(key=key):
            return "token", key
        case NodePut() | Desired():
            return type(message).__name__, ""


async def run_sync_stream(
    edge: Edge,
    outbox: SyncOutbox,
    *,
    on_hello: Callable[[Hello], None],
    on_message: Callable[[FromEdge], None],
    traffic: SyncTraffic | None = None,
) -> None:
    """Open the stream, hand over what the edge says, send what the outbox holds.

    Returns when the edge ends the stream. Cancelling resets it.

    Args:
        edge: Where to open it.
        outbox: Opened after the edge's Hello, closed at the end.
        on_hello: Told of the Hello, which comes first and once.
        on_message: Told of every later message, in order.
        traffic: Counts what goes either way.

    Raises:
        SiteOffline: There is no session.
        TunnelError: The session or stream was lost, or the edge sent what it must not.
        TimeoutError: The edge did not answer, or takes nothing any more.
    """
    traffic = traffic or SyncTraffic()
    async with asyncio.timeout(OPEN_TIMEOUT_S):
        stream = await edge.open(_HEAD)
    try:
        reader = _MessageReader(stream, traffic)
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            answer = await stream.response()
            if answer.status != 200:
                raise SyncError(f"the edge answered the sync stream with status {answer.status}")
            hello = await reader.next()
        if not isinstance(hello, Hello):
            raise SyncError(f"the edge's first message is {type(hello).__name__}, not Hello")
        if hello.protocol != PROTOCOL_VERSION:
            raise SyncError(f"the edge speaks version {hello.protocol} of the sync protocol")
        outbox.open()
        on_hello(hello)
        await _exchange(reader, on_message, outbox, writing=_write(stream, outbox, traffic))
    finally:
        outbox.close()
        stream.reset()  # does nothing on a stream that has ended


async def _exchange(
    reader: _MessageReader,
    on_message: Callable[[FromEdge], None],
    outbox: SyncOutbox,
    *,
    writing: Coroutine[None, None, None],
) -> None:
    try:
        async with asyncio.TaskGroup() as tasks:
            writer = tasks.create_task(writing)
            while message := await reader.next():
                if isinstance(message, Hello):
                    raise SyncError("the edge said Hello twice")
                on_message(message)
                outbox.check()
            writer.cancel()
    except BaseExceptionGroup as group:
        # Reader and writer fail together when the stream is lost, and one of them says it all; but
        # a bug of ours MUST NOT hide behind that.
        losses = (TunnelError, TimeoutError)
        bugs = [error for error in group.exceptions if not isinstance(error, losses)]
        if not bugs and _is_being_cancelled():
            # The group drops a cancellation that meets a failure of its tasks (CPython before
            # 3.13), and whoever waits for this to end would wait for ever.
            raise asyncio.CancelledError from group
        raise (bugs or group.exceptions)[0] from group


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _write(stream: Stream, outbox: SyncOutbox, traffic: SyncTraffic) -> None:
    while True:
        message = await outbox.get()
        payload = encode_message(message)
        traffic.sent(message, size_bytes=len(payload))
        for fragment in encode_fragments(payload):
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                await stream.write(fragment)


class _MessageReader:
    """Reads whole messages off a stream."""

    def __init__(self, stream: Stream, traffic: SyncTraffic) -> None:
        self._stream = stream
        self._traffic = traffic
        self._fragments = FragmentReader()
        self._complete: list[bytes] = []

    async def next(self) -> FromEdge | None:
        """Return the next message, None at the end of the stream."""
        while not self._complete:
            data = await self._stream.read()
            if not data:
                if not self._fragments.is_empty:
                    raise SyncError("the sync stream ended within a message")
                return None
            self._complete = self._fragments.receive_data(data)
        payload = self._complete.pop(0)
        message = decode_from_edge(payload)
        self._traffic.received(message, size_bytes=len(payload))
        return message
