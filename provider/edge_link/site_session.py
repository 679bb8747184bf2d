"""At most one session of the site, who may carry it on, and who may take its place.

    dial of the edge                                  answer
    the session's id, the same instance               the session goes on over the new connection
    another id or none, the same instance             a new session; the old one ends
    another instance, the old one answers             409, and the event DuplicateSite
    another instance, the old one is silent for 2 s   a new session; the old one ends
    whoever, while the provider stops                 503

An instance is one start of the edge process. Two of them at once are two machines with one identity
(a cloned disk, a restored backup): the one that works keeps the site. Who dials is known by the
certificate of this very connection; a session's id proves nothing by itself.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

from provider.edge_link.held_session import END_TIMEOUT_S, Admission, HeldSession
from provider.edge_link.refusal import Refused, unavailable
from tunnel.enrolment import RefusalReason
from tunnel.errors import PipeError, ProtocolError
from tunnel.metrics import TunnelMetrics

if TYPE_CHECKING:
    from provider.edge_link.edge_client import EdgeClient
    from provider.trust.site_trust import AcceptedCertificate
    from tunnel.session import Limits, WebSocketPipe

logger = logging.getLogger(__name__)

# How a connection after the first came: the edge kept its session, lost it, or was restarted.
RESUMED, NEW_SESSION, NEW_INSTANCE = "resumed", "new session", "new instance"

# How long the present session may take to show that it lives.
PROBE_TIMEOUT_S = 2.0
REPORT_EVERY_S = 600.0
DUPLICATE_SITE = "DuplicateSite"
STOPPING = "the provider is stopping"


class LinkReporter(Protocol):
    """Records a warning event about the site; returns at once."""

    def __call__(self, *, reason: str, message: str) -> None:
        """Record it."""


class SiteSession:
    """Holds the site's session and tells ``EdgeClient`` of it.

    Args:
        edge_client: Is told of every attachment, interruption and end.
        report: Records the event DuplicateSite.
        limits: Of each session.
        metrics: Counts how each connection after the first came: ``resumed``, ``new session`` or
            ``new instance``.
    """

    def __init__(
        self,
        *,
        edge_client: EdgeClient,
        report: LinkReporter,
        limits: Limits | None = None,
        metrics: TunnelMetrics | None = None,
    ) -> None:
        self._edge_client = edge_client
        self._report = report
        self._limits = limits
        self._metrics = metrics or TunnelMetrics()
        self._metrics.expect(RESUMED, NEW_SESSION, NEW_INSTANCE)
        self._present: HeldSession | None = None
        self._last_instance: str | None = None
        self._is_stopping = False
        self._reported_at: float | None = None
        self._admission = asyncio.Lock()
        self._sessions: asyncio.TaskGroup | None = None
        self._stopped = asyncio.Event()

    @property
    def round_trip_s(self) -> float | None:
        """Of the last PING; None while nothing was measured."""
        return self._present.session.round_trip_s if self._present is not None else None

    async def run(self) -> None:
        """Keep the sessions, whatever becomes of their connections, until drained or cancelled.

        Nobody is admitted before.
        """
        async with asyncio.TaskGroup() as self._sessions:
            await self._stopped.wait()

    @property
    def certificate(self) -> AcceptedCertificate | None:
        """The certificate by which the present session was begun or carried on last."""
        return self._present.certificate if self._present is not None else None

    def end_present(self, reason: str) -> None:
        """End the present session and its connection at once, if there is one."""
        if self._present is not None:
            self._present.session.close(reason)

    async def admit(
        self,
        *,
        instance: str,
        certificate: AcceptedCertificate,
        session_id: str = "",
        received_bytes: int = 0,
    ) -> Admission:
        """Let this instance carry its session on, or give it a new one, if it may have the site.

        The caller must ``attach`` or ``release`` what it gets. An interrupted session has no
        connection any more when this returns, so that what the edge is told to have arrived stays
        true.

        Args:
            instance: Who dials.
            certificate: With which.
            session_id: The session that it wants to go on with; "" for a new one.
            received_bytes: What the edge has received of that session.

        Raises:
            Refused: Another instance has the site and answers, or the provider stops.
        """
        resumed = self._resume(instance, session_id, received_bytes)
        if resumed is not None:
            resumed.held.certificate = certificate
            return resumed
        # Not for resuming: who is being asked whether it lives may show it by that.
        async with self._admission:
            self._check_open()
            if self._present is not None:
                await self._make_room(self._present, instance)
            return self._begin(instance, certificate)

    def _check_open(self) -> asyncio.TaskGroup:
        if self._is_stopping:
            raise unavailable(STOPPING)
        if self._sessions is None:
            raise unavailable("this provider does not hold the site's Lease")
        return self._sessions

    def _resume(self, instance: str, session_id: str, received_bytes: int) -> Admission | None:
        self._check_open()
        held = self._present
        if held is None or (held.instance, held.session.session_id) != (instance, session_id):
            return None
        if held.session.close_reason is not None:
            return None
        # The old connection first: what it still brought would be missing in the count.
        held.session.detach("the edge connected anew")
        held.admission = Admission(held, peer_received_bytes=received_bytes)
        return held.admission

    def _begin(self, instance: str, certificate: AcceptedCertificate) -> Admission:
        sessions = self._check_open()
        held = HeldSession(instance=instance, certificate=certificate, limits=self._limits)
        self._present = held
        self._metrics.watch(held.session)
        sessions.create_task(self._keep(held), name=f"session {held.session.name}")
        return held.admission

    async def _make_room(self, present: HeldSession, instance: str) -> None:
        if present.instance == instance:
            await present.end("the edge connected anew, without its session")
        elif await present.answers(PROBE_TIMEOUT_S):
            message = (
                f"a second edge with the identity of {self._edge_client.site} was refused: "
                "one is connected and answers; are there two machines with one identity?"
            )
            self._report_duplicate(message)
            raise Refused(409, RefusalReason.DUPLICATE_SITE, message)
        else:
            await present.end("another edge process took the silent one's place")

    def _report_duplicate(self, message: str) -> None:
        # A refused edge dials on; one event in a while says it as well as one per dial.
        now = asyncio.get_running_loop().time()
        if self._reported_at is None or now - self._reported_at >= REPORT_EVERY_S:
            self._reported_at = now
            self._report(reason=DUPLICATE_SITE, message=message)

    def release(self, admission: Admission) -> None:
        """Give back an admission that did not come to a connection; nothing happens after one.

        A session that was to be carried on waits for the next connection, a new one ends.
        """
        held = admission.held
        if held.admission is not admission or held.attached.is_set():
            return
        error = "the connection was lost while it was accepted"
        if not held.was_attached:
            held.session.close(error)
        self._edge_client.session_interrupted(held.session, error=error)

    async def attach(self, admission: Admission, pipe: WebSocketPipe) -> None:
        """Carry an admitted session over its connection until the connection ends.

        Whoever was admitted later, or the provider's stop, makes an admission void.
        """
        held, session = admission.held, admission.session
        if held is not self._present or held.admission is not admission or self._is_stopping:
            pipe.abort()
            self.release(admission)
            return
        self._count_attachment(held)
        held.was_attached = True
        held.attached.set()
        self._edge_client.session_attached(session, session_id_hash=session.name)
        error = "its connection was cancelled"
        try:
            error = await session.attach(pipe, peer_received_bytes=admission.peer_received_bytes)
        except PipeError as exc:
            error = _broken(exc)
        finally:
            if held.admission is admission:
                held.attached.clear()
            if held.admission is admission and session.close_reason is None:
                self._edge_client.session_interrupted(session, error=error)

    def _count_attachment(self, held: HeldSession) -> None:
        if held.was_attached:
            self._metrics.reconnected(RESUMED)
        elif self._last_instance is not None:
            is_known = held.instance == self._last_instance
            self._metrics.reconnected(NEW_SESSION if is_known else NEW_INSTANCE)
        self._last_instance = held.instance

    async def _keep(self, held: HeldSession) -> None:
        """Run a session to its end, and tell why it ended."""
        session = held.session
        error = "the session was cancelled"
        try:
            error = await session.run()
        except ProtocolError as exc:
            error = _broken(exc)
            logger.warning("session %s: %s", session.name, error)
        except Exception as exc:
            # What an edge does may end its session, never the provider.
            logger.exception("session %s failed", session.name)
            error = f"the provider failed: {type(exc).__name__}"
        finally:
            held.ended.set()
            self._edge_client.session_ended(session, error=error)
            if self._present is held:
                self._present = None

    async def drain(self, *, deadline_s: float) -> None:
        """Admit nobody any more, and end the present session; its streams get ``deadline_s``.

        A session that is interrupted ends at once: nobody can carry it on. Then ``run`` returns.
        """
        self._is_stopping = True
        present = self._present
        try:
            if present is None:
                return
            if not present.session.is_attached:
                await present.end(STOPPING)
                return
            await present.session.drain(deadline_s)
            async with asyncio.timeout(END_TIMEOUT_S):
                await present.ended.wait()
        finally:
            self._stopped.set()


def _broken(error: ProtocolError) -> str:
    return f"the edge broke the protocol: {error}"
