"""The workers of pods over a runtime and a store in memory, in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from edge_runtime.admission.allocation_manager import Verdict
from edge_runtime.objects.probe_results import NO_PROBES, ContainerProbes, ProbeView
from edge_runtime.pleg.generic_pleg import GenericPLEG
from edge_runtime.pleg.pod_cache import PodCache
from edge_runtime.pods.container_configuration import ContainerConfiguration
from edge_runtime.pods.container_removal import ContainerRemover
from edge_runtime.pods.container_start import ContainerStarter
from edge_runtime.pods.deferred_cleaning import DeferredCleaning
from edge_runtime.pods.hooks import HookFailed
from edge_runtime.pods.pod_events import PodEvents
from edge_runtime.pods.pod_launch import PodLauncher
from edge_runtime.pods.pod_steps import PodSteps
from edge_runtime.pods.pod_sync import PodSync
from edge_runtime.pods.pod_termination import PodTermination
from edge_runtime.pods.pod_volumes import PodVolumes
from edge_runtime.pods.pod_workers import PodWorkers
from edge_runtime.pods.status_updater import StatusUpdater
from edge_runtime.runtime.cri_config import sandbox_config
from edge_runtime.status.status_manager import StatusManager
from edge_runtime.store.local_pod_state import LocalPodState
from edge_runtime.store.schema import migrate
from edge_runtime.store.status_store import StatusStore
from edge_runtime.volumes.unsupported import UnsupportedPlugin
from edge_runtime.volumes.volume_manager import VolumeManager

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from edge_runtime.objects.container import Container, ContainerID, Json
    from edge_runtime.objects.pod import Pod, PodUID
    from edge_runtime.objects.runtime_config import Mount, SandboxConfig
    from edge_runtime.objects.runtime_status import PodRuntimeStatus, SandboxStatus
    from edge_runtime.pods.pod_settings import PodSettings
    from edge_runtime.pods.pod_work import PodWork
    from tests.fakes.memory_runtime import MemoryRuntime

_T = TypeVar("_T")
EPOCH_S = 1_800_000_000.0


class MemoryDatabase:
    """store/database.py without its thread: virtual time does not wait for threads."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        migrate(self.connection)

    async def run(self, operation: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run an operation at once."""
        return operation(self.connection)

    async def write(self, sql: str, rows: Sequence[tuple[object, ...]]) -> None:
        """Run one statement for each row."""
        self.connection.executemany(sql, rows).close()


class WatchedStatuses(StatusManager):
    """Remembers every status that anybody could have seen."""

    def __init__(self, store: StatusStore, seen: list[Json]) -> None:
        super().__init__(store)
        self._seen = seen

    def set(self, uid: PodUID, status: Json) -> bool:
        """Take a status, as any other StatusManager."""
        self._seen.append(status)
        return super().set(uid, status)


class MemoryProbers:
    """Probes whose results the test gives."""

    def __init__(self) -> None:
        self.results: dict[str, ContainerProbes] = {}

    def add_pod(self, pod: Pod) -> None:
        """Probe nothing."""

    def view(self, uid: PodUID) -> ProbeView:
        """Return what the test gave."""
        del uid
        return ProbeView(containers=dict(self.results)) if self.results else NO_PROBES

    def trigger_readiness(self, uid: PodUID) -> None:
        """Probe nothing."""

    def stop_liveness(self, uid: PodUID) -> None:
        """Probe nothing."""

    def remove_pod(self, uid: PodUID) -> None:
        """Probe nothing."""


class MemoryHooks:
    """Hooks that fail as often as the test says, and hang while it says so."""

    def __init__(self) -> None:
        self.failures = 0
        self.hangs = False

    async def run_hook(
        self,
        pod: Pod,
        container: Container,
        container_id: ContainerID,
        handler: Json,
        *,
        timeout_s: float | None,
        ip: str,
    ) -> None:
        """Run a hook."""
        del pod, container, container_id, handler, ip
        if self.hangs:
            await asyncio.sleep(timeout_s or 3600)
        if self.failures:
            self.failures -= 1
            raise HookFailed("the test says so")


class _Sandboxes:
    def __init__(self, runtime: MemoryRuntime, cache: PodCache, settings: PodSettings) -> None:
        self._runtime = runtime
        self._cache = cache
        self._settings = settings

    async def config(self, pod: Pod, *, attempt: int) -> SandboxConfig:
        return sandbox_config(
            pod,
            attempt=attempt,
            pod_logs_dir="/logs",
            cgroup_parent="/g",
            machine=self._settings.machine,
            hostname="p",
        )

    async def make(self, pod: Pod, config: SandboxConfig) -> Any:  # noqa: ANN401  # a SandboxID
        sandbox_id = await self._runtime.run_pod_sandbox(config)
        found: SandboxStatus = self._runtime.sandboxes[sandbox_id]
        self._cache.put_sandbox(pod.uid, found)
        return sandbox_id


class _AdmitsAll:
    """Admits every pod with what it asks for, and resizes none."""

    async def admit(self, pod: Pod, status: PodRuntimeStatus) -> Verdict:
        del status
        return Verdict(pod=pod)

    def allocated(self, pod: Pod) -> Pod:
        return pod

    def conditions(self, uid: PodUID) -> Sequence[Json]:
        del uid
        return ()

    def restarts(self, pod: Pod, status: PodRuntimeStatus) -> frozenset[ContainerID]:
        del pod, status
        return frozenset()

    async def resize(self, pod: Pod) -> bool:
        del pod
        return False


class _NoEnvironments:
    async def of(self, pod: Pod, container: Container, *, ips: tuple[str, ...]) -> dict[str, str]:
        del pod, container, ips
        return {}


class _NoMounts:
    async def mounts(
        self, pod: Pod, container: Container, *, attempt: int, ips: tuple[str, ...]
    ) -> tuple[Mount, ...]:
        del pod, container, attempt, ips
        return ()


class _NoVolumes:
    async def mounts(
        self, pod: Pod, container: Container, *, env: Mapping[str, str], sandbox: SandboxConfig
    ) -> tuple[Mount, ...]:
        del pod, container, env, sandbox
        return ()


class _Recorder:
    def record(
        self, pod: Pod, *, event_type: str, reason: str, message: str, container_name: str = ""
    ) -> None:
        del pod, event_type, reason, message, container_name


class MemoryEdge:
    """One edge process; make a second one on the same runtime and database for a restart.

    Attributes:
        is_deaf: The PLEG looks, but wakes nobody: only the resync is left.
    """

    def __init__(
        self,
        runtime: MemoryRuntime,
        database: MemoryDatabase,
        *,
        settings: PodSettings,
        seen: list[Json],
        probers: MemoryProbers,
        hooks: MemoryHooks,
        seed: int,
        gone: list[PodUID],
    ) -> None:
        self.is_deaf = False
        self.records = LocalPodState(database)  # type: ignore[arg-type]  # has what is used of it
        self.statuses = WatchedStatuses(StatusStore(database), seen)  # type: ignore[arg-type]
        self.cache = PodCache()
        events = PodEvents(_Recorder())

        def now() -> datetime:
            return datetime.fromtimestamp(runtime.now_s(), UTC)

        self.pleg = GenericPLEG(runtime, self.cache, wake=self._wake, monotonic=runtime.now_s)
        admission = _AdmitsAll()
        volumes = VolumeManager({}, otherwise=UnsupportedPlugin(), pods_dir=settings.pods_dir)
        status = StatusUpdater(
            cache=self.cache,
            statuses=self.statuses,
            probers=probers,
            allocations=admission,
            settings=settings,
            now=now,
        )
        termination = PodTermination(
            runtime,
            pleg=self.pleg,
            cache=self.cache,
            hooks=hooks,
            volumes=volumes,
            events=events,
            settings=settings,
        )
        launcher = PodLauncher(
            images=runtime,
            sandboxes=_Sandboxes(runtime, self.cache, settings),
            starter=ContainerStarter(
                runtime,
                inspector=runtime,
                cache=self.cache,
                records=self.records,
                events=events,
                hooks=hooks,
                configuration=ContainerConfiguration(
                    cache=self.cache,
                    environments=_NoEnvironments(),
                    mounts=_NoMounts(),
                    volumes=_NoVolumes(),
                    settings=settings,
                ),
                settings=settings,
            ),
            killer=termination,
        )
        cleaning = DeferredCleaning(runtime, wake=self._wake)
        sync = PodSync(
            cache=self.cache,
            remover=ContainerRemover(
                runtime,
                pleg=self.pleg,
                cache=self.cache,
                termination=termination,
                cleaning=cleaning,
                events=events,
                settings=settings,
            ),
            launcher=launcher,
            cleaning=cleaning,
            admission=admission,
            resizer=admission,
            volumes=PodVolumes(volumes, events=events, monotonic=runtime.now_s),
            probers=probers,
            status=status,
            statuses=self.statuses,
            records=self.records,
            events=events,
            now=now,
        )
        steps = PodSteps(
            sync=sync,
            termination=termination,
            probers=probers,
            cache=self.cache,
            status=status,
            statuses=self.statuses,
            records=self.records,
            rng=random.Random(seed),  # noqa: S311  # spreads syncs, guards nothing
        )
        self.workers = PodWorkers(
            steps=steps,
            pleg=self.pleg,
            status=status,
            statuses=self.statuses,
            records=self.records,
            events=events,
        )
        self._gone = gone

    def _wake(self, uid: PodUID) -> None:
        if not self.is_deaf:
            self.workers.wake(uid)

    async def _bury(self, work: PodWork) -> None:
        self._gone.append(work.pod.uid)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[MemoryEdge]:
        """Load and run everything meanwhile."""
        await self.records.load()
        await self.statuses.load()
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self.statuses.run()),
                group.create_task(self.pleg.run()),
                group.create_task(self.workers.run(self._bury)),
            ]
            yield self
            for task in tasks:
                task.cancel()
