"""The desired pods: on disk before anybody acts on them, then with their workers.

    put() ──on disk──> workers ──nothing is left──> tombstone ──> gone_changes() ──forget()──> ∅

What is gone stays as a tombstone until the cloud forgot the pod, so that it is never started again.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

from edge_runtime.objects.pod import Pod, PodUID
from edge_runtime.pods.orphans import OrphanRemover
from edge_runtime.store.changes import ChangeFeed, ChangeReader
from edge_runtime.store.pod_store import PodState, PodStore, StoredPod
from tunnel.sync import PodGone

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_runtime.objects.container import Json
    from edge_runtime.pleg.pod_cache import PodCache
    from edge_runtime.pods.deferred_cleaning import DeferredCleaning
    from edge_runtime.pods.pod_termination import PodTermination
    from edge_runtime.pods.pod_work import PodWork
    from edge_runtime.pods.pod_workers import PodWorkers
    from edge_runtime.status.status_manager import StatusManager
    from edge_runtime.store.local_pod_state import LocalPodState

logger = logging.getLogger(__name__)


class ImageMemory(Protocol):
    """What is remembered per pod of its images (images/image_manager.py)."""

    def forget(self, pod_uid: str) -> None:
        """Drop what is known of a pod that is gone."""
        ...


class AllocationMemory(Protocol):
    """What is remembered of what a pod was given (admission/allocation_manager.py)."""

    def forget(self, uid: PodUID) -> None:
        """Drop what is known of a pod that is gone."""
        ...


class GoneChanges:
    """Asynchronous iterator over the pods that are gone; cancelling a step loses nothing."""

    def __init__(self, manager: PodManager, reader: ChangeReader[PodUID]) -> None:
        self._manager = manager
        self._reader = reader

    def __aiter__(self) -> GoneChanges:
        return self

    async def __anext__(self) -> PodGone:
        while True:
            uid = await self._reader.next()
            found = next((each for each in self._manager.gone() if each.uid == uid), None)
            if found is not None:  # None: forgotten since
                return found


class TokenMemory(Protocol):
    """What is remembered of a pod's service account tokens (tokens/token_manager.py)."""

    def forget(self, uid: PodUID) -> None:
        """Drop what is known of a pod that is gone."""
        ...


class PodManager:
    """All pods that the edge was told of."""

    def __init__(
        self,
        store: PodStore,
        *,
        workers: PodWorkers,
        statuses: StatusManager,
        records: LocalPodState,
        images: ImageMemory,
        cache: PodCache,
        termination: PodTermination,
        cleaning: DeferredCleaning,
        allocations: AllocationMemory,
        tokens: TokenMemory,
    ) -> None:
        self._store = store
        self._workers = workers
        self._statuses = statuses
        self._records = records
        self._images = images
        self._allocations = allocations
        self._tokens = tokens
        self._cleaning = cleaning
        self._pods: dict[PodUID, StoredPod] = {}
        self._feed: ChangeFeed[PodUID] = ChangeFeed()
        self._knows_all = False
        self.orphans = OrphanRemover(
            cache=cache, termination=termination, is_orphan=self._is_orphan
        )

    async def load(self) -> None:
        """Take up all pods where the last process left them; once, after the other stores.

        Raises:
            StoreError: They cannot be read.
        """
        self._pods = {each.uid: each for each in await self._store.load()}
        # The ones that end come first: another of the same name waits for them.
        for each in sorted(self._pods.values(), key=_is_wanted):
            if each.pod is not None and each.state is PodState.FORGOTTEN:
                self._workers.forget(each.pod)
            elif each.pod is not None:
                self._workers.update(each.pod)

    async def run(self) -> None:
        """Work on all pods until cancelled; what is nobody's is for the loop of ``orphans``."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._workers.run(self._bury))
            group.create_task(self._cleaning.run())

    # What the sync stream asks and tells.

    def revisions(self) -> dict[str, str]:
        """Return the persisted revision of each pod that is not gone."""
        return {
            uid: each.revision for uid, each in self._pods.items() if each.state is PodState.DESIRED
        }

    def gone(self) -> list[PodGone]:
        """Return all pods that are gone and not forgotten yet."""
        return [
            PodGone(uid=uid, sequence=each.gone_sequence)
            for uid, each in self._pods.items()
            if each.state is PodState.GONE
        ]

    def gone_changes(self) -> GoneChanges:
        """Return an iterator over the pods that are gone from now on."""
        return GoneChanges(self, self._feed.subscribe())

    async def put(self, uid: PodUID, *, revision: str, pod: Json) -> PodGone | None:
        """Persist a desired pod, then hand it to its worker.

        Returns:
            PodGone, with nothing done, for a pod that is gone or was never started and is to end;
            None when the revision may be acknowledged.

        Raises:
            StoreError: It is not on disk; nothing was done.
        """
        known = self._pods.get(uid)
        if known is not None and known.state is PodState.GONE:
            return PodGone(uid=uid, sequence=known.gone_sequence)
        desired = Pod(pod)
        if known is None and desired.is_deleted:
            await self._set_gone(uid, sequence=0)
            return PodGone(uid=uid, sequence=0)
        if known is not None and known.state is PodState.FORGOTTEN:
            # Its end cannot be taken back; once it is over the pod is unknown here again.
            logger.warning("a forgotten pod is desired again", extra={"pod_uid": uid})
            return None
        if known is None:
            await self._forget_namesakes(desired)
        await self._store.put(desired, revision=revision)
        self._pods[uid] = StoredPod(uid=uid, revision=revision, state=PodState.DESIRED, pod=desired)
        self._workers.update(desired)
        return None

    async def desired(self, uids: Iterable[PodUID]) -> None:
        """Stop and forget all pods but these; the provider's list was complete.

        Raises:
            StoreError: The disk refuses; what was not persisted was not stopped.
        """
        wanted = set(uids)
        for uid in tuple(self._pods):
            if uid not in wanted:
                await self.forget(uid)
        self._knows_all = True

    async def forget(self, uid: PodUID) -> None:
        """Stop and forget a pod whose object vanished; an unknown one changes nothing.

        Raises:
            StoreError: The disk refuses; nothing was done.
        """
        known = self._pods.get(uid)
        if known is None or known.state is PodState.FORGOTTEN:
            return
        if known.pod is None:
            await self._remove(uid)
            return
        await self._store.set_state(uid, PodState.FORGOTTEN)
        self._pods[uid] = StoredPod(
            uid=uid, revision=known.revision, state=PodState.FORGOTTEN, pod=known.pod
        )
        self._workers.forget(known.pod)

    # What the API asks.

    def get(self, namespace: str, name: str, uid: PodUID | None = None) -> Pod | None:
        """Return the pod of that name, with that UID if one is given.

        Of two with one name, the one that is still wanted.
        """
        found = [
            each
            for each in self._pods.values()
            if each.pod is not None
            and (each.pod.namespace, each.pod.name) == (namespace, name)
            and uid in (None, each.uid)
        ]
        best = max(found, key=_is_wanted, default=None)
        return best.pod if best is not None else None

    def list(self) -> list[Pod]:
        """Return all pods that are known and not gone."""
        return [each.pod for each in self._pods.values() if each.pod is not None]

    # What the workers tell.

    async def _bury(self, work: PodWork) -> None:
        """Note that nothing is left of a pod, on disk before anybody is told."""
        uid = work.pod.uid
        if work.is_forgotten:
            await self._remove(uid)
            return
        await self._set_gone(uid, sequence=await self._statuses.persist(uid))
        self._images.forget(uid)

    async def _set_gone(self, uid: PodUID, *, sequence: int) -> None:
        self._tokens.forget(uid)
        await self._store.bury(uid, gone_sequence=sequence)
        self._pods[uid] = StoredPod(
            uid=uid, revision="", state=PodState.GONE, pod=None, gone_sequence=sequence
        )
        self._feed.publish(uid)

    async def _remove(self, uid: PodUID) -> None:
        # Memory first: a write that is still under way must not bring a row back.
        self._statuses.forget(uid)
        self._records.forget(uid)
        self._allocations.forget(uid)
        self._tokens.forget(uid)
        self._images.forget(uid)
        await self._store.remove(uid)
        self._pods.pop(uid, None)

    async def _forget_namesakes(self, pod: Pod) -> None:
        """Stop older pods of the same name: one name is one pod, so their objects vanished."""
        for other in tuple(self._pods.values()):
            if other.pod is not None and other.pod.full_name == pod.full_name:
                logger.info("a pod is replaced by a new one", extra={"pod_uid": other.uid})
                await self.forget(other.uid)

    def _is_orphan(self, uid: PodUID) -> bool:
        if self._workers.is_known(uid):
            return False
        known = self._pods.get(uid)
        return self._knows_all if known is None else known.state is PodState.GONE


def _is_wanted(stored: StoredPod) -> bool:
    is_deleted = stored.pod is not None and stored.pod.is_deleted
    return stored.state is PodState.DESIRED and not is_deleted
