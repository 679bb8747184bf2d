"""What one pod's worker remembers between syncs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_runtime.pod_status.container_status import WaitingReason
    from edge_runtime.pods.pod_volumes import VolumeRetry


@dataclass(slots=True)
class SyncMemory:
    """What one pod's worker remembers between syncs; a new process starts without.

    Attributes:
        waiting: Why containers could not be started, by name.
        volume_retry: Volumes that are not ready, None while all are.
        in_post_start: Containers that start and do not count as running before their hook ended:
            the attempt, by name.
        resize_failed: What is allocated could not be given to all containers.
        ending: Set once the pod is to end: nothing more is started.
    """

    waiting: dict[str, WaitingReason] = field(default_factory=dict)
    in_post_start: dict[str, int] = field(default_factory=dict)
    volume_retry: VolumeRetry | None = None
    resize_failed: bool = False
    ending: asyncio.Event = field(default_factory=asyncio.Event)
