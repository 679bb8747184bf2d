"""ImageManager: make sure that a container's image is there, and that its pod may use it.

Source: kubernetes pkg/kubelet/images/image_manager.go, puller.go; pkg/kubelet/kuberuntime/
kuberuntime_image.go ``PullImage``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from edge_runtime.events import reasons
from edge_runtime.images.image_name import ImageNameError, with_default_tag
from edge_runtime.images.image_puller import PullFailed
from edge_runtime.images.keyring import KeyringError, PullCredential, find_credentials
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

    from edge_runtime.images.image_pull_manager import ImagePullManager
    from edge_runtime.images.image_puller import ImagePuller, PulledImage
    from edge_runtime.objects.container import Container, Json
    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.runtime_config import SandboxConfig
    from edge_runtime.objects.runtime_info import RuntimeImage


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
    """What holds images (runtime/cri_client.py)."""

    async def image_status(self, image: str) -> RuntimeImage | None:
        """Return the image of that name, None when it is not there."""
        ...


class Secrets(Protocol):
    """Where pull secrets come from (images/pull_secrets.py)."""

    async def of(self, pod: Pod) -> tuple[list[Json], list[str]]:
        """Return a pod's pull secrets, and the names of those that cannot be had."""
        ...


class RecordEvent(Protocol):
    """Tell that something happened to a container (events/event_recorder.py)."""

    def __call__(
        self, pod: Pod, *, event_type: str, reason: str, message: str, container_name: str = ""
    ) -> None:
        """Record an event; never waits."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """One container's image.

    Attributes:
        image: As the runtime is asked for it.
        secrets: The pod's pull secrets.
    """

    pod: Pod
    container: Container
    image: str
    secrets: list[Json]

    @property
    def name(self) -> str:
        """As the pod names it."""
        return self.container.image

    async def credentials(self) -> tuple[PullCredential, ...]:
        """Return the pod's credentials for it.

        Raises:
            ImageError: A pull secret cannot be read.
        """
        try:
            return find_credentials(self.image, self.secrets)
        except KeyringError as exc:
            raise ImageError(reason="ErrImagePull", message=str(exc)) from exc


class ImageManager:
    """Images of all pods: presence, access, pulls, back-off, events."""

    def __init__(
        self,
        runtime: ImageRuntime,
        *,
        puller: ImagePuller,
        pulls: ImagePullManager,
        secrets: Secrets,
        record: RecordEvent,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runtime = runtime
        self._puller = puller
        self._pulls = pulls
        self._secrets = secrets
        self._record = record
        self._monotonic = monotonic
        self._backoff = PullBackoff()

    async def ensure_image(
        self, pod: Pod, container: Container, *, sandbox: SandboxConfig | None = None
    ) -> ResolvedImage:
        """Return the container's image, pulled if its policy or the pod's access asks for it.

        Records the kubelet's events: Pulling, Pulled, Failed, BackOff, InspectFailed,
        ErrImageNeverPull, FailedToRetrieveImagePullSecret. Cancelling stops a pull.

        Args:
            pod: The pod.
            container: One of its containers.
            sandbox: The pod's sandbox; runtimes may put the image near it.

        Raises:
            ImageError: It is not to be had now; ask again with the next sync of the pod.
            StoreError: Who pulled what cannot be remembered; the image is not used.
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
        secrets = await self._pull_secrets(pod)
        # 1. The name.
        try:
            image = with_default_tag(container.image)
        except ImageNameError as exc:
            message = f'Failed to apply default image tag "{container.image}": {exc}'
            self._event(pod, container, reasons.WARNING, reasons.INSPECT_FAILED, message)
            raise ImageError(reason="InvalidImageName", message=message) from exc
        wanted = _Wanted(pod=pod, container=container, image=image, secrets=secrets)
        # 2. What is there already, and whether the pod may have it.
        policy = container.image_pull_policy
        present = None if policy == "Always" else await self._inspect(wanted, image)
        if present is not None and not await self._must_pull(wanted, present):
            message = (
                f'Container image "{container.image}" already present on machine'
                " and can be accessed by the pod"
            )
            self._event(pod, container, reasons.NORMAL, reasons.PULLED, message)
            return _resolved(present, present.id)
        # An image that another pod may have is none: not even that it is there is told.
        if decide_pull(policy, is_present=False) is PullDecision.REFUSE:
            message = (
                f'Container image "{container.image}" is not present with pull policy of Never'
            )
            self._event(pod, container, reasons.WARNING, reasons.ERR_IMAGE_NEVER_PULL, message)
            raise ImageError(reason="ErrImageNeverPull", message=message)
        # 3. What is not, unless that failed a moment ago.
        self._check_backoff(wanted)
        return await self._pull(wanted, sandbox)

    async def _pull_secrets(self, pod: Pod) -> list[Json]:
        found, failed = await self._secrets.of(pod)
        if failed:
            self._record(
                pod,
                event_type=reasons.WARNING,
                reason=reasons.FAILED_TO_RETRIEVE_IMAGE_PULL_SECRET,
                message=f"Unable to retrieve some image pull secrets ({', '.join(failed)}); "
                "attempting to pull the image may not succeed.",
            )
        return found

    async def _must_pull(self, wanted: _Wanted, present: RuntimeImage) -> bool:
        try:
            return await self._pulls.must_pull(wanted.name, present.id, wanted.credentials)
        except RuntimeServiceError as exc:
            raise self._not_inspected(wanted, wanted.image, exc) from exc

    async def _inspect(self, wanted: _Wanted, image: str) -> RuntimeImage | None:
        try:
            return await self._runtime.image_status(image)
        except RuntimeServiceError as exc:
            raise self._not_inspected(wanted, image, exc) from exc

    def _not_inspected(self, wanted: _Wanted, image: str, error: RuntimeServiceError) -> ImageError:
        message = f'Failed to inspect image "{image}": {error.message}'
        self._event_of(wanted, reasons.WARNING, reasons.INSPECT_FAILED, message)
        return ImageError(reason="ImageInspectError", message=message)

    def _check_backoff(self, wanted: _Wanted) -> None:
        last_error = self._backoff.waiting(wanted.pod.uid, wanted.image, now=self._monotonic())
        if last_error is None:
            return
        message = f'Back-off pulling image "{wanted.name}"'
        self._event_of(wanted, reasons.NORMAL, reasons.BACK_OFF, message)
        raise ImageError(reason="ImagePullBackOff", message=f"{message}: {last_error}")

    async def _pull(self, wanted: _Wanted, sandbox: SandboxConfig | None) -> ResolvedImage:
        name = wanted.name
        credentials = await wanted.credentials()
        self._event_of(wanted, reasons.NORMAL, reasons.PULLING, f'Pulling image "{name}"')
        try:
            await self._pulls.record_intent(name)
        except RuntimeServiceError as exc:
            raise self._not_inspected(wanted, wanted.image, exc) from exc
        pulled: PulledImage | None = None
        try:
            pulled = await self._puller.pull(wanted.image, credentials, sandbox=sandbox)
        except PullFailed as exc:
            raise self._pull_failed(wanted, str(exc)) from exc
        finally:
            if pulled is None:
                await self._pulls.record_failed(name)
        await self._pulls.record_pulled(name, pulled.ref, pulled.credential)
        found = await self._inspect(wanted, pulled.ref)
        if found is None:
            # Removed between the two calls: the next sync pulls it again.
            message = f'image "{name}" vanished after it was pulled'
            raise ImageError(reason="ErrImagePull", message=message)
        message = (
            f'Successfully pulled image "{name}" in {format_duration(pulled.pull_s)} '
            f"({format_duration(pulled.total_s)} including waiting). "
            f"Image size: {found.size_bytes} bytes."
        )
        self._event_of(wanted, reasons.NORMAL, reasons.PULLED, message)
        return _resolved(found, pulled.ref)

    def _pull_failed(self, wanted: _Wanted, text: str) -> ImageError:
        message = f'Failed to pull image "{wanted.name}": {text}'
        self._event_of(wanted, reasons.WARNING, reasons.FAILED, message)
        reason, message = classify_pull_error(wanted.name, text)
        self._backoff.failed(
            wanted.pod.uid, wanted.image, text=f"{reason}: {message}", now=self._monotonic()
        )
        return ImageError(reason=reason, message=message)

    def _event_of(self, wanted: _Wanted, event_type: str, reason: str, message: str) -> None:
        self._event(wanted.pod, wanted.container, event_type, reason, message)

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
