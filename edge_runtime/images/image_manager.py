"""ImageManager: make sure that a container's image is there."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Protocol

from edge_runtime.events import reasons
from edge_runtime.images.image_name import ImageNameError, with_default_tag
from edge_runtime.images.pull_policy import (
    PullBackoff,
    PullDecision,
    classify_pull_error,
    decide_pull,
)
from edge_runtime.objects.runtime_config import ResolvedImage
from edge_runtime.runtime.errors import RuntimeServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_runtime.objects.container import Container
    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.runtime_config import SandboxConfig
    from edge_runtime.objects.runtime_info import RuntimeImage

# A kubelet pulls one image at a time by default; three keep a stalled registry from holding up the
# images of all others, and share a thin line among few. Further pulls wait their turn.
MAX_PARALLEL_PULLS = 3


class ImageError(Exception):
    """A container's image cannot be used now.

    Attributes:
        reason: Waiting reason of the container: ``ErrImageNeverPull``, ``ErrImagePull``,
            ``ImagePullBackOff``, ``InvalidImageName``, ``ImageInspectError``,
            ``RegistryUnavailable``, ``SignatureValidationFailed``.
        message: Waiting message.
    """

    def __init__(self, *, reason: str, message: str) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


class ImageRuntime(Protocol):
    """What holds and fetches images (runtime/cri_client.py)."""

    async def image_status(self, image: str) -> RuntimeImage | None:
        """Return the image of that name, None when it is not there."""
        ...

    async def pull_image(self, image: str, *, sandbox: SandboxConfig | None = None) -> str:
        """Fetch an image and return what it resolved to."""
        ...


class RecordEvent(Protocol):
    """Tell that something happened to a container (events/event_recorder.py)."""

    def __call__(
        self, pod: Pod, *, event_type: str, reason: str, message: str, container_name: str = ""
    ) -> None:
        """Record an event; never waits."""
        ...


class ImageManager:
    """Images of all pods: presence, pulls, back-off, events."""

    def __init__(
        self,
        runtime: ImageRuntime,
        *,
        record: RecordEvent,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runtime = runtime
        self._record = record
        self._monotonic = monotonic
        self._backoff = PullBackoff()
        self._pulls = asyncio.Semaphore(MAX_PARALLEL_PULLS)

    async def ensure_image(
        self, pod: Pod, container: Container, *, sandbox: SandboxConfig | None = None
    ) -> ResolvedImage:
        """Return the container's image, pulled if its policy says so.

        Records the kubelet's events: Pulling, Pulled, Failed, BackOff, InspectFailed,
        ErrImageNeverPull. Cancelling stops a pull.

        Args:
            pod: The pod.
            container: One of its containers.
            sandbox: The pod's sandbox; runtimes may put the image near it.

        Raises:
            ImageError: It is not to be had now; ask again with the next sync of the pod.
        """
        try:
            return await self._ensure(pod, container, sandbox)
        except ImageError as exc:
            self._event(pod, container, reasons.WARNING, reasons.FAILED, f"Error: {exc.reason}")
            raise

    def forget(self, pod_uid: str) -> None:
        """Drop what is known of a pod that is gone."""
        self._backoff.forget(pod_uid)

    async def _ensure(
        self, pod: Pod, container: Container, sandbox: SandboxConfig | None
    ) -> ResolvedImage:
        # 1. The name.
        try:
            image = with_default_tag(container.image)
        except ImageNameError as exc:
            message = f'Failed to apply default image tag "{container.image}": {exc}'
            self._event(pod, container, reasons.WARNING, reasons.INSPECT_FAILED, message)
            raise ImageError(reason="InvalidImageName", message=message) from exc
        # 2. What is there already.
        policy = container.image_pull_policy
        present = None if policy == "Always" else await self._inspect(pod, container, image)
        decision = decide_pull(policy, is_present=present is not None)
        if decision is PullDecision.REFUSE:
            message = (
                f'Container image "{container.image}" is not present with pull policy of Never'
            )
            self._event(pod, container, reasons.WARNING, reasons.ERR_IMAGE_NEVER_PULL, message)
            raise ImageError(reason="ErrImageNeverPull", message=message)
        if present is not None:
            message = f'Container image "{container.image}" already present on machine'
            self._event(pod, container, reasons.NORMAL, reasons.PULLED, message)
            return _resolved(present, present.id)
        # 3. What is not, unless that failed a moment ago.
        self._check_backoff(pod, container, image)
        return await self._pull(pod, container, image, sandbox)

    async def _inspect(self, pod: Pod, container: Container, image: str) -> RuntimeImage | None:
        try:
            return await self._runtime.image_status(image)
        except RuntimeServiceError as exc:
            message = f'Failed to inspect image "{image}": {exc.message}'
            self._event(pod, container, reasons.WARNING, reasons.INSPECT_FAILED, message)
            raise ImageError(reason="ImageInspectError", message=message) from exc

    def _check_backoff(self, pod: Pod, container: Container, image: str) -> None:
        last_error = self._backoff.waiting(pod.uid, image, now=self._monotonic())
        if last_error is None:
            return
        message = f'Back-off pulling image "{container.image}"'
        self._event(pod, container, reasons.NORMAL, reasons.BACK_OFF, message)
        raise ImageError(reason="ImagePullBackOff", message=f"{message}: {last_error}")

    async def _pull(
        self, pod: Pod, container: Container, image: str, sandbox: SandboxConfig | None
    ) -> ResolvedImage:
        name = container.image
        self._event(pod, container, reasons.NORMAL, reasons.PULLING, f'Pulling image "{name}"')
        asked_at = self._monotonic()
        try:
            async with self._pulls:
                started_at = self._monotonic()
                ref = await self._runtime.pull_image(image, sandbox=sandbox)
                pulled_at = self._monotonic()
        except RuntimeServiceError as exc:
            message = f'Failed to pull image "{name}": {exc.message}'
            self._event(pod, container, reasons.WARNING, reasons.FAILED, message)
            reason, message = classify_pull_error(name, exc.message)
            self._backoff.failed(pod.uid, image, text=f"{reason}: {message}", now=self._monotonic())
            raise ImageError(reason=reason, message=message) from exc
        found = await self._inspect(pod, container, ref)
        if found is None:
            # Removed between the two calls: the next sync pulls it again.
            message = f'image "{name}" vanished after it was pulled'
            raise ImageError(reason="ErrImagePull", message=message)
        self._event(
            pod,
            container,
            reasons.NORMAL,
            reasons.PULLED,
            f'Successfully pulled image "{name}" in {format_duration(pulled_at - started_at)} '
            f"({format_duration(pulled_at - asked_at)} including waiting). "
            f"Image size: {found.size_bytes} bytes.",
        )
        return _resolved(found, ref)

    def _event(
        self, pod: Pod, container: Container, event_type: str, reason: str, message: str
    ) -> None:
        self._record(
            pod,
            event_type=event_type,
            reason=reason,
            message=message,
            container_name=container.name,
        )


def format_duration(seconds: float) -> str:
    """Write a duration as Go does, cut to milliseconds: ``345ms``, ``1.2s``, ``1m2.5s``."""
    milliseconds = int(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds else "0s"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    tail = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{tail}"
    return f"{minutes}m{tail}" if minutes else tail


def _resolved(image: RuntimeImage, ref: str) -> ResolvedImage:
    return ResolvedImage(ref=ref, uid=image.uid, username=image.username)
