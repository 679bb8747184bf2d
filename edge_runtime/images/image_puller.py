"""Pull an image with the credentials that fit, a few images at a time.

Source: kubernetes pkg/kubelet/images/puller.go; pkg/kubelet/kuberuntime/kuberuntime_image.go
``PullImage``; staging/src/k8s.io/cri-client/pkg/remote_image.go ``PullImage``.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from edge_runtime.runtime.errors import RuntimeServiceError, UnknownFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge_runtime.images.keyring import PullCredential
    from edge_runtime.objects.runtime_config import RegistryAuth, SandboxConfig

# A kubelet pulls one image at a time by default; three keep a stalled registry from holding up the
# images of all others, and share a thin line among few. Further pulls wait their turn.
DEFAULT_PARALLEL_PULLS = 3


class PullFailed(Exception):
    """No credential brought the image; the text is the runtime's, of each attempt."""


class PullingRuntime(Protocol):
    """What fetches images (runtime/cri_client.py)."""

    async def pull_image(
        self,
        image: str,
        *,
        auth: RegistryAuth | None = None,
        sandbox: SandboxConfig | None = None,
    ) -> str:
        """Fetch an image and return what it resolved to; raises RuntimeServiceError."""
        ...


class Pulled(Protocol):
    """Who is told of pulls (telemetry/metrics.py)."""

    def __call__(self, *, duration_s: float, has_failed: bool) -> None:
        """Take note of a pull that is over; never waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PulledImage:
    """A pull that succeeded.

    Attributes:
        ref: The runtime's id of the image.
        credential: What opened it; None when none was tried.
        pull_s: How long the pull itself took, in seconds.
        total_s: With the wait for its turn, in seconds.
    """

    ref: str
    credential: PullCredential | None
    pull_s: float
    total_s: float


class ImagePuller:
    """Pulls, and lets the others wait."""

    def __init__(
        self,
        runtime: PullingRuntime,
        *,
        max_parallel: int | None = DEFAULT_PARALLEL_PULLS,
        monotonic: Callable[[], float] = time.monotonic,
        pulled: Pulled = lambda *, duration_s, has_failed: None,
    ) -> None:
        """Prepare.

        Args:
            runtime: Does the work.
            max_parallel: Pulls at the same time; None for as many as there are containers.
            monotonic: A clock, in seconds.
            pulled: Told of each pull that was not cancelled.
        """
        self._runtime = runtime
        self._pulled = pulled
        self._turns: contextlib.AbstractAsyncContextManager[object] = (
            contextlib.nullcontext() if max_parallel is None else asyncio.Semaphore(max_parallel)
        )
        self._monotonic = monotonic

    async def pull(
        self,
        image: str,
        credentials: Sequence[PullCredential],
        *,
        sandbox: SandboxConfig | None = None,
    ) -> PulledImage:
        """Pull an image with the first credential that works, or with none where there is none.

        Cancelling stops it.

        Raises:
            PullFailed: Nothing worked.
        """
        asked_at = self._monotonic()
        async with self._turns:
            started_at = self._monotonic()
            try:
                ref, credential = await self._try_all(image, credentials, sandbox)
            except PullFailed:
                self._pulled(duration_s=self._monotonic() - started_at, has_failed=True)
                raise
            ended_at = self._monotonic()
            self._pulled(duration_s=ended_at - started_at, has_failed=False)
        return PulledImage(
            ref=ref,
            credential=credential,
            pull_s=ended_at - started_at,
            total_s=ended_at - asked_at,
        )

    async def _try_all(
        self, image: str, credentials: Sequence[PullCredential], sandbox: SandboxConfig | None
    ) -> tuple[str, PullCredential | None]:
        # Each text once, in their order.
        failures: dict[str, None] = {}
        for credential in credentials or (None,):
            auth = None if credential is None else credential.auth
            try:
                ref = await self._runtime.pull_image(image, auth=auth, sandbox=sandbox)
            except RuntimeServiceError as exc:
                failures[_error_text(exc)] = None
            else:
                return ref, credential
        text = ", ".join(failures)
        raise PullFailed(text if len(failures) == 1 else f"[{text}]")


def _error_text(error: RuntimeServiceError) -> str:
    """Write an error as a kubelet does: with gRPC's code, unless that says nothing."""
    if isinstance(error, UnknownFailure):
        return error.message
    return f"rpc error: code = {error.grpc_name} desc = {error.message}"
