"""StatsCollector: reads what machine, pods and containers use, once for all who ask.

Nothing is read unless somebody asks, and what was read stays good for some seconds, as between two
rounds of a kubelet's housekeeping. The kernel's files are read by one thread, pods' folders by
another, mounted volumes by a third: a kernel or a disk that hangs holds up its figures alone.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from edge_runtime.runtime.errors import RuntimeServiceError
from edge_runtime.stats.merging import with_details, with_storage, with_volumes
from edge_runtime.stats.running_pods import CgroupPaths, running_pods

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from edge_runtime.objects.node_stats import NodeStats, NodeStorage, PodFigures, VolumeStats
    from edge_runtime.objects.pod import Pod, PodUID
    from edge_runtime.objects.runtime_status import PodRuntimeStatus
    from edge_runtime.stats.mounted_volumes import MountedVolumes
    from edge_runtime.stats.node_details import NodeDetails
    from edge_runtime.stats.node_reader import NodeReader
    from edge_runtime.stats.storage_reader import StorageReader

# Less than metrics-server's and Prometheus' usual 15 s, so that each scrape finds newer figures.
MAX_AGE_S: Final = 10.0
# A kubelet looks at volumes once a minute, and asks the runtime of layers every 10 s.
STORAGE_MAX_AGE_S: Final = 30.0
# One round takes 50 ms at 110 pods. Whoever asks stops waiting earlier than metrics-server does.
TIMEOUT_S: Final = 8.0
# Pods may have folders of a hundred thousand files each.
STORAGE_TIMEOUT_S: Final = 60.0

_T = TypeVar("_T")


class StatsError(Exception):
    """The figures could not be read; the text says why."""


class _Cached(Generic[_T]):
    """One value that is read again when it is too old, by one reader at a time."""

    def __init__(self, *, max_age_s: float, monotonic: Callable[[], float]) -> None:
        self._max_age_s = max_age_s
        self._monotonic = monotonic
        self._turn = asyncio.Lock()
        self._newest: tuple[float, _T] | None = None

    async def get(self, read: Callable[[], Awaitable[_T]]) -> _T:
        """Return the value; whoever comes while it is read waits for the same one."""
        async with self._turn:
            began = self._monotonic()
            if self._newest is None or began - self._newest[0] >= self._max_age_s:
                self._newest = began, await read()
            return self._newest[1]


class StatsCollector:
    """Collects figures when asked."""

    def __init__(
        self,
        *,
        node: NodeReader,
        storage: StorageReader,
        volumes: MountedVolumes,
        pods: Callable[[], Iterable[Pod]],
        status: Callable[[PodUID], PodRuntimeStatus],
        paths: CgroupPaths,
        max_age_s: float = MAX_AGE_S,
        storage_max_age_s: float = STORAGE_MAX_AGE_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is read yet.

        Args:
            node: Reads the kernel's files.
            storage: Reads the machine's own filesystems.
            volumes: Asks those that volumes are mounted from.
            pods: Returns the pods that are known.
            status: Returns what the runtime has of a pod.
            paths: Where the pods' control groups are.
            max_age_s: How long figures are good for.
            storage_max_age_s: How long those of filesystems are good for.
            monotonic: Clock of both, seconds.
        """
        self._node = node
        self._storage = storage
        self._mounted = volumes
        self._pods = pods
        self._status = status
        self._paths = paths
        self._use = _Cached["NodeStats"](max_age_s=max_age_s, monotonic=monotonic)
        self._details = _Cached["NodeDetails"](max_age_s=max_age_s, monotonic=monotonic)
        self._disks = _Cached["NodeStorage"](max_age_s=storage_max_age_s, monotonic=monotonic)
        self._volumes = _Cached["Mapping[PodUID, tuple[VolumeStats, ...]]"](
            max_age_s=storage_max_age_s, monotonic=monotonic
        )
        self._kernel_thread = ThreadPoolExecutor(1, thread_name_prefix="stats")
        self._disk_thread = ThreadPoolExecutor(1, thread_name_prefix="stats-disks")
        self._volume_thread = ThreadPoolExecutor(1, thread_name_prefix="stats-volumes")

    async def collect(self) -> NodeStats:
        """Return processors, memory and swap of all, at most ``max_age_s`` old.

        Cancelling is safe: what is being read is read to its end and thrown away.

        Raises:
            StatsError: The kernel refuses or takes too long.
        """
        return await self._use.get(self._read_use)

    async def collect_detailed(self) -> tuple[NodeStats, NodeDetails]:
        """Return what ``collect`` does, and the counters of networks, disks and limits.

        Cancelling is safe.

        Raises:
            StatsError: The kernel refuses or takes too long.
        """
        stats = await self.collect()
        return stats, await self._details.get(lambda: self._read_details(stats.pods))

    async def collect_all(self) -> NodeStats:
        """Return networks, processes and filesystems besides what ``collect`` does.

        What pods keep on disks is at most ``storage_max_age_s`` old. Cancelling is safe.

        Raises:
            StatsError: The kernel, a filesystem or the runtime refuses or takes too long.
        """
        stats, details = await self.collect_detailed()
        storage = await self._disks.get(lambda: self._read_storage(stats.pods))
        found = with_storage(with_details(stats, details), storage)
        return with_volumes(found, await self.collect_volumes())

    async def collect_volumes(self) -> Mapping[PodUID, tuple[VolumeStats, ...]]:
        """Return the volumes that are mounted from elsewhere, at most ``storage_max_age_s`` old.

        One that does not answer is left out. Cancelling is safe.

        Raises:
            StatsError: They could not be asked.
        """
        return await self._volumes.get(self._read_volumes)

    def close(self) -> None:
        """Let the threads go."""
        for thread in (self._kernel_thread, self._disk_thread, self._volume_thread):
            thread.shutdown(wait=False, cancel_futures=True)

    async def _read_use(self) -> NodeStats:
        pods = self._running_pods()
        return await _within(self._kernel_thread, lambda: self._node.use(pods), timeout_s=TIMEOUT_S)

    def _running_pods(self) -> list[PodFigures]:
        return running_pods(self._pods(), status=self._status, paths=self._paths)

    async def _read_volumes(self) -> Mapping[PodUID, tuple[VolumeStats, ...]]:
        pods = self._running_pods()
        return await _within(
            self._volume_thread, lambda: self._mounted.read(pods), timeout_s=TIMEOUT_S
        )

    async def _read_details(self, pods: Iterable[PodFigures]) -> NodeDetails:
        return await _within(
            self._kernel_thread, lambda: self._node.details(pods), timeout_s=TIMEOUT_S
        )

    async def _read_storage(self, pods: Iterable[PodFigures]) -> NodeStorage:
        try:
            told = await self._storage.ask_runtime()
        except RuntimeServiceError as exc:
            raise StatsError(f"the runtime does not tell of its filesystems: {exc}") from exc
        return await _within(
            self._disk_thread,
            lambda: self._storage.read(pods, told),
            timeout_s=STORAGE_TIMEOUT_S,
        )


async def _within(thread: ThreadPoolExecutor, read: Callable[[], _T], *, timeout_s: float) -> _T:
    try:
        async with asyncio.timeout(timeout_s):
            return await asyncio.get_running_loop().run_in_executor(thread, read)
    except TimeoutError as exc:
        raise StatsError(f"nothing was told within {timeout_s:g} s") from exc
    except OSError as exc:
        raise StatsError(f"{exc.filename or 'the kernel'}: {exc.strerror or exc}") from exc
