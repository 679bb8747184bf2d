"""What died is cleared away while no pod starts.

After a reboot every pod has a dead sandbox, which holds its old address and no process. To take
their networks apart before or while the pods start would make them wait for half as long again as
their start takes. So that is done once no pod starts any more, one at a time.

    starting() ······ may_clean is False ······ end of the last, or HELD_BACK_S: may_clean is True

A pod that has something to clear away is woken then; to look again and again meanwhile would take
from the starts what they need most, the processor.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Protocol

from edge_runtime.objects.runtime_status import ContainerState
from edge_runtime.runtime.errors import NotFound, RuntimeServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge_runtime.objects.pod import Pod, PodUID, SandboxID
    from edge_runtime.objects.runtime_status import PodRuntimeStatus

# However long pods go on starting: an address that a dead sandbox holds may be what they wait for.
HELD_BACK_S = 10.0
# Sandboxes that wait; no machine has so many pods. Beyond it a pod's own are stopped at once.
CAPACITY = 1024

logger = logging.getLogger(__name__)


class SandboxStopper(Protocol):
    """What stops (runtime/cri_client.py)."""

    async def stop_pod_sandbox(self, sandbox_id: SandboxID) -> None:
        """Stop a sandbox; idempotent; raises RuntimeServiceError."""
        ...


def is_dead(pod: Pod, status: PodRuntimeStatus) -> bool:
    """Whether nothing of a pod lives that could get in its next sandbox's way.

    Ports of the machine stay the old sandbox's until it is stopped, so with them it is not dead.
    """
    lives = (ContainerState.RUNNING, ContainerState.UNKNOWN)
    has_ports = any(port.get("hostPort") for each in pod.all_containers for port in each.ports)
    is_up = any(container.state in lives for container in status.containers)
    return not (has_ports or is_up or status.ready_sandboxes)


class DeferredCleaning:
    """Knows when there is time to clean, stops dead sandboxes then, and wakes who else waits."""

    def __init__(self, runtime: SandboxStopper, *, wake: Callable[[PodUID], None]) -> None:
        """Prepare; nothing is stopped before `run`.

        Args:
            runtime: What stops sandboxes.
            wake: Called once there is time with each pod that `wake_later` was told of.
        """
        self._runtime = runtime
        self._wake = wake
        self._waiting: set[PodUID] = set()
        self._has_waiting = asyncio.Event()
        self._dead: asyncio.Queue[SandboxID] = asyncio.Queue(maxsize=CAPACITY)
        self._starting = 0
        self._held_until_s = 0.0
        self._quiet = asyncio.Event()
        self._quiet.set()

    @contextlib.contextmanager
    def starting(self) -> Iterator[None]:
        """Hold cleaning back while the block runs: it starts a pod."""
        if not self._starting:
            self._held_until_s = asyncio.get_running_loop().time() + HELD_BACK_S
        self._starting += 1
        self._quiet.clear()
        try:
            yield
        finally:
            self._starting -= 1
            if not self._starting:
                self._quiet.set()

    @property
    def may_clean(self) -> bool:
        """Whether no pod starts, or pods have been starting for too long to wait for them."""
        return self._quiet.is_set() or asyncio.get_running_loop().time() >= self._held_until_s

    def stop_later(self, status: PodRuntimeStatus) -> bool:
        """Have a dead pod's sandboxes stopped; never waits; False where too many wait already.

        One that is not stopped, since the process ends before, is so when it is removed.
        """
        ids = [each.id for each in status.sandboxes]
        if self._dead.qsize() + len(ids) > CAPACITY:
            return False
        for each in ids:
            self._dead.put_nowait(each)
        return True

    def wake_later(self, uid: PodUID) -> None:
        """Have a pod woken once there is time to clean; never waits."""
        self._waiting.add(uid)
        self._has_waiting.set()

    async def run(self) -> None:
        """Stop dead sandboxes one after the other, and wake pods, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._stop_dead())
            group.create_task(self._wake_waiting())

    async def _until_there_is_time(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(self._held_until_s):
                await self._quiet.wait()

    async def _wake_waiting(self) -> None:
        while True:
            await self._has_waiting.wait()
            await self._until_there_is_time()
            self._has_waiting.clear()
            waiting, self._waiting = self._waiting, set()
            for uid in waiting:
                self._wake(uid)

    async def _stop_dead(self) -> None:
        while True:
            sandbox_id = await self._dead.get()
            await self._until_there_is_time()
            try:
                await self._runtime.stop_pod_sandbox(sandbox_id)
            except NotFound:
                continue  # it was removed since
            except RuntimeServiceError as exc:
                extra = {"sandbox_id": sandbox_id, "error": str(exc)}
                logger.warning("a dead sandbox keeps its address until it is removed", extra=extra)
