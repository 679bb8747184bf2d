"""A provider's site session and edges that dial it, in one loop, over memory pipes."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edge_runtime.uplink.dial import Dialled
from edge_runtime.uplink.dial_error import DialError
from edge_runtime.uplink.dialer import Dial, Dialer
from provider.edge_link.edge_client import EdgeClient
from provider.edge_link.held_session import Admission
from provider.edge_link.refusal import Refused
from provider.edge_link.site_session import SiteSession
from provider.trust.site_trust import AcceptedCertificate
from tests.fakes.memory_pipe import MemoryPipe, memory_pipes
from tunnel.identity import parse_site_name
from tunnel.metrics import TunnelMetrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tunnel.session import Limits
    from tunnel.stream import Stream

SITE = parse_site_name("site-a")
DIAL_TIMEOUT_S = 2.0
# There is no TLS here; whoever dials was accepted.
ACCEPTED = AcceptedCertificate(
    serial="1", is_current=True, not_after=datetime.max.replace(tzinfo=UTC), der=b""
)


class MemoryProvider:
    """One provider process, as far as the tunnel goes.

    Attributes:
        client: What its front doors get.
        site_session: Who has the site.
        events: Reasons of the events that were reported.
    """

    def __init__(self, *, limits: Limits | None = None) -> None:
        self.client = EdgeClient(site=SITE)
        self.metrics = TunnelMetrics()
        self.events: list[str] = []
        self.site_session = SiteSession(
            edge_client=self.client, report=self._report, limits=limits, metrics=self.metrics
        )

    def _report(self, *, reason: str, message: str) -> None:
        del message
        self.events.append(reason)


class MemoryLink:
    """The way from one edge to whichever provider serves the site now.

    Attributes:
        is_down: Dials get no answer.
        provider: Who is dialled.
        dials: When each dial began, on the loop's clock.
        pipes: The provider's end and the edge's of each connection, in order.
        loses_answers: So many more dials are accepted, and the edge never hears of it.
    """

    def __init__(
        self, provider: MemoryProvider, tasks: asyncio.TaskGroup, *, delay_s: float = 0.02
    ) -> None:
        self.is_down = False
        self.provider = provider
        self.dials: list[float] = []
        self.pipes: list[tuple[MemoryPipe, MemoryPipe]] = []
        self.loses_answers = 0
        self._delay_s = delay_s
        self._tasks = tasks

    def dial_as(self, instance: str) -> Dial:
        """Return what dials for one edge process."""

        async def dial(*, session_id: str, received_bytes: int) -> Dialled:
            return await self._dial(instance, session_id, received_bytes)

        return dial

    def cut(self) -> None:
        """Lose the present connection; both ends notice at once."""
        for pipe in self.pipes[-1]:
            pipe.cut()

    def stall(self) -> None:
        """Let the present connection pass nothing any more; neither end is told."""
        for pipe in self.pipes[-1]:
            pipe.stall()

    async def is_reachable(self) -> bool:
        """Try the provider's port."""
        await asyncio.sleep(DIAL_TIMEOUT_S if self.is_down else 2 * self._delay_s)
        return not self.is_down

    async def _dial(self, instance: str, session_id: str, received_bytes: int) -> Dialled:
        self.dials.append(asyncio.get_running_loop().time())
        if self.is_down:
            await asyncio.sleep(DIAL_TIMEOUT_S)
            raise DialError("no answer in time")
        await asyncio.sleep(3 * self._delay_s)
        site_session = self.provider.site_session
        # As in the listener, whoever waits to be admitted is not called off when it hangs up.
        admitting = self._tasks.create_task(
            _admit(site_session, instance, session_id, received_bytes)
        )
        await asyncio.wait([admitting], timeout=DIAL_TIMEOUT_S)
        if not admitting.done():
            admitting.add_done_callback(lambda task: _give_back(site_session, task.result()))
            raise DialError("no answer in time")
        admission = admitting.result()
        if isinstance(admission, Refused):
            raise DialError(str(admission))
        near, far = memory_pipes(delay_s=self._delay_s)
        self._tasks.create_task(site_session.attach(admission, near))
        if self.loses_answers:
            self.loses_answers -= 1
            await asyncio.sleep(DIAL_TIMEOUT_S)
            far.abort()
            raise DialError("the answer was lost")
        self.pipes.append((near, far))
        return Dialled(
            pipe=far,
            session_id=admission.session.session_id,
            received_bytes=admission.received_bytes,
        )


async def _admit(
    site_session: SiteSession, instance: str, session_id: str, received_bytes: int
) -> Admission | Refused:
    try:
        return await site_session.admit(
            instance=instance,
            certificate=ACCEPTED,
            session_id=session_id,
            received_bytes=received_bytes,
        )
    except Refused as exc:
        return exc


def _give_back(site_session: SiteSession, admission: Admission | Refused) -> None:
    if isinstance(admission, Admission):
        site_session.release(admission)


class MemorySite:
    """A provider, a link and an edge."""

    def __init__(
        self,
        provider: MemoryProvider,
        link: MemoryLink,
        dialer: Dialer,
        tasks: asyncio.TaskGroup,
        edge_metrics: TunnelMetrics,
    ) -> None:
        self.edge_metrics = edge_metrics
        self.provider = provider
        self.link = link
        self.dialer = dialer
        self.tasks = tasks

    @property
    def client(self) -> EdgeClient:
        """What the provider's front doors get."""
        return self.provider.client


@contextlib.asynccontextmanager
async def memory_site(
    handler: Callable[[Stream], Awaitable[None]],
    *,
    limits: Limits | None = None,
    instance: str = "a" * 32,
    network: NetworkSwitch | None = None,
    tries_port: bool = False,
) -> AsyncIterator[MemorySite]:
    """Run a site until the block ends; it is connected when the block begins.

    Args:
        handler: Answers calls on the edge.
        limits: Of each session.
        instance: Of the edge process.
        network: Tells the edge of changes of its network.
        tries_port: Whether the edge tries the provider's port while its connection is silent.
    """
    provider = MemoryProvider(limits=limits)
    async with asyncio.TaskGroup() as tasks:
        link = MemoryLink(provider, tasks)
        metrics = TunnelMetrics()
        dialer = Dialer(
            metrics=metrics,
            dial=link.dial_as(instance),
            handler=handler,
            limits=limits,
            clock=asyncio.get_running_loop().time,
            network=network,
            is_reachable=link.is_reachable if tries_port else None,
        )
        serving = tasks.create_task(provider.site_session.run())
        dialling = tasks.create_task(dialer.run())
        await provider.client.wait_connected()
        try:
            yield MemorySite(provider, link, dialer, tasks, metrics)
        finally:
            dialling.cancel()
            serving.cancel()
            for near, far in link.pipes:
                near.cut()
                far.cut()


class NetworkSwitch:
    """Changes of the network, told by the test."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def change(self) -> None:
        """Let the network change."""
        self._changed.set()

    async def wait(self) -> None:
        """Return at the next change."""
        await self._changed.wait()
        self._changed.clear()
