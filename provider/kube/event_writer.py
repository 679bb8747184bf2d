"""Events, written as the node and in the form that users and tools know from a kubelet.

An event's name is derived from its id, so that the same id sent again, even to a provider that has
just started, updates the Event instead of adding one.

Source: client-go tools/record/event.go, makeEvent; kubelet's component name in cmd/kubelet.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from typing import TYPE_CHECKING, Any, Final

import msgspec

from provider.kube.client import resource_path
from provider.kube.errors import (
    AlreadyExists,
    ApiError,
    BadRequest,
    CredentialsError,
    Forbidden,
    Invalid,
    NotFound,
)
from provider.kube.pace import Pace
from provider.kube.timestamps import format_time, utc_now
from provider.kube.watch import Backoff
from tunnel.sync import EventReport

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from provider.kube.client import KubeApi

logger = logging.getLogger(__name__)

Json = dict[str, Any]

# Beyond this many unwritten events the oldest is dropped without an acknowledgement: one from the
# edge stays in its outbox and comes again with the next session, one of ours is lost.
MAX_PENDING: Final = 512
# A kubelet limits itself to bursts of 100; an edge that floods must not fill the API server.
WRITES_BURST: Final = 100
WRITES_PER_S: Final = 5.0
# events.k8s.io/v1 limits a note to 1 KiB; longer ones say no more.
MAX_MESSAGE_CHARACTERS: Final = 1024
# The provider's own events that can be counted up; beyond, the one longest unseen begins anew.
MAX_REMEMBERED: Final = 256
# The newest ones, for whoever looks at the site's page.
MAX_RECENT: Final = 50
_COMPONENT = "kubelet"
# Ids of the provider's own events; no edge's begin so (pods/edge_claims.py).
_OWN_PREFIX = "provider/"
_Key = tuple[str, str, str, str]


class EventWriter:
    """Writes events one after the other; what cannot be written now is tried again.

    Events are the least of what a node has to say: they wait in one bounded queue of their own and
    never hold up a status.
    """

    def __init__(
        self,
        api: KubeApi,
        *,
        node_name: str,
        acknowledge: Callable[[str], None],
        now: Callable[[], datetime] = utc_now,
        backoff: Backoff | None = None,
    ) -> None:
        """Write as ``api``'s identity.

        Args:
            api: The node's identity.
            node_name: The ``host`` of every event.
            acknowledge: Told the id of each event that is recorded or never will be.
            now: The wall clock, for the provider's own events.
            backoff: Delays after failures.
        """
        self._api = api
        self._node_name = node_name
        self._acknowledge = acknowledge
        self._now = now
        self._backoff = backoff or Backoff()
        self._pending: dict[str, EventReport] = {}
        self._pace = Pace(burst=WRITES_BURST, per_s=WRITES_PER_S)
        self._arrived = asyncio.Event()
        self._own: dict[_Key, EventReport] = {}
        self._own_count = 0
        self._recent: dict[str, EventReport] = {}
        self._has_dropped = False

    def report(self, event: EventReport) -> None:
        """Take an event from the edge; the newest of one id wins."""
        self._put(event)

    def record(self, regarding: Json, event_type: str, reason: str, message: str) -> None:
        """Take an event of the provider's own, about ``regarding`` (an ``involvedObject``).

        The same again counts the earlier Event up, so that a link that comes and goes fills no
        list.
        """
        moment = self._now()
        time = format_time(moment)
        key = (str(regarding), event_type, reason, message)
        if earlier := self._own.pop(key, None):
            count = earlier.count + 1
            event = msgspec.structs.replace(earlier, count=count, last_timestamp=time)
        else:
            self._own_count += 1
            event = EventReport(
                id=f"{_OWN_PREFIX}{moment.timestamp()}/{self._own_count}",
                regarding=regarding,
                event_type=event_type,
                reason=reason,
                message=message,
                count=1,
                first_timestamp=time,
                last_timestamp=time,
            )
        self._own[key] = event
        if len(self._own) > MAX_REMEMBERED:
            del self._own[next(iter(self._own))]
        self._put(event)

    def record_node(self, event_type: str, reason: str, message: str) -> None:
        """Take an event about the node itself; like a kubelet's, its UID is the node's name."""
        node = {"kind": "Node", "name": self._node_name, "uid": self._node_name}
        self.record(node, event_type, reason, message)

    async def run(self) -> None:
        """Write until cancelled; what is pending then is not written."""
        while True:
            await self._arrived.wait()
            while self._pending:
                await self._write_first()
            self._arrived.clear()
            self._has_dropped = False

    def recent(self) -> tuple[EventReport, ...]:
        """Return the newest events, written or not, the newest last; at most MAX_RECENT."""
        return tuple(self._recent.values())

    def pending(self) -> int:
        """Return how many are not written."""
        return len(self._pending)

    def _put(self, event: EventReport) -> None:
        self._recent.pop(event.id, None)
        self._recent[event.id] = event
        if len(self._recent) > MAX_RECENT:
            del self._recent[next(iter(self._recent))]
        self._pending.pop(event.id, None)
        self._pending[event.id] = event
        if len(self._pending) > MAX_PENDING:
            self._drop_one()
        self._arrived.set()

    def _drop_one(self) -> None:
        """Drop the oldest event of the edge; one of our own only where there is no other."""
        theirs = (key for key in self._pending if not key.startswith(_OWN_PREFIX))
        dropped = self._pending.pop(next(theirs, next(iter(self._pending))))
        if not self._has_dropped:
            self._has_dropped = True
            logger.warning("too many events wait, dropped %s: %s", dropped.reason, dropped.message)

    async def _write_first(self) -> None:
        await self._pace.turn()
        event = next(iter(self._pending.values()))
        try:
            await self._write(event)
        except (NotFound, Invalid, BadRequest, Forbidden, ValueError) as exc:
            # Its namespace is gone or going, or it is no event: it never can be written.
            logger.warning("event %s is not recorded: %s", event.reason, exc)
        except (ApiError, CredentialsError) as exc:
            delay_s = self._backoff.next_delay_s()
            logger.warning("event %s, again in %.1f s: %s", event.reason, delay_s, exc)
            await asyncio.sleep(delay_s)
            return
        self._backoff.reset()
        if self._pending.get(event.id) is event:  # else a newer one came meanwhile
            del self._pending[event.id]
            self._acknowledge(event.id)

    async def _write(self, event: EventReport) -> None:
        namespace = str(event.regarding.get("namespace") or "default")
        body = self._body(event, namespace)
        try:
            await self._api.create(resource_path("events", namespace=namespace), body)
        except AlreadyExists:
            name = str(body["metadata"]["name"])
            changes = {key: body[key] for key in ("count", "lastTimestamp", "message")}
            path = resource_path("events", namespace=namespace, name=name)
            await self._api.patch(path, changes)

    def _body(self, event: EventReport, namespace: str) -> Json:
        digest = hashlib.blake2b(f"{self._node_name}/{event.id}".encode(), digest_size=8)
        # An object's name leaves room for the suffix: names end at 253 characters.
        name = f"{str(event.regarding.get('name') or 'unknown')[:230]}.{digest.hexdigest()}"
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": event.regarding,
            "type": event.event_type,
            "reason": event.reason,
            "message": event.message[:MAX_MESSAGE_CHARACTERS],
            "count": event.count,
            "firstTimestamp": event.first_timestamp,
            "lastTimestamp": event.last_timestamp,
            "source": {"component": _COMPONENT, "host": self._node_name},
            "reportingComponent": _COMPONENT,
            "reportingInstance": self._node_name,
        }
