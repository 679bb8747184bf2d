"""StatsCollector: reads what machine, pods and containers use, once for all who ask.

Nothing is read unless somebody asks, and what was read stays good for some seconds, as between two
rounds of a kubelet's housekeeping. All reading is done by one thread: a kernel that hangs over a
file holds up figures and nothing else, and no more threads than that one.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, Protocol

from edge_runtime.objects.node_stats import NodeStats, SystemContainer
from edge_runtime.stats.running_pods import CgroupPaths, running_pods

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edge_runtime.objects.node_stats import PodFigures
    from edge_runtime.objects.pod import Pod, PodUID
    from edge_runtime.objects.runtime_status import PodRuntimeStatus
    from edge_runtime.stats.group_stats_reader import GroupStatsReader
    from edge_runtime.stats.machine_reader import MachineReader

# Less than metrics-server's and Prometheus' usual 15 s, so that each scrape finds newer figures.
MAX_AGE_S: Final = 10.0
# One round takes 50 ms at 110 pods. Whoever asks stops waiting earlier than metrics-server does.
TIMEOUT_S: Final = 8.0


class StatsError(Exception):
    """The figures could not be read; the text says why."""


class Paths(CgroupPaths, Protocol):
    """Where the control groups of all pods are (pods/pod_settings.py)."""

    @property
    def pods_cgroup(self) -> str:
        """The group that all pods are in."""
        ...


class StatsCollector:
    """Collects figures when asked."""

    def __init__(
        self,
        *,
        groups: GroupStatsReader,
        machine: MachineReader,
        pods: Callable[[], Iterable[Pod]],
        status: Callable[[PodUID], PodRuntimeStatus],
        paths: Paths,
        node_name: Callable[[], str],
        max_age_s: float = MAX_AGE_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is read yet.

        Args:
            groups: Reads control groups.
            machine: Reads the machine's memory and boot time.
            pods: Returns the pods that are known.
            status: Returns what the runtime has of a pod.
            paths: Where their control groups are.
            node_name: Returns the Node's name, "" before it is known.
            max_age_s: How long figures are good for.
            monotonic: Clock of ``max_age_s``, seconds.
        """
        self._groups = groups
        self._machine = machine
        self._pods = pods
        self._status = status
        self._paths = paths
        self._node_name = node_name
        self._max_age_s = max_age_s
        self._monotonic = monotonic
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="stats")
        self._newest: tuple[float, NodeStats] | None = None

    async def collect(self) -> NodeStats:
        """Return processors, memory and swap of all, at most ``max_age_s`` old.

        Cancelling is safe: what is being read is read to its end and thrown away.

        Raises:
            StatsError: The kernel refuses or takes too long.
        """
        async with self._turn:
            newest = self._newest
            if newest is not None and self._monotonic() - newest[0] < self._max_age_s:
                return newest[1]
            pods = running_pods(self._pods(), status=self._status, paths=self._paths)
            began = self._monotonic()
            stats = await self._in_thread(lambda: self._read(pods))
            self._newest = began, stats
            return stats

    async def collect_all(self) -> NodeStats:
        """Return what ``collect`` does.

        Raises:
            StatsError: As ``collect``.
        """
        return await self.collect()

    def close(self) -> None:
        """Let the thread go."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, read: Callable[[], NodeStats]) -> NodeStats:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await loop.run_in_executor(self._thread, read)
        except TimeoutError as exc:
            raise StatsError(f"the kernel did not tell within {TIMEOUT_S:g} s") from exc
        except OSError as exc:
            raise StatsError(f"{exc.filename}: {exc.strerror}") from exc

    def _read(self, pods: list[PodFigures]) -> NodeStats:
        boot_time_ns = self._machine.boot_time_ns()
        stats = NodeStats(
            node_name=self._node_name(),
            started_at_ns=boot_time_ns,
            use=self._groups.read_machine(self._machine.memory()),
            system_containers=(
                SystemContainer(
                    name="pods",
                    started_at_ns=boot_time_ns,
                    use=self._groups.read(self._paths.pods_cgroup),
                ),
            ),
            pods=tuple(self._read_pod(pod) for pod in pods),
        )
        self._groups.end_round()
        return stats

    def _read_pod(self, pod: PodFigures) -> PodFigures:
        return dataclasses.replace(
            pod,
            use=self._groups.read(pod.group),
            containers=tuple(
                dataclasses.replace(each, use=self._groups.read(each.group))
                for each in pod.containers
            ),
        )
