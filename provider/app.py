"""Builds every object of the provider and owns its one TaskGroup.

    serve
      KubeletServer   API server ──> EdgeClient ══ edge          (connections, each its own task)
      KubeletPort     its certificate, and the CA of its clients (task)
      EdgeListener    edge ──> SiteSession ──> EdgeClient        (one connection)
      SiteTrust       who may join, renew and have the tunnel    (task)
      SiteSession     the session, also between connections      (task; it ends last)
      HealthPort      the probes of the kubelet that runs us
      WriterLease     of several providers one goes on from here (task)
      NodeController  the Node                                   (task)
      NodeLease       its Lease, while the edge answers          (task)
      PodController   pods down, what the edge says up           (task)
      ObjectWatcher   what pods refer to, down                   (task)
      StatusWriter    statuses and deletions to the API          (task)
      EventWriter     events to the API                          (task)
      StatusPage      how the site does, for whoever looks       (task)
      TolerationPatch where no admission policy does it          (task, when configured)

A provider that does not hold the writer Lease waits for it: both its ports listen, the site is
offline to it, and a tunnel is refused with 503.

A loop that fails ends the process, with exit status 1: whoever supervises it starts it again, and
it keeps no state.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import signal
import socket
import time
from typing import TYPE_CHECKING

import uvloop

from provider.config import EDGELET_VERSION, seconds
from provider.edge_link.edge_client import EdgeClient
from provider.edge_link.listener import EdgeListener
from provider.edge_link.site_session import SiteSession
from provider.edge_link.writer_lease import WriterLease
from provider.kube.client import KubeClient
from provider.kube.credentials import load_access
from provider.kube.errors import CredentialsError
from provider.kube.event_writer import EventWriter
from provider.kube.timestamps import utc_now
from provider.kube.watch import Backoff
from provider.kubelet_api.kubelet_port import KubeletPort
from provider.loops import first_error, start_loops
from provider.node.node_controller import NodeController
from provider.node.node_lease import NodeLease
from provider.own_routes import own_routes
from provider.pods.object_watcher import ObjectWatcher
from provider.pods.pod_controller import PodController
from provider.pods.status_writer import StatusWriter
from provider.pods.sync_stream import SyncOutbox
from provider.pods.toleration_patch import TolerationPatch
from provider.serving.health_port import HealthPort
from provider.serving.https_server import ListenError
from provider.settings import kubelet_port_settings, node_settings, trust_settings
from provider.status_page.pod_usage import PodUsage
from provider.status_page.status_page import PageSources, StatusPage
from provider.telemetry.lasting_problem import LastingProblem
from provider.telemetry.logging import configure_logging
from provider.telemetry.metrics import ProviderMetrics
from provider.telemetry.site_figures import SiteSources
from provider.trust.errors import SecretUnavailable, TrustError
from provider.trust.site_trust import SiteTrust
from tunnel.session import Limits
from tunnel.sync import EventAck

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from provider.config import Config

logger = logging.getLogger(__name__)

EXIT_OK = 0
EXIT_FAILED = 1
# How long running calls may go on after a signal; then they end with an error that says so.
DRAIN_S = 10.0
# How long it may take to tell the API server that the tunnel is no more.
TELL_STOP_S = 3.0
# How long the calls' last bytes may take to reach the clients.
FLUSH_S = 6.0


class StartError(Exception):
    """The provider cannot start as it is configured; the message is one sentence."""


def run_provider(config: Config) -> int:
    """Run until SIGTERM or SIGINT and return the exit status.

    Raises:
        StartError: A file or an address of the configuration cannot be used.
    """
    configure_logging(config.log_level)
    try:
        uvloop.run(_run_until_signal(config))
    except StartError:
        raise
    except BaseExceptionGroup as group:
        logger.critical("edgelet-provider stops: %s", first_error(group), exc_info=group)
        return EXIT_FAILED
    return EXIT_OK


async def _run_until_signal(config: Config) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(config, stop=stop)


async def serve(
    config: Config,
    *,
    stop: asyncio.Event,
    started: Callable[[Provider], None] | None = None,
) -> None:
    """Serve one site until ``stop`` is set.

    Args:
        config: What to serve.
        stop: Ends it in order: running calls get DRAIN_S.
        started: Told when both ports listen.

    Raises:
        StartError: A file, an address or a Secret of the configuration cannot be used.
        BaseExceptionGroup: A loop failed.
    """
    try:
        access = await load_access(config.kubeconfig)
    except CredentialsError as exc:
        raise StartError(str(exc)) from exc
    metrics = ProviderMetrics()
    async with KubeClient(access, site=config.site, answered=metrics.api_answered) as kube:
        provider = Provider(config, kube, metrics)
        try:
            if not await provider.load(stop):
                return
            await provider.listen()
            if started is not None:
                started(provider)
            await provider.run(stop)
        finally:
            await provider.shutdown()


class Provider:
    """All objects of one provider, wired.

    Attributes:
        edge: Calls to the edge, and whether it is there.
        kubelet: The kubelet port.
        edge_listener: The edge port.
        metrics: What is counted.
        trust: Who may join, renew and have the tunnel.
        writer: Whether this provider is the one that serves the site.
    """

    def __init__(self, config: Config, kube: KubeClient, metrics: ProviderMetrics) -> None:
        self._config = config
        self.edge = EdgeClient(site=config.site)
        self.metrics = metrics
        self._wire_controllers(config, kube)
        self._wire_ports(config, kube)
        metrics.watch_site(self._site_sources())

    def _wire_controllers(self, config: Config, kube: KubeClient) -> None:
        site = config.site
        self._outbox = outbox = SyncOutbox()
        self._events = EventWriter(
            kube.as_node, node_name=site, acknowledge=lambda key: outbox.put(EventAck(id=key))
        )
        self._status_writer = StatusWriter(kube.as_node, send=outbox.put)
        self._node = NodeController(
            as_node=kube.as_node,
            as_self=kube.as_self,
            link=self.edge,
            settings=node_settings(config),
            events=self._events,
            publish=lambda message: self._pods.put_node(message),
        )
        self._lease = NodeLease(
            kube.as_node, self.edge, node_name=site, node_uid=self._node.node_uid
        )
        self._tolerations = TolerationPatch(kube.as_self) if config.patch_tolerations else None
        self._objects = ObjectWatcher(kube.node_objects, send=outbox.put)
        self._pods = PodController(
            api=kube.as_node,
            edge=self.edge,
            node_name=site,
            outbox=outbox,
            status_writer=self._status_writer,
            objects=self._objects,
            on_node_report=self._node.report,
            on_event=self._events.report,
            tolerations=self._tolerations,
        )
        self.writer = WriterLease(
            kube.as_self,
            namespace=config.site_namespace,
            identity=f"{socket.gethostname()}_{secrets.token_hex(4)}",
        )

    def _wire_ports(self, config: Config, kube: KubeClient) -> None:
        self._health = HealthPort(why_not_ready=self._why_not_ready)
        self._site_session = SiteSession(
            edge_client=self.edge,
            report=self._report,
            limits=Limits(resume_timeout_s=seconds(config.session_resume_timeout)),
            metrics=self.metrics.tunnel,
        )
        self.trust = SiteTrust(
            api=kube.as_self,
            site=config.site,
            settings=trust_settings(config),
            report=self._report,
            now=utc_now,
        )
        self.edge_listener = EdgeListener(
            site=config.site,
            site_session=self._site_session,
            trust=self.trust,
            monotonic=time.monotonic,
            refused=self.metrics.edge_refused,
        )
        self._page = self._status_page(config)
        self._kubelet_port = KubeletPort(
            kube=kube,
            edge=self.edge,
            settings=kubelet_port_settings(config),
            report=self._report,
            own_routes=own_routes(page=self._page, registry=self.metrics.registry),
            answered=self.metrics.kubelet_answered,
        )
        self.kubelet = self._kubelet_port.server

    def _status_page(self, config: Config) -> StatusPage:
        sources = PageSources(
            round_trip_s=lambda: self._site_session.round_trip_s,
            pods=self._pods.pods,
            events=self._events.recent,
            certificates=self._certificate_ends,
        )
        return StatusPage(
            site=config.site,
            version=EDGELET_VERSION,
            link=self.edge,
            usage=PodUsage(self.edge),
            sources=sources,
            now=utc_now,
        )

    def _site_sources(self) -> SiteSources:
        return SiteSources(
            is_writer=lambda: self.writer.is_held,
            lease_renewed_at=lambda: self._lease.renewed_at,
            certificate_ends=self._certificate_ends,
            statuses_pending=self._status_writer.pending,
            events_pending=self._events.pending,
            messages_pending=self._outbox.pending,
        )

    def _certificate_ends(self) -> tuple[tuple[str, datetime | None], ...]:
        own = ("Kubelet port", self._kubelet_port.certificate_end())
        return (*self.trust.certificate_ends(), own)

    async def load(self, stop: asyncio.Event) -> bool:
        """Read what the ports need; waits for an API server that is away.

        Returns:
            Whether there is anything to serve: else ``stop`` was set meanwhile.

        Raises:
            StartError: A Secret is missing or holds what it should not.
        """
        backoff = Backoff()
        problem = LastingProblem(logger, "the site's Secrets cannot be read")
        while not stop.is_set():
            try:
                await self.trust.load()
            except SecretUnavailable as exc:
                problem.occurred(exc)
            except TrustError as exc:
                raise StartError(str(exc)) from exc
            else:
                problem.solved()
                await self._kubelet_port.load()
                return True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(backoff.next_delay_s()):
                    await stop.wait()
        return False

    async def listen(self) -> None:
        """Listen on all ports.

        Raises:
            StartError: One of them cannot be listened on.
        """
        config = self._config
        try:
            await self.kubelet.listen(host=config.kubelet_listen_address, port=config.kubelet_port)
            await self.edge_listener.listen(host=config.edge_listen_address, port=config.edge_port)
            if config.health_port is not None:
                await self._health.listen(
                    host=config.health_listen_address, port=config.health_port
                )
        except ListenError as exc:
            raise StartError(str(exc)) from exc
        logger.info(
            "site %s: kubelet port %d, edge port %d",
            config.site,
            self.kubelet.port,
            self.edge_listener.port,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Wait for the writer Lease, run every loop until ``stop`` is set, then end in order.

        No new ones are taken; running ones get DRAIN_S, then an error, and their clients are told.

        Raises:
            BaseExceptionGroup: A loop failed, or the Lease was lost; the others were cancelled,
                and the calls were ended in the same way.
        """
        # A provider that waits for the Lease has open ports, too.
        ports = {
            "trust": self.trust.run,
            "kubelet port": self._kubelet_port.run,
            "status page": self._page.run,
        }
        async with asyncio.TaskGroup() as tasks:
            running = start_loops(tasks, ports)
            if await self.writer.acquire_unless(stop):
                await self._serve_site(stop)
            for task in running:
                task.cancel()

    async def _serve_site(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as sessions:
            sessions.create_task(self._site_session.run(), name="sessions")
            try:
                await self._run_loops(stop)
            finally:
                await self._drain()

    def _why_not_ready(self) -> str:
        return "" if self.writer.is_held else "this provider does not hold the site's Lease"

    async def _run_loops(self, stop: asyncio.Event) -> None:
        loops = {
            "writer lease": self.writer.keep,
            "node": self._node.run,
            "node lease": self._lease.run,
            "pods": self._pods.run,
            "objects": self._objects.run,
            "statuses": self._status_writer.run,
            "events": self._events.run,
        }
        if self._tolerations is not None:
            loops["tolerations"] = self._tolerations.run
        async with asyncio.TaskGroup() as tasks:
            running = start_loops(tasks, loops)
            await stop.wait()
            for task in running:
                task.cancel()

    async def _drain(self) -> None:
        self.kubelet.stop_accepting()
        self.edge_listener.stop_accepting()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._hand_over())
            # What is left of the calls ends with the session, and tells its clients so.
            with contextlib.suppress(TimeoutError):
                await self._site_session.drain(deadline_s=DRAIN_S)

    async def _hand_over(self) -> None:
        """Let the next provider begin at once, while our calls run on."""
        if self.writer.is_held:
            await self._node.tell_stop(timeout_s=TELL_STOP_S)
            await self.writer.release(timeout_s=TELL_STOP_S)

    async def shutdown(self) -> None:
        """Close all ports and all their connections; the last bytes get FLUSH_S."""
        await self.kubelet.shutdown(timeout_s=FLUSH_S)
        await self.edge_listener.shutdown(timeout_s=FLUSH_S)
        await self._health.shutdown(timeout_s=FLUSH_S)

    def _report(self, *, reason: str, message: str) -> None:
        self._events.record_node("Warning", reason, message)
