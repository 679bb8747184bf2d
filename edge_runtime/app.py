"""The edge process: builds every object, runs every loop in one TaskGroup, stops as planned.

One loop's failure ends the process, and the supervisor starts it again: containers run on meanwhile
and are adopted. A planned stop (SIGTERM, SIGINT) drains the tunnel first.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from edge_runtime.api.guarded_calls import CallGuard
from edge_runtime.api.node_logs import NodeLogsOptions
from edge_runtime.api.router import Route, Router
from edge_runtime.api.routes import edge_routes
from edge_runtime.api.sync import EdgeIdentity, SyncHandler
from edge_runtime.audit.audit_log import AuditLog, NoAuditLog
from edge_runtime.config import EDGELET_VERSION
from edge_runtime.edge_sources import edge_sources
from edge_runtime.events.reasons import OOM_SCORE_ADJ_FORBIDDEN, WARNING
from edge_runtime.machine.cgroups import CGROUP_MOUNT
from edge_runtime.machine.node_reporter import NodeReporter
from edge_runtime.machine.oom_score import refusal
from edge_runtime.pod_parts import build_pod_parts
from edge_runtime.pods.interruption import unless
from edge_runtime.runtime.cri_client import CriClient
from edge_runtime.startup import NoSystemd, ask_pod_settings
from edge_runtime.store.database import Database
from edge_runtime.store.errors import StoreError
from edge_runtime.telemetry.logging import configure_logging
from edge_runtime.telemetry.metrics import EdgeMetrics
from edge_runtime.uplink.dial import ProviderDial
from edge_runtime.uplink.dialer import Dialer
from edge_runtime.uplink.enrolment import Enrolment
from edge_runtime.uplink.joined_edge import JoinedEdge, NotJoined, open_joined_edge
from edge_runtime.uplink.network_watch import NetworkWatch
from edge_runtime.uplink.renewal import Renewal
from tunnel.session import Limits
from tunnel.tracing import tracer_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge_runtime.config import EdgeConfig
    from edge_runtime.machine.machine_info import MachineInfo
    from edge_runtime.pods.pod_settings import PodSettings

logger = logging.getLogger(__name__)

EXIT_FAILURE = 1
DATABASE_NAME = "edgelet.db"
AUDIT_LOG_NAME = "audit.log"
# The Kubernetes version whose kubelet this is built after; the provider may claim another one.
KUBELET_VERSION = "v1.36.3"


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
        _opened(root / DATABASE_NAME, metrics) as database,
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
        self._runtime = runtime
        self._host_ips = settings.host_ips
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
        self._policy = settings.policy
        self._audit = build_audit_log(config, lost=self.metrics.lost_audit_records.inc)
        self._dialer = self._build_dialer(joined, boot_id=machine.boot_id, network=network)
        self._renewal = Renewal(
            credentials=joined.credentials,
            files=joined.files,
            enrolment=Enrolment(server=joined.server),
            renewed=self._dialer.dial_now,
            failed=self.metrics.failed_renewals.inc,
        )

    async def run(self, stop: asyncio.Event) -> int:
        """Run every loop until ``stop`` is set or one of them fails; return the exit status."""
        parts = self._parts
        try:
            await parts.load()
        except StoreError as exc:
            raise StartRefused(str(exc)) from exc
        self._tell_forbidden_scores()
        try:
            async with self._audit.writing():
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
                loops.create_task(parts.pleg.run(), name="PLEG")
                loops.create_task(parts.evented_pleg.run(), name="evented PLEG")
                loops.create_task(parts.probers.run(), name="prober manager")
                loops.create_task(parts.qos_cgroups.run(), name="cgroups of classes of pods")
                loops.create_task(parts.pods.run(), name="pod manager")
                loops.create_task(parts.eviction.run(), name="eviction manager")
                loops.create_task(parts.image_gc.run(), name="image GC")
                loops.create_task(parts.log_rotation.run(), name="log rotation")
                loops.create_task(self._dialer.run(), name="dialer")
                loops.create_task(self._renewal.run(), name="certificate renewal")
                loops.create_task(self._stop_as_planned(stop), name="planned stop")
        except* _PlannedStop:
            logger.info("edge stopped, containers run on")
        except* Exception as failures:
            status = EXIT_FAILURE
            for failure in failures.exceptions:
                logger.critical("a part of the edge failed: %s", failure, exc_info=failure)
        return status

    async def _stop_as_planned(self, stop: asyncio.Event) -> None:
        await stop.wait()
        logger.info("edge stops: draining the tunnel")
        self._sync.stop()
        await self._dialer.drain(deadline_s=self._config.drain_timeout_s)
        raise _PlannedStop

    def _build_dialer(
        self, joined: JoinedEdge, *, boot_id: str, network: NetworkWatch | None
    ) -> Dialer:
        instance_id = secrets.token_hex(16)
        node = NodeReporter(
            self._runtime,
            root_dir=self._config.root_directory,
            max_pods=self._config.max_pods,
            kubelet_version=KUBELET_VERSION,
            reserved=self._config.reserved,
            thresholds=self._config.thresholds,
            pressures=lambda: self._parts.eviction.pressures,
            host_ips=self._host_ips,
            relist_problem=self._parts.pleg.problem,
            report_period_s=self._config.node_status_update_frequency_s,
        )
        self._sync = SyncHandler(
            identity=EdgeIdentity(
                version=EDGELET_VERSION, instance_id=instance_id, boot_id=boot_id
            ),
            pods=self._parts.pods,
            statuses=self._parts.stores.statuses,
            node=node,
            events=self._parts.stores.events,
            objects=self._parts.stores.objects,
            own_node=self._parts.stores.own_node,
        )
        dial = ProviderDial(
            server=joined.server, credentials=joined.credentials, instance_id=instance_id
        )
        return Dialer(
            dial=dial,
            handler=Router(self._routes(), tracer=self.metrics.tracer).handle,
            limits=Limits(resume_timeout_s=self._config.session_resume_timeout_s),
            network=network,
            is_reachable=dial.is_reachable,
            metrics=self.metrics.tunnel,
        )

    def _routes(self) -> list[Route]:
        return edge_routes(
            pods=self._parts.pods,
            statuses=self._parts.stores.statuses,
            runtime=self._runtime,
            checks={"syncloop": self._check_loop},
            sync=self._sync,
            figures=self._parts.stats,
            metrics=self.metrics,
            guard=CallGuard(policy=self._policy, audit=self._audit, pods=self._parts.pods),
            node_logs=NodeLogsOptions(
                has_files=self._config.enable_system_log_handler,
                has_queries=self._config.enable_system_log_query,
                folder=self._config.system_logs_dir,
            ),
        )

    async def _check_loop(self) -> str | None:
        # A runtime that does not answer is the Node's condition, not this: the edge itself is
        # there, and a Node whose Lease runs out would be taken for one that is not.
        return None if self._parts.pleg.is_looping() else "the runtime was not asked for minutes"


def build_audit_log(config: EdgeConfig, *, lost: Callable[[int], object]) -> AuditLog | NoAuditLog:
    """Return the audit log that is configured; ``lost`` is told of lines that it did not take."""
    wanted = config.audit_log
    if not wanted.enabled:
        return NoAuditLog()
    path = Path(wanted.file or Path(config.root_directory) / AUDIT_LOG_NAME)
    return AuditLog(path, max_bytes=wanted.max_bytes, max_files=wanted.max_files, lost=lost)


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
def _opened(path: Path, metrics: EdgeMetrics) -> Iterator[Database]:
    """Hold the store, and with it the root folder: no second edgelet opens it."""
    try:
        database = Database(path, committed=metrics.committed)
    except StoreError as exc:
        raise StartRefused(str(exc)) from exc
    try:
        yield database
    finally:
        database.close()
