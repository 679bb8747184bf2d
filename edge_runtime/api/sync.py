"""``/sync``: desired pods come down, statuses and reports of the machine go up (DESIGN §4).

One stream at a time, the newest wins. On each: 200, Hello, NodeReport, every PodGone, want of
a token and event that is still held; then both ways until the session ends. What comes down is on
disk BEFORE it is acknowledged; what goes up was on disk before it was told here.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from edge_runtime.api.request import ApiError
from edge_runtime.api.sync_outbox import SyncOutbox
from edge_runtime.objects.pod import PodUID
from tunnel.errors import SessionClosed, StreamReset, SyncError
from tunnel.protocol import ResponseHead
from tunnel.sync import (
    SYNC_PROTOCOL,
    Ack,
    Desired,
    EventAck,
    FromEdge,
    FromProvider,
    Hello,
    NodePut,
    NodeReport,
    ObjectForget,
    ObjectPut,
    PodForget,
    PodGone,
    PodPut,
    PodStatus,
    ServicesPut,
    StatusAck,
    StatusWant,
    TokenPut,
    decode_from_provider,
    encode_message,
    object_key,
)
from tunnel.sync_fragments import FragmentReader, encode_fragments

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable

    from edge_runtime.api.request import ApiRequest
    from edge_runtime.api.sync_sources import (
        EventSource,
        NodeReporter,
        NodeSink,
        ObjectSink,
        PodSink,
        ServiceSink,
        StatusSource,
        TokenSource,
    )
    from tunnel.stream import Stream

logger = logging.getLogger(__name__)

EDGE_STOPS = "the edge is stopping"

CANCEL = 0x8
PROTOCOL_ERROR = 0x1


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeIdentity:
    """Who speaks.

    Attributes:
        instance_id: Random per start of the process.
        boot_id: The kernel's.
    """

    version: str
    instance_id: str
    boot_id: str


class SyncHandler:
    """Answers ``/sync``."""

    def __init__(
        self,
        *,
        identity: EdgeIdentity,
        pods: PodSink,
        statuses: StatusSource,
        node: NodeReporter,
        events: EventSource,
        objects: ObjectSink,
        services: ServiceSink,
        tokens: TokenSource,
        own_node: NodeSink,
    ) -> None:
        self._identity = identity
        self._pods = pods
        self._statuses = statuses
        self._node = node
        self._events = events
        self._objects = objects
        self._services = services
        self._tokens = tokens
        self._own_node = own_node
        self._current: Stream | None = None
        self._turn = asyncio.Lock()
        self._is_stopping = False

    def stop(self) -> None:
        """End the stream and let no other begin: a planned stop waits for calls, not for this.

        Nothing is lost by it: what was not sent yet is on disk, and offered on the next connect.
        """
        self._is_stopping = True
        if self._current is not None:
            self._current.reset(CANCEL, EDGE_STOPS)

    async def handle(self, request: ApiRequest, stream: Stream) -> None:
        """Synchronise until the provider ends the stream, or a newer one comes.

        Raises:
            ApiError: 400 for another protocol than ours, 503 once ``stop`` was called.
            StreamReset: The stream was reset, by the provider or for a newer one.
            SessionClosed: The session is over.
            StoreError: What came down cannot be kept; it was not acknowledged.
        """
        if request.protocol != SYNC_PROTOCOL:
            raise ApiError(400, f"/sync speaks {SYNC_PROTOCOL} only")
        if self._is_stopping:
            raise ApiError(503, EDGE_STOPS)
        if self._current is not None:
            self._current.reset(CANCEL, "a newer sync stream takes its place")
        self._current = stream
        async with self._turn:
            if self._current is not stream:
                stream.reset(CANCEL, "a newer sync stream takes its place")
                return
            try:
                await self._synchronise(stream)
            finally:
                if self._current is stream:
                    self._current = None

    async def _synchronise(self, stream: Stream) -> None:
        await stream.respond(ResponseHead(status=200, headers=()))
        async with aclosing(self._node.changes()) as reports:
            refused = await self._exchange(stream, reports)
        if refused is not None:
            logger.warning("sync stream refused", extra={"reason": refused})
            stream.reset(PROTOCOL_ERROR, refused)

    async def _exchange(
        self, stream: Stream, reports: AsyncGenerator[NodeReport, None]
    ) -> str | None:
        """Send and receive until the stream ends; return why what came was refused, if it was."""
        # Readers of changes BEFORE the snapshots, or what changes in between is never told.
        sources: tuple[AsyncIterator[FromEdge], ...] = (
            self._statuses.changed(),
            self._pods.gone_changes(),
            self._events.changed(),
            self._tokens.changed(),
            reports,
        )
        outbox = SyncOutbox()
        told = await self._greet(stream, outbox, report=anext(reports))
        logger.info("sync stream open", extra={"pods": len(told)})
        refused: str | None = None
        try:
            async with asyncio.TaskGroup() as group:
                reader = group.create_task(self._receive(stream, outbox))
                writers = [group.create_task(_collect(source, outbox)) for source in sources]
                writers.append(group.create_task(self._send(stream, outbox, told)))
                reader.add_done_callback(lambda _: [task.cancel() for task in writers])
        except* SyncError as errors:
            refused = str(errors.exceptions[0])
        except* (StreamReset, SessionClosed) as lost:
            logger.info("sync stream lost", extra={"reason": str(lost.exceptions[0])})
        else:
            logger.info("sync stream ended by the provider")
            await stream.close_write()
        return refused

    async def _greet(
        self, stream: Stream, outbox: SyncOutbox, *, report: Awaitable[NodeReport]
    ) -> dict[str, int]:
        """Send Hello and NodeReport; return the sequences that the provider now knows."""
        statuses = dict(self._statuses.statuses())
        hello = Hello(
            protocol=1,
            version=self._identity.version,
            instance_id=self._identity.instance_id,
            boot_id=self._identity.boot_id,
            pods=dict(self._pods.revisions()),
            objects=dict(self._objects.revisions()),
            services=dict(self._services.revisions()),
            tokens=dict(self._tokens.expiries()),
            statuses=statuses,
        )
        gone, events = tuple(self._pods.gone()), tuple(self._events.pending())
        wants = tuple(self._tokens.wants())
        await _write(stream, hello)
        await _write(stream, await report)
        held: tuple[FromEdge, ...] = (*gone, *wants, *events)
        for message in held:
            outbox.put(message)
        # A digest is not the body: whoever needs the body asks, so only Hello's own count as told.
        return {uid: digest.sequence for uid, digest in statuses.items()}

    async def _send(self, stream: Stream, outbox: SyncOutbox, told: dict[str, int]) -> None:
        while True:
            message = await outbox.next()
            if isinstance(message, PodGone):
                # The last status goes ahead of PodGone, whichever of the two was noticed first.
                status = self._statuses.body(PodUID(message.uid))
                if status is not None and told.get(message.uid, 0) < status.sequence:
                    await _write(stream, status)
                told.pop(message.uid, None)
            elif isinstance(message, PodStatus):
                told[message.uid] = message.sequence
            await _write(stream, message)

    async def _receive(self, stream: Stream, outbox: SyncOutbox) -> None:
        reader = FragmentReader()
        while data := await stream.read():
            for payload in reader.receive_data(data):
                await self._dispatch(decode_from_provider(payload), outbox)
        if not reader.is_empty:
            raise SyncError("the sync stream ended in the middle of a message")

    async def _dispatch(self, message: FromProvider, outbox: SyncOutbox) -> None:
        match message:
            case PodPut() | Desired() | PodForget():
                await self._take_desired(message, outbox)
            case ObjectPut() | ObjectForget() | ServicesPut() | TokenPut() | NodePut():
                await self._keep(message, outbox)
            case StatusAck():
                self._statuses.acknowledge(PodUID(message.uid), sequence=message.sequence)
            case StatusWant():
                status = self._statuses.body(PodUID(message.uid))
                if status is not None:
                    outbox.put(status)
            case EventAck():
                await self._events.acknowledge(message.id)
            case _:
                assert_never(message)

    async def _take_desired(
        self, message: PodPut | Desired | PodForget, outbox: SyncOutbox
    ) -> None:
        match message:
            case PodPut():
                await self._put(message, outbox)
            case PodForget():
                await self._pods.forget(PodUID(message.uid))
            case Desired():
                if message.complete:
                    await self._pods.desired(tuple(PodUID(uid) for uid in message.pods))

    async def _put(self, message: PodPut, outbox: SyncOutbox) -> None:
        gone = await self._pods.put(PodUID(message.uid), revision=message.revision, pod=message.pod)
        outbox.put(gone or Ack(key=message.uid, revision=message.revision))

    async def _keep(
        self,
        message: ObjectPut | ObjectForget | ServicesPut | TokenPut | NodePut,
        outbox: SyncOutbox,
    ) -> None:
        match message:
            case ObjectPut():
                await self._put_object(message, outbox)
            case ObjectForget():
                await self._objects.forget(message)
            case ServicesPut():
                await self._services.put(message)
            case TokenPut():
                await self._tokens.put(message)
            case NodePut():
                await self._own_node.put(message)

    async def _put_object(self, message: ObjectPut, outbox: SyncOutbox) -> None:
        await self._objects.put(message)
        key = object_key(kind=message.kind, namespace=message.namespace, name=message.name)
        outbox.put(Ack(key=key, revision=message.revision))


async def _collect(source: AsyncIterator[FromEdge], outbox: SyncOutbox) -> None:
    async for message in source:
        outbox.put(message)


async def _write(stream: Stream, message: FromEdge) -> None:
    for fragment in encode_fragments(encode_message(message)):
        await stream.write(fragment)
