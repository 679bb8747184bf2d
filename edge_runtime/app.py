"""The edge process: builds every object, runs every loop in one TaskGroup, stops as planned.

One loop's failure ends the process, and the supervisor starts it again: containers run on meanwhile
and are adopted. Loops that only look after pods and can begin anew do so instead, since exec calls
and logs would end with the process. A planned stop (SIGTERM, SIGINT) drains the tunnel first.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from edge_runtime.config import EDGELET_VERSION
from edge_runtime.edge_sources import edge_sources
from edge_runtime.events.reasons import OOM_SCORE_ADJ_FORBIDDEN, WARNING
from edge_runtime.machine.cgroups import CGROUP_MOUNT
from edge_runtime.machine.oom_score import refusal
from edge_runtime.pod_parts import build_pod_parts
from edge_runtime.pods.interruption import unless
from edge_runtime.runtime.cri_client import CriClient
from edge_runtime.startup import NoSystemd, ask_pod_settings
from edge_runtime.store.database import Database
from edge_runtime.store.errors import StoreError
from edge_runtime.store.sealing_key import key_sources
from edge_runtime.telemetry.logging import configure_logging
from edge_runtime.telemetry.loops import keep_running
from edge_runtime.telemetry.metrics import EdgeMetrics
from edge_runtime.uplink.joined_edge import JoinedEdge, NotJoined, open_joined_edge
from edge_runtime.uplink.network_watch import NetworkWatch
from tunnel.tracing import tracer_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from edge_runtime.cloud_parts import CloudParts
    from edge_runtime.config import EdgeConfig
    from edge_runtime.machine.machine_info import MachineInfo
    from edge_runtime.pods.pod_settings import PodSettings
    from edge_runtime.sealing_config import SealingKeyConfig

logger = logging.getLogger(__name__)

EXIT_FAILURE = 1
# How long the cloud waits for pods that start; after a restart of the edge alone none does.
PODS_FIRST_S = 5.0
DATABASE_NAME = "edgelet.db"


class StartRefused(Exception):
    """The edge cannot start with what it was given; one sentence that names what is wrong."""


class _PlannedStop(Exception):  # ends the TaskGroup, is no error
    """All is drained."""


def run_edge(config: EdgeConfig, *, cgroup_mount: Path = CGROUP_MOUNT) -> int:
    """Run the edge until a signal stops it.

    Args:
        config: All that it is told.
        cgroup_mount: Where control groups are mounted.

    Returns:
        The exit status: 0 after a planned stop, 1 when a part failed (the log says which).

    Raises:
        StartRefused: A file or the machine is not what it must be, or another edgelet runs in the
            same folder.
    """
    configure_logging(config.logging)
    root = Path(config.root_directory)
    try:
        joined = open_joined_edge(root, server=config.server_address)
    except NotJoined as exc:
        raise StartRefused(str(exc)) from exc
    metrics = EdgeMetrics(tracer_of(os.environ, service="edgelet"))
    with (
        _opened(root, config.sealing_key, metrics) as database,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(_serve(config, joined, database, metrics, cgroup_mount))


async def _serve(
    config: EdgeConfig,
    joined: JoinedEdge,
    database: Database,
    metrics: EdgeMetrics,
    cgroup_mount: Path,
) -> int:
    stop = _stop_on_signals()
    endpoint = config.container_runtime_endpoint
    async with CriClient(endpoint, called=metrics.kubelet.called, tracer=metrics.tracer) as runtime:
        site = joined.credentials.site
        logger.info("edge starts", extra={"site": site, "version": EDGELET_VERSION})
        asking = ask_pod_settings(config, runtime, cgroup_mount=cgroup_mount)
        try:
            found = await unless(stop, asking)
        except NoSystemd as exc:
            raise StartRefused(str(exc)) from exc
        if found is None:
            return 0
        machine, settings = found
        with _watching_network() as network:
            edge = Edge(
                config,
                joined,
                database,
                runtime,
                metrics=metrics,
                machine=machine,
                settings=settings,
                network=network,
            )
            return await edge.run(stop)


def _stop_on_signals() -> asyncio.Event:
    """Return an event that the first SIGTERM or SIGINT sets; the second one stops at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    main = asyncio.current_task()

    def on_signal() -> None:
        if stop.is_set() and main is not None:
            main.cancel()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    return stop


class Edge:
    """All objects of one edge, and their loops."""

    def __init__(
        self,
        config: EdgeConfig,
        joined: JoinedEdge,
        database: Database,
        runtime: CriClient,
        *,
        metrics: EdgeMetrics,
        machine: MachineInfo,
        settings: PodSettings,
        network: NetworkWatch | None,
    ) -> None:
        self._config = config
        self._joined = joined
        self._runtime = runtime
        self._machine = machine
        self._settings = settings
        self._network = network
        self._min_oom_score_adj = settings.machine.min_oom_score_adj
        self._parts = build_pod_parts(
            database,
            runtime,
            settings=settings,
            relist_period_s=config.relist_period_s,
            metrics=metrics,
        )
        self.metrics = metrics
        metrics.watch_edge(edge_sources(self._parts, joined.credentials, database))
        self._cloud: CloudParts | None = None

    async def run(self, stop: asyncio.Event) -> int:
        """Run every loop until ``stop`` is set or one of them fails; return the exit status."""
        parts = self._parts
        try:
            await parts.load()
        except StoreError as exc:
            raise StartRefused(str(exc)) from exc
        self._tell_forbidden_scores()
        try:
            return await self._run_loops(stop)
        finally:
            parts.stats.close()

    def _tell_forbidden_scores(self) -> None:
        message = refusal(self._config.oom_score_adj, self._min_oom_score_adj)
        if message:
            logger.warning("oom_score_adj is left alone", extra={"reason": message})
            self._parts.stores.events.record_node(
                event_type=WARNING, reason=OOM_SCORE_ADJ_FORBIDDEN, message=message
            )

    async def _run_loops(self, stop: asyncio.Event) -> int:
        parts, status = self._parts, 0
        try:
            async with asyncio.TaskGroup() as loops:
                loops.create_task(parts.stores.statuses.run(), name="status manager")
                loops.create_task(parts.stores.events.run(), name="event recorder")
                loops.create_task(parts.stores.tokens.run(), name="service account tokens")
                for name, run in self._restartable_loops().items():
                    kept = keep_running(name, run, failed=self._count_failure)
                    loops.create_task(kept, name=name)
                loops.create_task(parts.probers.run(), name="prober manager")
                loops.create_task(parts.qos_cgroups.run(), name="cgroups of classes of pods")
                loops.create_task(parts.pods.run(), name="pod manager")
                loops.create_task(parts.eviction.run(), name="eviction manager")
                loops.create_task(self._run_cloud(), name="cloud")
                loops.create_task(self._stop_as_planned(stop), name="planned stop")
        except* _PlannedStop:
            logger.info("edge stopped, containers run on")
        except* Exception as failures:
            status = EXIT_FAILURE
            for failure in _single(failures):
                logger.critical("a part of the edge failed: %s", failure, exc_info=failure)
        return status

    def _restartable_loops(self) -> Mapping[str, Callable[[], Awaitable[object]]]:
        parts = self._parts
        return {
            "PLEG": parts.pleg.run,
            "evented PLEG": parts.evented_pleg.run,
            "orphan remover": parts.pods.orphans.run,
            "log rotation": parts.log_rotation.run,
            "image GC": parts.image_gc.run,
        }

    def _count_failure(self, loop: str) -> None:
        self.metrics.loop_failures.labels(loop).inc()

    async def _run_cloud(self) -> None:
        # The import of what only the cloud needs would take a tenth of a start from the pods.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PODS_FIRST_S):
                await self._parts.workers.first_steps()
        build = await asyncio.to_thread(_import_cloud_parts)
        self._cloud = build(
            self._config,
            self._joined,
            self._runtime,
            self._parts,
            settings=self._settings,
            metrics=self.metrics,
            boot_id=self._machine.boot_id,
            network=self._network,
        )
        await self._cloud.run()

    async def _stop_as_planned(self, stop: asyncio.Event) -> None:
        await stop.wait()
        logger.info("edge stops: draining the tunnel")
        if self._cloud is not None:
            await self._cloud.drain()
        raise _PlannedStop


def _single(failures: BaseExceptionGroup[Exception]) -> Iterator[Exception]:
    for each in failures.exceptions:
        if isinstance(each, BaseExceptionGroup):
            yield from _single(each)
        else:
            yield each


def _import_cloud_parts() -> type[CloudParts]:
    from edge_runtime.cloud_parts import CloudParts

    return CloudParts


@contextlib.contextmanager
def _watching_network() -> Iterator[NetworkWatch | None]:
    """Listen to changes of the network; without them, an edge only dials a little later."""
    try:
        network = NetworkWatch.open()
    except OSError as exc:
        logger.warning("the network is not watched", extra={"reason": str(exc)})
        yield None
        return
    try:
        yield network
    finally:
        network.close()


@contextlib.contextmanager
def _opened(root: Path, key: SealingKeyConfig, metrics: EdgeMetrics) -> Iterator[Database]:
    """Hold the store, and with it the root folder: no second edgelet opens it."""
    try:
        database = Database(
            root / DATABASE_NAME, keys=key_sources(key, root=root), committed=metrics.committed
        )
    except StoreError as exc:
        raise StartRefused(str(exc)) from exc
    try:
        yield database
    finally:
        database.close()
