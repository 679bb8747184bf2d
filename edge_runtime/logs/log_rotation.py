"""Put log files aside before they grow without end.

    0.log ──larger than max_bytes──> 0.log.20060102-150405 ──next time──> ….gz ──too many──> ∅

The newest file that was put aside stays as it is until the next rotation, since collectors may
still read it.

Source: kubernetes pkg/kubelet/logs/container_log_manager.go.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edge_runtime.logs.descriptor import LogReadError
from edge_runtime.logs.log_files import give_back, log_size_bytes, make_room, put_aside
from edge_runtime.objects.runtime_status import ContainerState
from edge_runtime.runtime.errors import RuntimeServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edge_runtime.objects.container import ContainerID
    from edge_runtime.objects.runtime_status import ContainerStatus

_TIMESTAMP = "%Y%m%d-%H%M%S"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRotationPolicy:
    """When logs are put aside.

    Attributes:
        max_bytes: Of the file that is written; negative turns rotation off.
        max_files: Files of one container, with the one that is written; at least 2.
        period_s: How often all logs are looked at.
    """

    max_bytes: int = 10 << 20
    max_files: int = 5
    period_s: float = 10.0


class LogRuntime(Protocol):
    """What writes the logs (runtime/cri_client.py)."""

    async def reopen_container_log(self, container_id: ContainerID) -> None:
        """Open a running container's log anew; raises RuntimeServiceError."""
        ...


class LogRotation:
    """Rotates the logs of all running containers."""

    def __init__(
        self,
        runtime: LogRuntime,
        *,
        containers: Callable[[], Iterable[ContainerStatus]],
        policy: LogRotationPolicy,
        now: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    ) -> None:
        """Prepare.

        Args:
            runtime: What writes the logs.
            containers: Returns what the runtime has, as far as it is known.
            policy: When logs are put aside.
            now: The machine's own time, in which files are named.
        """
        self._runtime = runtime
        self._containers = containers
        self._policy = policy
        self._now = now

    async def run(self) -> None:
        """Rotate until cancelled; what fails is tried again."""
        if self._policy.max_bytes < 0:
            await asyncio.Event().wait()
        while True:
            await self.rotate_all()
            await asyncio.sleep(self._policy.period_s)

    async def rotate_all(self) -> None:
        """Look at the log of each running container, one after the other."""
        for container in tuple(self._containers()):
            # Others write no more, and an empty newest file would help nobody.
            if container.state is not ContainerState.RUNNING or not container.log_path:
                continue
            try:
                await self._rotate_if_large(container)
            except (OSError, LogReadError, RuntimeServiceError) as exc:
                extra = {"path": container.log_path, "error": str(exc)}
                logger.warning("a log cannot be rotated", extra=extra)

    async def _rotate_if_large(self, container: ContainerStatus) -> None:
        path = Path(container.log_path)
        size_bytes = await asyncio.to_thread(log_size_bytes, path)
        if size_bytes is None:
            # A rotation was cut off between its two steps, or somebody removed the file.
            await self._runtime.reopen_container_log(container.id)
            return
        if size_bytes < self._policy.max_bytes:
            return
        newest = await asyncio.to_thread(make_room, path, max_files=self._policy.max_files)
        await self._put_aside(container, path, newest)

    async def _put_aside(self, container: ContainerStatus, path: Path, newest: str) -> None:
        name = _next_name(path.name, self._now(), newest)
        await asyncio.to_thread(put_aside, path, name=name)
        try:
            await self._runtime.reopen_container_log(container.id)
        except BaseException:
            # The runtime still writes to that file, unless it made a new one after all.
            give_back(path, name=name)
            raise


def _next_name(log: str, now: datetime, newest: str) -> str:
    """Name what is put aside so that names stay in order, although clocks are set back."""
    name = f"{log}.{now.strftime(_TIMESTAMP)}"
    if name > newest:
        return name
    try:
        last = datetime.strptime(newest.removeprefix(f"{log}."), _TIMESTAMP)  # noqa: DTZ007
    except ValueError:
        # Of somebody else's making: it stands where its name puts it.
        return name
    return f"{log}.{(last + timedelta(seconds=1)).strftime(_TIMESTAMP)}"
