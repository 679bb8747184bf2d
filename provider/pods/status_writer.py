"""Writes the edge's statuses to the API and finishes deletions.

What the edge says newest of each pod is kept in memory and compared with what the API holds
whenever either changes: on a status, and on every watch event. So what others write over it is put
right by itself, and no status is lost between a watch and a patch (DESIGN law 4).

One worker at a time looks at a pod, and several look at different pods:

    status or watch event ─> queue ─> patch the difference ─> StatusAck
                                   ─> gone at the edge, terminal in the API? ─> DELETE

Without a session, and while its connection is cut, nothing is written: a status of before the
silence is no news, and a node controller that says Ready=False then is right.

Source: pkg/kubelet/status/status_manager.go, syncPod and canBeDeleted.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from provider.kube.client import resource_path
from provider.kube.errors import ApiError, Conflict, CredentialsError, NotFound
from provider.kube.pace import Pace
from provider.kube.timestamps import format_time, utc_now
from provider.kube.watch import Backoff, is_older_version
from provider.pods.edge_claims import believed_status
from provider.pods.status_patch import (
    compute_lost_status,
    compute_status_patch,
    dropped_fields,
    is_terminal,
)
from provider.pods.work_queue import WorkQueue
from tunnel.errors import SyncError
from tunnel.sync import PodForget, StatusAck, StatusWant, compute_status_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from provider.kube.client import KubeApi
    from tunnel.sync import FromProvider, PodGone, PodStatus, StatusDigest

logger = logging.getLogger(__name__)

Json = dict[str, Any]

CONCURRENT_CALLS: Final = 8
# An edge whose pods change without end must not load the API server; a kubelet has 50 a second.
CALLS_PER_S: Final = 100.0
CALLS_BURST: Final = 200
# Before the first list it is not known which of the edge's pods exist; an edge that says more than
# a node has pods is told off, and says it again in its next Hello.
MAX_UNLISTED: Final = 1024


@dataclass(slots=True, kw_only=True)
class _Held:
    """The newest status of one pod, as the edge said it."""

    sequence: int
    status: Json
    hash: str
    is_acknowledged: bool = False


class StatusWriter:
    """Makes the API's statuses those of the edge."""

    def __init__(
        self,
        api: KubeApi,
        *,
        send: Callable[[FromProvider], None],
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """Write as ``api``'s identity.

        Args:
            api: The node's identity.
            send: Takes messages for the edge; while there is no session it drops them.
            now: The wall clock.
        """
        self._api = api
        self._send = send
        self._now = now
        self._queue = WorkQueue()
        self._pace = Pace(burst=CALLS_BURST, per_s=CALLS_PER_S)
        # What the API holds, by UID; complete once `_is_listed`.
        self._pods: dict[str, Json] = {}
        self._is_listed = False
        self._has_session = False
        self._is_connected = True
        # What the edge said: statuses that it offers, bodies, and pods of which nothing is left.
        self._offered: Mapping[str, StatusDigest] = {}
        self._held: dict[str, _Held] = {}
        self._gone: dict[str, int] = {}
        self._deleted: set[str] = set()
        # Pods of which it is in the log that the edge says what it should not.
        self._told: set[str] = set()
        # Of a status, what this API server is too old for.
        self._dropped_fields: frozenset[str] = frozenset()
        self._backoffs: dict[str, Backoff] = {}

    # From the API.

    def pods_listed(self, pods: Mapping[str, Json]) -> None:
        """Take the complete list of the node's pods, by UID."""
        for uid in set(self._pods) - set(pods):
            self.pod_deleted(uid)
        self._is_listed = True
        for uid, pod in pods.items():
            self.pod_changed(uid, pod)
        self._compare_offers()
        for uid in [uid for uid in self._gone if uid not in pods]:
            self._release(uid)

    def pod_changed(self, uid: str, pod: Json) -> None:
        """Take a pod that the watch told of."""
        if self._store(uid, pod):
            self._queue.add(uid)

    def pod_deleted(self, uid: str) -> None:
        """Take note that the API has the pod no more: whatever the edge says of it is settled."""
        self._pods.pop(uid, None)
        self._gone.pop(uid, None)
        self._deleted.discard(uid)
        self._told.discard(uid)
        self._backoffs.pop(uid, None)
        self._queue.discard(uid)
        if held := self._held.pop(uid, None):
            self._send(StatusAck(uid=uid, sequence=held.sequence))

    # From the edge.

    def statuses_offered(self, offered: Mapping[str, StatusDigest]) -> None:
        """Take what the edge holds, from its Hello: it is the newest, whatever came before.

        A status that was held and is not offered any more is forgotten: the edge lost its store.
        """
        self._has_session = True
        self._offered = offered
        self._gone.clear()  # said again right after Hello
        for uid, held in list(self._held.items()):
            digest = offered.get(uid)
            if digest is None or (digest.sequence, digest.hash) != (held.sequence, held.hash):
                del self._held[uid]
            else:
                held.is_acknowledged = False
                self._queue.add(uid)
        if self._is_listed:
            self._compare_offers()

    def session_ended(self) -> None:
        """Write nothing until the next Hello; what is held stays."""
        self._has_session = False

    def set_connected(self, *, connected: bool) -> None:
        """Write nothing while the session's connection is cut; then look at everything again."""
        if connected and not self._is_connected:
            for uid in {*self._held, *self._gone}:
                self._queue.add(uid)
        self._is_connected = connected

    def status_arrived(self, message: PodStatus) -> None:
        """Take a status; one older than what is held is dropped.

        Raises:
            SyncError: There are more than MAX_UNLISTED before the first list.
        """
        uid = message.uid
        if self._is_listed and uid not in self._pods:
            self._send(StatusAck(uid=uid, sequence=message.sequence))
            return
        held = self._held.get(uid)
        if held is not None and held.sequence >= message.sequence:
            return
        self._check_room(self._held)
        try:
            status = believed_status(message)
        except SyncError as exc:
            # That pod's trouble alone: what was held of it stays, and the edge need not repeat it.
            self._tell(uid, f"a status of pod {uid[:64]} is refused: {exc}")
            self._send(StatusAck(uid=uid, sequence=message.sequence))
            return
        digest = compute_status_hash(message.status)
        self._held[uid] = _Held(sequence=message.sequence, status=status, hash=digest)
        self._queue.add(uid)

    def pod_gone(self, message: PodGone) -> None:
        """Take note that nothing of the pod is left at the edge; raises as status_arrived does."""
        if self._is_listed and message.uid not in self._pods:
            self._release(message.uid)
            return
        self._check_room(self._gone)
        self._gone[message.uid] = message.sequence
        self._queue.add(message.uid)

    def pending(self) -> int:
        """Return of how many pods the API does not hold what the edge said newest."""
        return sum(not held.is_acknowledged for held in self._held.values())

    async def run(self) -> None:
        """Write until cancelled; what waits then is offered by the edge again."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(CONCURRENT_CALLS):
                    tasks.create_task(self._work())
        finally:
            self._queue.close()

    def _check_room(self, pods: Mapping[str, object]) -> None:
        if not self._is_listed and len(pods) >= MAX_UNLISTED:
            raise SyncError(f"the edge speaks of more than {MAX_UNLISTED} pods")

    def _compare_offers(self) -> None:
        """Ask for the bodies that are not held; settle what the API does not have."""
        for uid, digest in self._offered.items():
            if uid not in self._pods:
                self._send(StatusAck(uid=uid, sequence=digest.sequence))
            elif uid not in self._held:
                self._send(StatusWant(uid=uid))
        self._offered = {}
        for uid in [uid for uid in self._held if uid not in self._pods]:
            self._send(StatusAck(uid=uid, sequence=self._held.pop(uid).sequence))

    def _release(self, uid: str) -> None:
        """Tell the edge that a pod it still has on its books does not exist."""
        self._gone.pop(uid, None)
        self._send(PodForget(uid=uid))

    def _store(self, uid: str, pod: Json) -> bool:
        """Keep the newest state of a pod: a watch event may be older than a patch's answer."""
        known = self._pods.get(uid)
        if known is not None:
            versions = [item["metadata"]["resourceVersion"] for item in (pod, known)]
            if is_older_version(versions[0], versions[1]):
                return False
        pod["metadata"].pop("managedFields", None)  # the largest part of many, and nobody reads it
        self._pods[uid] = pod
        return True

    async def _work(self) -> None:
        while True:
            uid = await self._queue.get()
            try:
                await self._sync_pod(uid)
                self._backoffs.pop(uid, None)
            except (ApiError, CredentialsError) as exc:
                self._retry(uid, f"the status of pod {uid} is not written: {exc}")
            except Exception:  # one pod's failure is that pod's alone
                logger.exception("pod %s: its status cannot be handled", uid)
                self._retry(uid, f"pod {uid} failed")
            finally:
                self._queue.done(uid)

    def _retry(self, uid: str, message: str) -> None:
        if uid not in self._pods:
            return  # deleted meanwhile
        backoff = self._backoffs.setdefault(uid, Backoff(first_s=0.2))
        # Said once: while the API server is away, every pod that changes comes by here for ever.
        level = logging.DEBUG if backoff.failures else logging.WARNING
        delay_s = backoff.next_delay_s()
        logger.log(level, "%s; again in %.1f s", message, delay_s)
        self._queue.add_after(uid, delay_s)

    async def _sync_pod(self, uid: str) -> None:
        if not (self._has_session and self._is_connected):
            return
        try:
            if held := self._held.get(uid):
                await self._write_status(uid, held)
            if uid in self._gone:
                await self._finish(uid)
        except NotFound:
            self._settle(uid)
        except Conflict:
            # Another pod has the name now, or somebody else wrote at the same moment.
            if await self._exists(uid):
                raise
            self._settle(uid)

    async def _write_status(self, uid: str, held: _Held) -> None:
        pod = self._pods.get(uid)
        if pod is None:
            return  # not listed yet
        known = {key: held.status[key] for key in held.status if key not in self._dropped_fields}
        if patch := compute_status_patch(pod, known):
            await self._pace.turn()
            answer = await self._api.patch(_path(pod, "status"), patch)
            self._dropped_fields |= dropped_fields(patch, answer)
            self._store(uid, answer)
        self._acknowledge(uid, held)

    async def _finish(self, uid: str) -> None:
        """Delete a pod for good: only when nothing is left of it and its phase says so."""
        pod, sequence, held = self._pods.get(uid), self._gone[uid], self._held.get(uid)
        if pod is None or uid in self._deleted:
            return
        if not pod["metadata"].get("deletionTimestamp"):
            self._tell(uid, f"pod {uid} is gone at the edge, but nobody asked for its end")
            return
        if sequence > (held.sequence if held else 0):
            self._send(StatusWant(uid=uid))  # the status that belongs to its end comes first
            return
        if not is_terminal(pod):
            status = compute_lost_status(pod, now=format_time(self._now()))
            if patch := compute_status_patch(pod, status):
                pod = await self._api.patch(_path(pod, "status"), patch)
                self._store(uid, pod)
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}}
        await self._api.delete(_path(pod), {"kind": "DeleteOptions", "apiVersion": "v1", **options})
        self._deleted.add(uid)  # finalizers may keep the object; the DELETE is done all the same

    async def _exists(self, uid: str) -> bool:
        """Whether the API still has this very pod."""
        pod = self._pods.get(uid)
        if pod is None:
            return False
        try:
            found = await self._api.get(_path(pod))
        except NotFound:
            return False
        return bool(found["metadata"]["uid"] == uid and self._store(uid, found))

    def _tell(self, uid: str, message: str) -> None:
        """Say it once of a pod: the edge may repeat itself as often as it likes."""
        if uid in self._pods and uid not in self._told:
            self._told.add(uid)
            logger.warning("%s", message)

    def _settle(self, uid: str) -> None:
        """Take note that the API does not have the pod any more; the watch will say so too."""
        if held := self._held.get(uid):
            self._acknowledge(uid, held)

    def _acknowledge(self, uid: str, held: _Held) -> None:
        if not held.is_acknowledged:
            held.is_acknowledged = True
            self._send(StatusAck(uid=uid, sequence=held.sequence))


def _path(pod: Json, subresource: str = "") -> str:
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    return resource_path("pods", namespace=namespace, name=name, subresource=subresource)
