"""One pod's worker: where it stands, and what it remembers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from edge_runtime.pods.pod_work import PodWork, WorkState
from edge_runtime.pods.sync_memory import SyncMemory


@dataclass(slots=True)
class PodWorker:
    """One pod's worker; `work` is the slot in which the newest update waits."""

    work: PodWork
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    hurried: asyncio.Event = field(default_factory=asyncio.Event)
    memory: SyncMemory = field(default_factory=SyncMemory)
    failures: int = 0

    def take(self, work: PodWork) -> None:
        """Replace the slot's content; whoever works on the old one is told."""
        is_hurried = (
            self.work.grace_period_s is not None and work.grace_period_s != self.work.grace_period_s
        )
        self.work = work
        self.changed.set()
        if work.is_ending:
            self.memory.ending.set()
        if is_hurried:
            self.hurried.set()

    @property
    def is_gone(self) -> bool:
        """Whether nothing is left to do."""
        return self.work.state is WorkState.GONE

    @property
    def is_stopped(self) -> bool:
        """Whether nothing of the pod runs any more."""
        return self.work.state in (WorkState.TERMINATED, WorkState.GONE)
