"""Record events about pods and their node, and keep them until the API holds them.

    record() ──correlated──> run(): on disk ──> changed() readers, pending() ──EventAck──> dropped

An event that happens again keeps its id and counts up, so that the API shows one line.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from edge_runtime.events.correlation import MAX_ENTRIES, EventCorrelation, EventKey
from edge_runtime.store.changes import ChangeFeed, ChangeReader
from edge_runtime.store.errors import StoreError
from tunnel.sync import EventReport

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_runtime.objects.pod import Pod
    from edge_runtime.store.event_store import EventStore

# Events kept for a cloud that is away; beyond it the oldest is dropped.
MAX_OUTBOX = 1000
# Source: kubernetes client-go tools/record/event.go; the API refuses longer ones.
MAX_MESSAGE_CHARACTERS = 1024
# A disk that refuses is asked again so often.
RETRY_S = 5.0
_COMBINED = "(combined from similar events): "

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Entry:
    report: EventReport
    is_persisted: bool = False
    told_count: int = 0


class EventChanges:
    """Asynchronous iterator over persisted events, each in its newest form."""

    def __init__(self, recorder: EventRecorder, reader: ChangeReader[str]) -> None:
        self._recorder = recorder
        self._reader = reader

    def __aiter__(self) -> EventChanges:
        return self

    async def __anext__(self) -> EventReport:
        while True:
            report = self._recorder.tell(await self._reader.next())
            if report is not None:  # None: acknowledged or dropped since
                return report


class EventRecorder:
    """Events of pods and of the node, aggregated and bounded."""

    def __init__(
        self,
        store: EventStore,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self._store = store
        self._now = now
        self._monotonic = monotonic
        self._new_id = new_id
        self._correlation = EventCorrelation()
        self._known: OrderedDict[EventKey, EventReport] = OrderedDict()
        self._outbox: OrderedDict[str, _Entry] = OrderedDict()
        self._put: dict[str, None] = {}
        self._remove: set[str] = set()
        self._is_dirty = asyncio.Event()
        self._feed: ChangeFeed[str] = ChangeFeed()

    async def load(self) -> None:
        """Read what was persisted; once, before anything else.

        Raises:
            StoreError: It cannot be read.
        """
        for report in await self._store.load():
            self._outbox[report.id] = _Entry(report=report, is_persisted=True)

    async def run(self) -> None:
        """Persist and tell events until cancelled.

        While the disk refuses they wait in memory, in the bounds of the outbox.
        """
        while True:
            await self._is_dirty.wait()
            self._is_dirty.clear()
            try:
                await self._persist()
            except StoreError as exc:
                logger.warning("events cannot be persisted", extra={"error": str(exc)})
                self._is_dirty.set()
                await asyncio.sleep(RETRY_S)

    def record(
        self, pod: Pod, *, event_type: str, reason: str, message: str, container_name: str = ""
    ) -> None:
        """Record that something happened to a pod or to one of its containers; never waits.

        What is too much for one pod is counted nevertheless: the next one that is told says so.
        """
        key = EventKey(
            uid=pod.uid,
            field_path=_field_path(pod, container_name),
            event_type=event_type,
            reason=reason,
            message=message,
        )
        self._record(key, _regarding(pod, key.field_path))

    def record_node(self, *, event_type: str, reason: str, message: str) -> None:
        """Record that something happened to the node; the provider knows which one it is."""
        key = EventKey(uid="", field_path="", event_type=event_type, reason=reason, message=message)
        self._record(key, {"kind": "Node"})

    def _record(self, key: EventKey, regarding: dict[str, str]) -> None:
        now_s = self._monotonic()
        counted = self._correlation.combine(key, now_s=now_s)
        message = key.message if counted is key else _COMBINED + key.message
        report = self._count(counted, regarding, message)
        if self._correlation.admit(key, now_s=now_s):
            self._keep(report)
        else:
            logger.debug("event not told, there are too many", extra={"pod_uid": key.uid})

    def pending(self) -> list[EventReport]:
        """Return all persisted events that the API does not hold, oldest first."""
        reports = [self.tell(event_id) for event_id in list(self._outbox)]
        return [report for report in reports if report is not None]

    def waiting(self) -> int:
        """Return how many events the API is not known to hold."""
        return len(self._outbox)

    def changed(self) -> EventChanges:
        """Return an iterator over the events persisted from now on."""
        return EventChanges(self, self._feed.subscribe())

    def tell(self, event_id: str) -> EventReport | None:
        """Return an event to send, None if it is gone or not on disk yet."""
        entry = self._outbox.get(event_id)
        if entry is None or not entry.is_persisted:
            return None
        entry.told_count = entry.report.count
        return entry.report

    async def acknowledge(self, event_id: str) -> None:
        """Drop an event that the API holds, unless it happened again since it was told."""
        entry = self._outbox.get(event_id)
        if entry is not None and entry.told_count >= entry.report.count:
            self._drop(event_id)

    def _count(self, key: EventKey, regarding: dict[str, str], message: str) -> EventReport:
        now = _format(self._now())
        known = self._known.pop(key, None)
        if known is None:
            report = EventReport(
                id=self._new_id(),
                regarding=regarding,
                event_type=key.event_type,
                reason=key.reason,
                message=message[:MAX_MESSAGE_CHARACTERS],
                count=1,
                first_timestamp=now,
                last_timestamp=now,
            )
        else:
            report = msgspec.structs.replace(
                known,
                count=known.count + 1,
                message=message[:MAX_MESSAGE_CHARACTERS],
                last_timestamp=now,
            )
        self._known[key] = report
        if len(self._known) > MAX_ENTRIES:
            self._known.popitem(last=False)
        return report

    def _keep(self, report: EventReport) -> None:
        old = self._outbox.pop(report.id, None)
        self._outbox[report.id] = _Entry(
            report=report, told_count=old.told_count if old is not None else 0
        )
        self._put[report.id] = None
        self._remove.discard(report.id)
        self._is_dirty.set()
        if len(self._outbox) > MAX_OUTBOX:
            logger.warning("an event was dropped, %d wait for the cloud already", MAX_OUTBOX)
            self._drop(next(iter(self._outbox)))

    def _drop(self, event_id: str) -> None:
        del self._outbox[event_id]
        self._put.pop(event_id, None)
        self._remove.add(event_id)
        self._is_dirty.set()

    async def _persist(self) -> None:
        entries = [self._outbox[event_id] for event_id in self._put]
        removed = tuple(self._remove)
        self._put.clear()
        self._remove.clear()
        if not entries and not removed:
            return
        try:
            await self._store.change(put=[entry.report for entry in entries], remove=removed)
        except StoreError:
            waiting = [entry.report.id for entry in entries if entry.report.id in self._outbox]
            self._put = dict.fromkeys(waiting) | self._put
            self._remove.update(removed)
            raise
        for entry in entries:
            entry.is_persisted = True
            self._feed.publish(entry.report.id)


def _field_path(pod: Pod, container_name: str) -> str:
    if not container_name:
        return ""
    container = pod.container(container_name)
    return container.field_path if container is not None else f"spec.containers{{{container_name}}}"


def _regarding(pod: Pod, field_path: str) -> dict[str, str]:
    reference = {
        "apiVersion": "v1",
        "kind": "Pod",
        "namespace": pod.namespace,
        "name": pod.name,
        "uid": pod.uid,
    }
    return reference | ({"fieldPath": field_path} if field_path else {})


def _format(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
