"""The newest status of each pod: compared, numbered, persisted, then told.

    set() ──differs──> sequence + 1 ──run(): on disk──> changed() readers, statuses(), body()

`set` never waits, so that no pod's start waits for the disk; several changes of one pod that come
while a write is under way become one.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from edge_runtime.status.pod_start_times import PodStartTimes
from edge_runtime.store.changes import ChangeFeed, ChangeReader
from edge_runtime.store.errors import StoreError
from edge_runtime.store.status_store import StatusStore, StoredStatus
from tunnel.sync import PodStatus, StatusDigest, compute_status_hash

if TYPE_CHECKING:
    from collections.abc import Collection

    from edge_runtime.objects.container import Json
    from edge_runtime.objects.pod import PodUID


# A disk that refuses is asked again so often.
RETRY_S = 5.0

logger = logging.getLogger(__name__)


class StatusChanges:
    """Asynchronous iterator over persisted statuses, the newest of each pod only.

    It begins with changes after its creation; cancelling a step loses nothing.
    """

    def __init__(self, manager: StatusManager, reader: ChangeReader[PodUID]) -> None:
        self._manager = manager
        self._reader = reader

    def __aiter__(self) -> StatusChanges:
        return self

    async def __anext__(self) -> PodStatus:
        while True:
            status = self._manager.body(await self._reader.next())
            if status is not None:  # None: forgotten since
                return status


class StatusManager:
    """Statuses by pod UID; sequences never go back, not even over restarts."""

    def __init__(self, store: StatusStore, *, starts: PodStartTimes | None = None) -> None:
        self._store = store
        self._starts = starts or PodStartTimes(lambda _duration_s: None)
        self._newest: dict[PodUID, StoredStatus] = {}
        self._persisted: dict[PodUID, StoredStatus] = {}
        self._acknowledged: dict[PodUID, int] = {}
        self._dirty: set[PodUID] = set()
        self._is_dirty = asyncio.Event()
        self._feed: ChangeFeed[PodUID] = ChangeFeed()

    async def load(self) -> None:
        """Read what was persisted; once, before anything else.

        Raises:
            StoreError: It cannot be read.
        """
        self._persisted = {each.uid: each for each in await self._store.load()}
        self._newest = dict(self._persisted)

    async def run(self) -> None:
        """Persist and tell changes until cancelled.

        While the disk refuses nothing is told, and the newest status of each pod waits in memory: a
        full disk must not end a process through which somebody could make room.
        """
        while True:
            await self._is_dirty.wait()
            self._is_dirty.clear()
            try:
                await self._persist(tuple(self._dirty))
            except StoreError as exc:
                logger.warning("statuses cannot be persisted", extra={"error": str(exc)})
                self._is_dirty.set()
                await asyncio.sleep(RETRY_S)

    def get(self, uid: PodUID) -> Json | None:
        """Return the newest status, perhaps not on disk yet; for deciding, not for telling."""
        entry = self._newest.get(uid)
        return entry.status if entry is not None else None

    def set(self, uid: PodUID, status: Json) -> bool:
        """Take a pod's status; return whether it differs from the one before."""
        digest = compute_status_hash(status)
        old = self._newest.get(uid)
        if old is not None and old.hash == digest:
            return False
        if old is None:
            self._starts.first_seen(uid)
        self._starts.in_phase(uid, status.get("phase"))
        sequence = old.sequence + 1 if old is not None else 1
        self._newest[uid] = StoredStatus(uid=uid, sequence=sequence, hash=digest, status=status)
        self._dirty.add(uid)
        self._is_dirty.set()
        return True

    async def persist(self, uid: PodUID) -> int:
        """Return the sequence of the pod's newest status once it is on disk; 0 for none.

        Raises:
            StoreError: The disk refuses.
        """
        entry = self._newest.get(uid)
        if entry is None:
            return 0
        persisted = self._persisted.get(uid)
        if persisted is None or persisted.sequence < entry.sequence:
            await self._persist((uid,))
        return entry.sequence

    def statuses(self) -> dict[str, StatusDigest]:
        """Return sequence and hash of every persisted status, for Hello."""
        return {
            uid: StatusDigest(sequence=each.sequence, hash=each.hash)
            for uid, each in self._persisted.items()
        }

    def body(self, uid: PodUID) -> PodStatus | None:
        """Return the newest persisted status, None for an unknown pod."""
        entry = self._persisted.get(uid)
        if entry is None:
            return None
        return PodStatus(uid=uid, sequence=entry.sequence, status=entry.status)

    def changed(self) -> StatusChanges:
        """Return an iterator over the statuses persisted from now on."""
        return StatusChanges(self, self._feed.subscribe())

    def acknowledge(self, uid: PodUID, *, sequence: int) -> None:
        """Note that the API holds the status of this sequence."""
        if uid in self._newest:
            self._acknowledged[uid] = max(sequence, self._acknowledged.get(uid, 0))

    def unacknowledged(self) -> int:
        """Return how many pods have a status that the API is not known to hold."""
        return sum(
            1
            for uid, each in self._persisted.items()
            if self._acknowledged.get(uid, 0) < each.sequence
        )

    def forget(self, uid: PodUID) -> None:
        """Drop a pod; call BEFORE PodStore.remove, or a late write brings the row back."""
        for entries in (self._newest, self._persisted, self._acknowledged):
            entries.pop(uid, None)
        self._starts.forget(uid)
        self._dirty.discard(uid)

    async def _persist(self, uids: Collection[PodUID]) -> None:
        batch = [self._newest[uid] for uid in uids if uid in self._newest]
        if not batch:
            return
        await self._store.put_all(batch)
        for entry in batch:
            newest = self._newest.get(entry.uid)
            if newest is None:
                continue  # forgotten meanwhile
            if newest.sequence == entry.sequence:
                self._dirty.discard(entry.uid)
            old = self._persisted.get(entry.uid)
            if old is None or old.sequence < entry.sequence:
                self._persisted[entry.uid] = entry
                self._feed.publish(entry.uid)
