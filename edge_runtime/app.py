"""The edge process: builds every object, runs every loop in one TaskGroup, stops as planned.

One loop's failure ends the process, and the supervisor starts it again: containers run on meanwhile
and are adopted. A planned stop (SIGTERM, SIGINT) drains the tunnel first.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from edge_runtime.api.router import Router
from edge_runtime.api.routes import edge_routes
from edge_runtime.api.sync import EdgeIdentity, SyncHandler
from edge_runtime.config import EDGELET_VERSION
from edge_runtime.events.event_recorder import EventRecorder
from edge_runtime.images.image_manager import ImageManager
from edge_runtime.machine.cgroups import read_machine_resources
from edge_runtime.machine.machine_info import host_addresses, read_machine_info
from edge_runtime.machine.node_reporter import NodeReporter
from edge_runtime.objects.cgroup_names import CgroupDriver
from edge_runtime.pleg.evented_pleg import EventedPLEG
from edge_runtime.pleg.generic_pleg import GenericPLEG
from edge_runtime.pleg.pod_cache import PodCache
from edge_runtime.pods.dns_config import parse_resolv_conf
from edge_runtime.pods.interruption import unless
from edge_runtime.pods.pod_events import PodEvents
from edge_runtime.pods.pod_manager import PodManager
from edge_runtime.pods.pod_sandbox import SandboxMaker
from edge_runtime.pods.pod_settings import PodSettings
from edge_runtime.pods.pod_start import ContainerStarter
from edge_runtime.pods.pod_sync import PodSync
from edge_runtime.pods.pod_termination import PodTermination
from edge_runtime.pods.pod_workers import PodWorkers
from edge_runtime.runtime.cri_client import CriClient
from edge_runtime.runtime.errors import RuntimeServiceError, Unimplemented
from edge_runtime.status.status_manager import StatusManager
from edge_runtime.store.database import Database
from edge_runtime.store.errors import StoreError
from edge_runtime.store.event_store import EventStore
from edge_runtime.store.local_pod_state import LocalPodState
from edge_runtime.store.pod_store import PodStore
from edge_runtime.store.status_store import StatusStore
from edge_runtime.telemetry.logging import configure_logging
from edge_runtime.uplink.credentials import Credentials, CredentialsError
from edge_runtime.uplink.dialer import Dialer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_runtime.config import EdgeConfig
    from edge_runtime.machine.machine_info import MachineInfo

logger = logging.getLogger(__name__)

EXIT_FAILURE = 1
DATABASE_NAME = "edgelet.db"
# The Kubernetes version whose kubelet this is built after; the provider may claim another one.
KUBELET_VERSION = "v1.36.3"
RUNTIME_RETRY_S = 1.0


class StartRefused(Exception):
    """The edge cannot start with what it was given; one sentence that names the file."""


class _PlannedStop(Exception):  # ends the TaskGroup, is no error
    """All is drained."""


def run_edge(config: EdgeConfig) -> int:
    """Run the edge until a signal stops it.

    Returns:
        The exit status: 0 after a planned stop, 1 when a part failed (the log says which).

    Raises:
        StartRefused: A file is not what it must be, or another edgelet runs in the same folder.
    """
    configure_logging(config.logging)
    credentials = Credentials(
        site=config.site,
        ca_certificate_file=config.site_ca_certificate_file,
        certificate_file=config.client_certificate_file,
        key_file=config.client_key_file,
    )
    try:
        credentials.verify()
    except CredentialsError as exc:
        raise StartRefused(str(exc)) from exc
    with (
        _opened(Path(config.root_directory) / DATABASE_NAME) as database,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(_serve(config, credentials, database))


async def _serve(config: EdgeConfig, credentials: Credentials, database: Database) -> int:
    stop = _stop_on_signals()
    async with CriClient(config.container_runtime_endpoint) as runtime:
        logger.info("edge starts", extra={"site": config.site, "version": EDGELET_VERSION})
        found = await unless(stop, _pod_settings(config, runtime))
        if found is None:
            return 0
        machine, settings = found
        edge = Edge(config, credentials, database, runtime, machine=machine, settings=settings)
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
        credentials: Credentials,
        database: Database,
        runtime: CriClient,
        *,
        machine: MachineInfo,
        settings: PodSettings,
    ) -> None:
        self._config = config
        self._runtime = runtime
        # What is remembered.
        self._statuses = StatusManager(StatusStore(database))
        self._records = LocalPodState(database)
        self._events = EventRecorder(EventStore(database))
        # What the runtime has.
        cache = PodCache()
        self._pleg = GenericPLEG(
            runtime,
            cache,
            wake=lambda uid: self._workers.wake(uid),
            relist_period_s=config.relist_period_s,
        )
        self._evented_pleg = EventedPLEG(
            (runtime.container_events, runtime.containerd_events), pleg=self._pleg, cache=cache
        )
        # What is to be done about it.
        pod_events = PodEvents(self._events)
        images = ImageManager(runtime, record=self._events.record)
        termination = PodTermination(
            runtime, pleg=self._pleg, cache=cache, events=pod_events, settings=settings
        )
        sync = PodSync(
            runtime,
            cache=cache,
            images=images,
            sandboxes=SandboxMaker(runtime, cache=cache, events=pod_events, settings=settings),
            starter=ContainerStarter(
                runtime,
                cache=cache,
                records=self._records,
                events=pod_events,
                settings=settings,
            ),
            termination=termination,
            statuses=self._statuses,
            records=self._records,
            events=pod_events,
            settings=settings,
        )
        self._workers = PodWorkers(
            sync=sync,
            termination=termination,
            pleg=self._pleg,
            statuses=self._statuses,
            events=pod_events,
        )
        self._pods = PodManager(
            PodStore(database),
            workers=self._workers,
            statuses=self._statuses,
            records=self._records,
            images=images,
            cache=cache,
            termination=termination,
        )
        self._dialer = self._build_dialer(credentials, boot_id=machine.boot_id)

    async def run(self, stop: asyncio.Event) -> int:
        """Run every loop until ``stop`` is set or one of them fails; return the exit status."""
        # The pods last: their workers look at what the others remember.
        for part in (self._statuses, self._records, self._events, self._pods):
            await part.load()
        status = 0
        try:
            async with asyncio.TaskGroup() as loops:
                loops.create_task(self._statuses.run(), name="status manager")
                loops.create_task(self._events.run(), name="event recorder")
                loops.create_task(self._pleg.run(), name="PLEG")
                loops.create_task(self._evented_pleg.run(), name="evented PLEG")
                loops.create_task(self._pods.run(), name="pod manager")
                loops.create_task(self._dialer.run(), name="dialer")
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
        await self._dialer.drain(deadline_s=self._config.drain_timeout_s)
        raise _PlannedStop

    def _build_dialer(self, credentials: Credentials, *, boot_id: str) -> Dialer:
        instance_id = secrets.token_hex(16)
        node = NodeReporter(
            self._runtime,
            root_dir=self._config.root_directory,
            max_pods=self._config.max_pods,
            kubelet_version=KUBELET_VERSION,
        )
        sync = SyncHandler(
            identity=EdgeIdentity(
                version=EDGELET_VERSION, instance_id=instance_id, boot_id=boot_id
            ),
            pods=self._pods,
            statuses=self._statuses,
            node=node,
            events=self._events,
        )
        router = Router(
            edge_routes(
                pods=self._pods,
                statuses=self._statuses,
                runtime=self._runtime,
                checks={"syncloop": self._check_loop, "runtime": self._check_runtime},
                sync=sync,
            )
        )
        return Dialer(
            server=self._config.server_address,
            credentials=credentials,
            instance_id=instance_id,
            handler=router.handle,
        )

    async def _check_loop(self) -> str | None:
        return None if self._pleg.is_healthy() else "the runtime was not relisted for minutes"

    async def _check_runtime(self) -> str | None:
        try:
            await self._runtime.version()
        except RuntimeServiceError as exc:
            return str(exc)
        return None


async def _pod_settings(config: EdgeConfig, runtime: CriClient) -> tuple[MachineInfo, PodSettings]:
    """Ask the runtime and the machine for what does not change; wait for a runtime that starts.

    A guess would put pods into cgroups of the wrong driver.
    """
    name, driver = await _ask_runtime(config, runtime)
    machine = await asyncio.to_thread(read_machine_info, config.root_directory)
    resources = await asyncio.to_thread(read_machine_resources, machine)
    resolv_conf = Path(config.resolv_conf)
    return machine, PodSettings(
        pod_logs_dir=Path(config.pod_logs_dir),
        container_logs_dir=Path(config.container_logs_dir),
        cgroup_root=config.cgroup_root,
        cgroup_driver=driver,
        cluster_dns=config.cluster_dns,
        cluster_domain=config.cluster_domain,
        machine=resources,
        host_ips=host_addresses,
        host_dns=lambda: parse_resolv_conf(resolv_conf.read_text()),
        runtime_name=name,
    )


async def _ask_runtime(config: EdgeConfig, runtime: CriClient) -> tuple[str, CgroupDriver]:
    last_problem: str | None = None
    while True:
        try:
            name = (await runtime.version()).name
            try:
                return name, await runtime.cgroup_driver()
            except Unimplemented:
                return name, CgroupDriver(config.cgroup_driver)
        except RuntimeServiceError as exc:
            if str(exc) != last_problem:
                last_problem = str(exc)
                logger.warning("waiting for the container runtime", extra={"reason": str(exc)})
        await asyncio.sleep(RUNTIME_RETRY_S)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Database]:
    """Hold the store, and with it the root folder: no second edgelet opens it."""
    try:
        database = Database(path)
    except StoreError as exc:
        raise StartRefused(str(exc)) from exc
    try:
        yield database
    finally:
        database.close()
