"""Runs every object of the provider, which site_parts.py builds, and owns the one TaskGroup.

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
      PodDependencies what pods need beside themselves, down     (task)
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
import signal
from typing import TYPE_CHECKING

import uvloop

from provider.kube.client import KubeClient
from provider.kube.credentials import load_access
from provider.kube.errors import CredentialsError
from provider.kube.watch import Backoff
from provider.loops import first_error, start_loops
from provider.serving.https_server import ListenError
from provider.site_parts import SiteParts
from provider.telemetry.lasting_problem import LastingProblem
from provider.telemetry.logging import configure_logging
from provider.telemetry.metrics import ProviderMetrics
from provider.trust.errors import SecretUnavailable, TrustError
from tunnel.heap import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Callable

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
    keep_freed_memory()
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
        self._parts = parts = SiteParts(config, kube, metrics)
        self.edge, self.metrics = parts.edge, metrics
        self.kubelet, self.edge_listener = parts.kubelet_port.server, parts.edge_listener
        self.trust, self.writer = parts.trust, parts.writer

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
                await self._parts.kubelet_port.load()
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
                await self._parts.health.listen(
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
            "kubelet port": self._parts.kubelet_port.run,
            "status page": self._parts.page.run,
        }
        async with asyncio.TaskGroup() as tasks:
            running = start_loops(tasks, ports)
            if await self.writer.acquire_unless(stop):
                await self._serve_site(stop)
            for task in running:
                task.cancel()

    async def _serve_site(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as sessions:
            sessions.create_task(self._parts.session.run(), name="sessions")
            try:
                await self._run_loops(stop)
            finally:
                await self._drain()

    async def _run_loops(self, stop: asyncio.Event) -> None:
        loops = {
            "writer lease": self.writer.keep,
            "node": self._parts.node.run,
            "node lease": self._parts.lease.run,
            "pods": self._parts.pods.run,
            "pod dependencies": self._parts.dependencies.run,
            "statuses": self._parts.status_writer.run,
            "events": self._parts.events.run,
        }
        if self._parts.tolerations is not None:
            loops["tolerations"] = self._parts.tolerations.run
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
                await self._parts.session.drain(deadline_s=DRAIN_S)

    async def _hand_over(self) -> None:
        """Let the next provider begin at once, while our calls run on."""
        if self.writer.is_held:
            await self._parts.node.tell_stop(timeout_s=TELL_STOP_S)
            await self.writer.release(timeout_s=TELL_STOP_S)

    async def shutdown(self) -> None:
        """Close all ports and all their connections; the last bytes get FLUSH_S."""
        await self.kubelet.shutdown(timeout_s=FLUSH_S)
        await self.edge_listener.shutdown(timeout_s=FLUSH_S)
        await self._parts.health.shutdown(timeout_s=FLUSH_S)
