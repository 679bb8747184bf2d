"""How images are handled on this machine; pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from edge_runtime.images.image_eviction import ImageGCPolicy
from edge_runtime.images.image_puller import DEFAULT_PARALLEL_PULLS
from edge_runtime.images.pull_verification import Verification


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSettings:
    """Settings of all images.

    Attributes:
        max_parallel_pulls: None for no limit.
        verification: Of which images a pod must show that it may have them.
        gc: When images go.
    """

    max_parallel_pulls: int | None = DEFAULT_PARALLEL_PULLS
    verification: Verification = field(default_factory=Verification)
    gc: ImageGCPolicy = field(default_factory=ImageGCPolicy)
