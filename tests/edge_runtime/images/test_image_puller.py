"""Tests of edge_runtime/images/image_puller.py: what is told of pulls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_runtime.images.image_puller import ImagePuller, PullFailed
from edge_runtime.runtime.errors import RuntimeServiceError, UnknownFailure

if TYPE_CHECKING:
    from edge_runtime.objects.runtime_config import RegistryAuth, SandboxConfig


class _Registry:
    """Takes 3 s for each image; refuses as told."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.problem: RuntimeServiceError | None = None

    async def pull_image(
        self,
        image: str,
        *,
        auth: RegistryAuth | None = None,
        sandbox: SandboxConfig | None = None,
    ) -> str:
        del auth, sandbox
        self.now_s += 3
        if self.problem is not None:
            raise self.problem
        return f"sha256:{image}"


async def test_pulls_are_told_with_how_they_ended() -> None:
    """How long each took, and whether it brought an image."""
    registry, told = _Registry(), []

    def pulled(*, duration_s: float, has_failed: bool) -> None:
        told.append((duration_s, has_failed))

    puller = ImagePuller(registry, monotonic=lambda: registry.now_s, pulled=pulled)
    assert (await puller.pull("a", [])).ref == "sha256:a"
    registry.problem = UnknownFailure(method="PullImage", message="no such image")
    with pytest.raises(PullFailed, match="no such image"):
        await puller.pull("b", [])
    assert told == [(3.0, False), (3.0, True)]
