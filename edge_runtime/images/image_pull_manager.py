"""Remembers whose credentials opened which image, and lets no other pod use it unasked.

    record_intent() ──pull──> record_pulled() or record_failed()

The intent is on disk BEFORE the pull, the record BEFORE the image is used: whenever the process
dies, an image that was pulled for one pod is never taken for one that was always there.

Source: kubernetes pkg/kubelet/images/pullmanager/image_pull_manager.go.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING, Protocol

from edge_runtime.images.image_name import ImageNameError, repository, with_default_tag, without_tag
from edge_runtime.images.pull_verification import (
    Access,
    Verification,
    find_access,
    image_key,
    secret_of,
    with_credentials,
)
from edge_runtime.objects.pull_records import PullCredentials

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from edge_runtime.images.keyring import PullCredential
    from edge_runtime.objects.runtime_info import RuntimeImage
    from edge_runtime.store.pull_record_store import PullRecordStore


class ImageLister(Protocol):
    """What holds images (runtime/cri_client.py)."""

    async def list_images(self) -> tuple[RuntimeImage, ...]:
        """Return all images; raises RuntimeServiceError."""
        ...


class ImagePullManager:
    """The records of all pulls."""

    def __init__(
        self,
        store: PullRecordStore,
        *,
        runtime: ImageLister,
        verification: Verification,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; nothing is read or asked yet.

        Args:
            store: Loaded before the first call.
            runtime: Asked once what became of pulls that a killed process began.
            verification: Of which images a pod must show that it may have them.
            now_s: Seconds since the epoch.
        """
        self._store = store
        self._runtime = runtime
        self._verification = verification
        self._now_s = now_s
        self._running: Counter[str] = Counter()
        # One writer at a time per manager: a record is read, merged and written.
        self._turn = asyncio.Lock()
        self._is_settled = False

    async def must_pull(
        self,
        image: str,
        image_ref: str,
        own: Callable[[], Awaitable[Sequence[PullCredential]]],
    ) -> bool:
        """Return whether a pod must show its credentials to the registry, although it is there.

        Args:
            image: As the pod names it.
            image_ref: The runtime's id of what it has under that name.
            own: Returns the pod's credentials for it; asked only when they decide.

        Raises:
            RuntimeServiceError: The runtime cannot tell what an earlier process pulled.
            StoreError: What was found cannot be remembered.
        """
        await self._settle_intents()
        record = self._store.records.get(image_ref)
        was_pulled = record is not None or image in self._store.intents
        if not self._verification.is_needed(image, was_pulled=was_pulled):
            return False
        if record is None:
            return True
        recorded = record.credentials.get(image_key(image))
        if recorded is None or not (recorded.for_all_pods or recorded.secrets):
            return True
        credentials = () if recorded.for_all_pods else await own()
        access, secret = find_access(recorded, credentials)
        if access is Access.ALLOWED_ANEW and secret is not None:
            await self._write(image, image_ref, PullCredentials(secrets=(secret,)))
        return access is Access.UNKNOWN

    async def record_intent(self, image: str) -> None:
        """Note that a pull is about to begin.

        Raises:
            StoreError: It cannot be noted: do not pull.
        """
        await self._settle_intents()
        # Before the write: another pull of the image that ends meanwhile leaves the intent alone.
        self._running[image] += 1
        try:
            await self._store.add_intent(image)
        except BaseException:
            self._running[image] -= 1
            raise

    async def record_pulled(
        self, image: str, image_ref: str, credential: PullCredential | None
    ) -> None:
        """Note a pull that succeeded.

        Args:
            image: As the pod names it.
            image_ref: The runtime's id of what came.
            credential: What opened it; None when nothing was needed.

        Raises:
            StoreError: It cannot be noted; the intent stays, so that credentials are asked for.
        """
        if credential is None:
            credentials = PullCredentials(for_all_pods=True)
        else:
            credentials = PullCredentials(secrets=(secret_of(credential),))
        try:
            await self._write(image, image_ref, credentials)
        except BaseException:
            self._running[image] -= 1
            raise
        await self.record_failed(image)

    async def record_failed(self, image: str) -> None:
        """Note that a pull ended without an image.

        Raises:
            StoreError: It cannot be noted; the intent stays.
        """
        self._running[image] -= 1
        if self._running[image] <= 0:
            del self._running[image]
            await self._store.remove_intent(image)

    async def forget_removed(self, present: Iterable[str], *, before_s: float) -> None:
        """Drop the records of images that the runtime has no more.

        Args:
            present: The runtime's ids of all images that are left.
            before_s: Records that changed since are kept, whatever the list says; seconds since
                the epoch.

        Raises:
            StoreError: They cannot be dropped.
        """
        kept = set(present)
        gone = [
            image_ref
            for image_ref, record in self._store.records.items()
            if image_ref not in kept and record.updated_at_s < before_s
        ]
        if gone:
            await self._store.remove(gone)

    async def _settle_intents(self) -> None:
        """Once: turn the pulls of a killed process that came through into records of nobody."""
        async with self._turn:
            if self._is_settled:
                return
            left = {_canonical(image): image for image in self._store.intents}
            for found in await self._runtime.list_images() if left else ():
                for name in (*found.repo_tags, *found.repo_digests):
                    if image := left.pop(_canonical(name), None):
                        await self._write_locked(image, found.id, None)
                        await self._store.remove_intent(image)
            for image in left.values():
                await self._store.remove_intent(image)
            self._is_settled = True

    async def _write(self, image: str, image_ref: str, credentials: PullCredentials | None) -> None:
        async with self._turn:
            await self._write_locked(image, image_ref, credentials)

    async def _write_locked(
        self, image: str, image_ref: str, credentials: PullCredentials | None
    ) -> None:
        record = with_credentials(
            self._store.records.get(image_ref),
            image=image,
            image_ref=image_ref,
            credentials=credentials,
            now_s=self._now_s(),
        )
        if record is not None:
            await self._store.put(record)


def _canonical(image: str) -> str:
    """Return the full name with its tag or digest, as the runtime lists it."""
    try:
        tagged = with_default_tag(image)
        return repository(tagged) + tagged.removeprefix(without_tag(tagged))
    except ImageNameError:
        return image
