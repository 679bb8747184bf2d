"""Keeps one session with the provider: dials, carries it on, dials again.

       ┌────── wait ◀── failed ──┐
       ▼                         │
    dialing ── upgraded ──▶ attached ── cut ──▶ wait, with the session kept ──▶ dialing …
       ▲                         │
       └──── the provider drains ┘ (its session goes on beside the next one)

The session outlives its connections: the next dial names it, and the provider goes on with it or,
if it does not know it any more, gives a new one. A change of the network is answered at once: by a
dial where one was waited for, by a PING where there is a connection.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import TYPE_CHECKING, Protocol

from edge_runtime.uplink.backoff import Backoff
from edge_runtime.uplink.dial_error import DialError
from edge_runtime.uplink.silence_watch import SilenceWatch
from tunnel.errors import PipeError, ProtocolError
from tunnel.metrics import TunnelMetrics
from tunnel.protocol import Role
from tunnel.session import Limits, Session

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from edge_runtime.uplink.dial import Dialled
    from tunnel.stream import Stream

logger = logging.getLogger(__name__)

# After a change of the network, a connection that is silent for so long is given up.
PROBE_TIMEOUT_S = 2.0
CONNECTION_LOST = "connection lost"
NETWORK_CHANGED = "network changed"
PROVIDER_DRAINS = "provider drains"
_NETWORK_CHANGED = "the network changed, and the connection is silent since"
_SILENT = "the connection is silent, and the provider can be reached"
_UNKNOWN = "the provider does not know the session any more: it was restarted, or gave it up"
_STOPPING = "the edge is stopping"
_chance = random.SystemRandom().random


class Dial(Protocol):
    """Dials once; ``uplink.dial.ProviderDial`` fits."""

    async def __call__(self, *, session_id: str, received_bytes: int) -> Dialled:
        """Dial, to go on with a session or, with "", for a new one.

        Raises:
            DialError: There is no tunnel.
        """


class NetworkChanges(Protocol):
    """Tells of changes of the machine's links and addresses."""

    async def wait(self) -> None:
        """Return at the next change."""


class Dialer:
    """Keeps a session with the provider alive.

    Args:
        dial: Dials once.
        handler: Serves each stream that the provider opens.
        limits: Of each session.
        backoff: Delays between dials.
        network: Tells when dialling at once is worth it; None where nobody can tell.
        is_reachable: Whether the provider's port accepts a connection; None where that is not to
            be tried while a connection is silent.
        metrics: Counts why each connection after the first was needed: CONNECTION_LOST,
            NETWORK_CHANGED or PROVIDER_DRAINS.
        clock: Monotonic seconds.
        chance: Uniform in [0, 1).
    """

    def __init__(
        self,
        *,
        dial: Dial,
        handler: Callable[[Stream], Awaitable[None]],
        limits: Limits | None = None,
        backoff: Backoff | None = None,
        network: NetworkChanges | None = None,
        is_reachable: Callable[[], Awaitable[bool]] | None = None,
        metrics: TunnelMetrics | None = None,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = _chance,
    ) -> None:
        self._dial = dial
        self._handler = handler
        self._limits = limits
        self._backoff = backoff or Backoff()
        self._network = network
        self._is_reachable = is_reachable
        self._metrics = metrics or TunnelMetrics()
        self._metrics.expect(CONNECTION_LOST, NETWORK_CHANGED, PROVIDER_DRAINS)
        self._clock = clock
        self._chance = chance
        # The session that is dialled for; None before the first and after the end of one.
        self._session: Session | None = None
        # Sessions that the provider ends: their calls go on until it does.
        self._draining: set[Session] = set()
        self._tasks: asyncio.TaskGroup | None = None
        self._stop = False
        # Ends a wait between dials.
        self._hurry = asyncio.Event()
        # Ends the wait for the end of the present connection.
        self._over = asyncio.Event()
        self._cause: str | None = None
        self._last_problem: str | None = None

    @property
    def is_attached(self) -> bool:
        """Whether a connection to the provider carries a session."""
        return self._session is not None and self._session.is_attached

    async def run(self) -> None:
        """Dial and serve until drained or cancelled.

        Cancelling aborts the connection; all streams end with an error on both ends.
        """
        async with asyncio.TaskGroup() as self._tasks:
            watching = [self._tasks.create_task(watch) for watch in self._watches()]
            await self._dial_until_stopped(self._tasks)
            for task in watching:
                task.cancel()

    def dial_now(self) -> None:
        """End a wait between two dials: whatever made them fail may be over."""
        if not self.is_attached:
            self._hurry.set()

    async def drain(self, *, deadline_s: float) -> None:
        """Stop for good: no new dial, no new streams; running ones get ``deadline_s`` seconds.

        A session that is interrupted ends at once.
        """
        self._stop = True
        self._hurry.set()
        async with asyncio.TaskGroup() as tasks:
            for session in {self._session, *self._draining} - {None}:
                if session is None or not session.is_attached:
                    continue
                tasks.create_task(session.drain(deadline_s))
        if self._session is not None:
            self._session.close(_STOPPING)

    # Dialling.

    async def _dial_until_stopped(self, tasks: asyncio.TaskGroup) -> None:
        while not self._stop:
            session = self._resumable_session()
            is_final = False
            try:
                dialled = await self._dial_for(session)
            except DialError as exc:
                is_final = exc.is_final
                self._note_problem(exc)
            else:
                await self._carry(tasks, session, dialled)
            await self._pause(is_final=is_final)

    def _resumable_session(self) -> Session | None:
        session = self._session
        return session if session is not None and session.close_reason is None else None

    async def _dial_for(self, session: Session | None) -> Dialled:
        if session is None:
            return await self._dial(session_id="", received_bytes=0)
        # The old connection first: what it still brought would be missing in the count.
        session.detach("the edge dials anew")
        return await self._dial(
            session_id=session.session_id, received_bytes=session.received_bytes
        )

    async def _pause(self, *, is_final: bool) -> None:
        delay_s = self._backoff.next_delay_s(
            now=self._clock(),
            chance=self._chance(),
            resumable=self._resumable_session() is not None,
            is_final=is_final,
        )
        try:
            async with asyncio.timeout(delay_s):
                await self._hurry.wait()
        except TimeoutError:
            pass
        self._hurry.clear()

    def _note_problem(self, problem: DialError) -> None:
        # Once per change: an edge that is offline for a week must not fill its journal.
        if str(problem) == self._last_problem:
            return
        self._last_problem = str(problem)
        if problem.is_final:
            logger.error("the provider refuses this edge", extra={"reason": str(problem)})
        else:
            logger.warning("cannot reach the provider", extra={"reason": str(problem)})

    # Sessions.

    async def _carry(
        self, tasks: asyncio.TaskGroup, asked: Session | None, dialled: Dialled
    ) -> None:
        """Serve over a new connection until it ends or the provider drains its session."""
        if self._stop or (asked is not None and asked.close_reason is not None):
            # Nobody is there any more for whom it was dialled.
            dialled.pipe.abort()
            self._hurry.set()
            return
        session = self._session_of(tasks, asked, dialled)
        received_bytes = session.received_bytes
        self._backoff.attached(now=self._clock())
        self._last_problem = None
        if self._cause is not None:
            self._metrics.reconnected(self._cause)
        self._cause = CONNECTION_LOST
        self._hurry.clear()
        over = self._over = asyncio.Event()
        tasks.create_task(self._attach(session, dialled, over))
        await over.wait()
        self._backoff.lost(
            now=self._clock(), received_bytes=session.received_bytes - received_bytes
        )

    def _session_of(
        self, tasks: asyncio.TaskGroup, asked: Session | None, dialled: Dialled
    ) -> Session:
        if asked is not None and asked.session_id == dialled.session_id:
            logger.info("tunnel resumed", extra={"session": asked.name})
            return asked
        if asked is not None:
            asked.close(_UNKNOWN)
        session = Session(
            role=Role.SERVER,
            session_id=dialled.session_id,
            handler=self._handler,
            limits=self._limits,
        )
        logger.info("tunnel open", extra={"session": session.name})
        self._session = session
        self._metrics.watch(session)
        tasks.create_task(self._keep(session))
        tasks.create_task(self._leave_when_drained(session))
        return session

    async def _attach(self, session: Session, dialled: Dialled, over: asyncio.Event) -> None:
        try:
            reason = await session.attach(dialled.pipe, peer_received_bytes=dialled.received_bytes)
        except PipeError as exc:
            reason = f"the provider broke the protocol: {exc}"
        if session in self._draining:
            session.close(f"its connection was lost while the provider drained it: {reason}")
        elif reason == _NETWORK_CHANGED:
            self._cause = NETWORK_CHANGED
        logger.warning("tunnel lost", extra={"session": session.name, "reason": reason})
        over.set()

    async def _leave_when_drained(self, session: Session) -> None:
        """Dial the next session at once when the provider announces the end of this one."""
        if not await session.wait_draining() or self._stop or session is not self._session:
            return
        logger.info("the provider drains the tunnel", extra={"session": session.name})
        self._draining.add(session)
        self._session = None
        self._cause = PROVIDER_DRAINS
        self._hurry.set()
        self._over.set()

    async def _keep(self, session: Session) -> None:
        try:
            reason = await session.run()
        except ProtocolError as exc:
            reason = f"the provider broke the protocol: {exc}"
        finally:
            self._draining.discard(session)
            if self._session is session:
                self._session = None
        logger.info("session ended", extra={"session": session.name, "reason": reason})

    # The network.

    def _watches(self) -> list[Coroutine[None, None, None]]:
        watches = []
        if self._network is not None:
            watches.append(self._watch_network(self._network))
        if self._is_reachable is not None:
            silence = SilenceWatch(
                session=lambda: self._session,
                is_reachable=self._is_reachable,
                give_up=lambda session: self._give_up(session, _SILENT),
            )
            watches.append(silence.run())
        return watches

    def _give_up(self, session: Session, reason: str) -> None:
        session.detach(reason)
        self._hurry.set()

    async def _watch_network(self, network: NetworkChanges) -> None:
        while True:
            await network.wait()
            session = self._session
            if session is None or not session.is_attached:
                self._hurry.set()
            elif not await session.ping(PROBE_TIMEOUT_S) and session.is_attached:
                self._give_up(session, _NETWORK_CHANGED)
