"""At most one live session of the site, and who may take its place.

- The same instance comes again: the old connection is dead, or about to be; it is replaced.
- Another instance comes: the old one is asked. An answer within 2 s refuses the newcomer, silence
  replaces the old one.
- The provider stops: nobody is admitted any more.

An instance is one start of the edge process. Two of them at once are two machines with one identity
(a cloned disk, a restored backup): the one that works keeps the site.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import TYPE_CHECKING, Protocol

from tunnel.errors import ProtocolError, SessionClosed, TunnelError
from tunnel.protocol import RequestHead, Role
from tunnel.session import Session, WebSocketPipe

if TYPE_CHECKING:
    from provider.edge_link.edge_client import EdgeClient

logger = logging.getLogger(__name__)

# How long the present session may take to show that it lives.
PROBE_TIMEOUT_S = 2.0
REPORT_EVERY_S = 600.0
# How long a session that was aborted may take to end its streams.
_END_TIMEOUT_S = 5.0
_PROBE = RequestHead(method="GET", path="/healthz")
DUPLICATE_SITE = "DuplicateSite"


class Refused(Exception):
    """A tunnel that may not be opened now.

    Attributes:
        status: HTTP status of the refusal.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class LinkReporter(Protocol):
    """Records a warning event about the site; returns at once."""

    def __call__(self, *, reason: str, message: str) -> None:
        """Record it."""


class Attachment:
    """One admitted edge: its session, and the connection below once there is one."""

    def __init__(self, *, instance: str) -> None:
        self.instance = instance
        self.session_id = secrets.token_hex(16)
        self.session = Session(role=Role.CLIENT, session_id=self.session_id, handler=None)
        self.pipe: WebSocketPipe | None = None
        self.replaced_by: str | None = None
        self.ended = asyncio.Event()

    async def answers(self, timeout_s: float) -> bool:
        """Whether the edge answers anything at all through this session."""
        if self.pipe is None:
            return False
        try:
            async with asyncio.timeout(timeout_s):
                stream = await self.session.open(_PROBE)
                try:
                    await stream.response()
                finally:
                    stream.reset()
        except (TimeoutError, TunnelError):
            return False
        return True

    async def replace(self, reason: str) -> None:
        """Reset the connection and wait, for a while, until the session has ended its streams."""
        self.replaced_by = reason
        if self.pipe is not None:
            self.pipe.abort()
        try:
            async with asyncio.timeout(_END_TIMEOUT_S):
                await self.ended.wait()
        except TimeoutError:
            # It is not the present one any more, and has no connection: it can only end.
            logger.warning("session %s ends slowly", self.session.name)


class SiteSession:
    """Holds the site's session and tells ``EdgeClient`` of it.

    Args:
        edge_client: Is told of every start and end.
        report: Records the event DuplicateSite.
    """

    def __init__(self, *, edge_client: EdgeClient, report: LinkReporter) -> None:
        self._edge_client = edge_client
        self._report = report
        self._present: Attachment | None = None
        self._is_stopping = False
        self._reported_at: float | None = None
        self._admission = asyncio.Lock()

    async def admit(self, *, instance: str) -> Attachment:
        """Give the site to this instance, if it may have it.

        The caller must ``run`` or ``release`` what it gets; until then nobody else is admitted
        without asking it.

        Raises:
            Refused: Another instance has the site and answers, or the provider stops.
        """
        async with self._admission:
            if self._is_stopping:
                raise Refused(503, "the provider is stopping")
            if self._present is not None:
                await self._make_room(self._present, instance)
            self._present = Attachment(instance=instance)
            return self._present

    async def _make_room(self, present: Attachment, instance: str) -> None:
        if present.instance != instance:
            if await present.answers(PROBE_TIMEOUT_S):
                message = (
                    f"a second edge with the identity of {self._edge_client.site} was refused: "
                    "one is connected and answers; are there two machines with one identity?"
                )
                self._report_duplicate(message)
                raise Refused(409, message)
            await present.replace("another edge process took the silent one's place")
            return
        await present.replace("the edge connected anew")

    def _report_duplicate(self, message: str) -> None:
        # A refused edge dials on; one event in a while says it as well as one per dial.
        now = asyncio.get_running_loop().time()
        if self._reported_at is None or now - self._reported_at >= REPORT_EVERY_S:
            self._reported_at = now
            self._report(reason=DUPLICATE_SITE, message=message)

    def release(self, attachment: Attachment) -> None:
        """Give back an admission that did not come to a connection."""
        attachment.ended.set()
        if self._present is attachment:
            self._present = None

    async def run(self, attachment: Attachment, pipe: WebSocketPipe) -> None:
        """Run an admitted session over its connection until either ends; so do its streams."""
        session = attachment.session
        if attachment.replaced_by is not None or self._is_stopping:
            # Replaced, or the provider began to stop, while the WebSocket was being accepted.
            pipe.abort()
            self.release(attachment)
            return
        attachment.pipe = pipe
        logger.info("session %s began", session.name)
        self._edge_client.session_started(session, session_id_hash=session.name)
        error = "the session was cancelled"
        try:
            error = await _run_session(session, pipe)
        finally:
            pipe.abort()
            error = attachment.replaced_by or error
            self._edge_client.session_ended(session, error=error)
            self.release(attachment)
            logger.info("session %s ended: %s", session.name, error)

    async def drain(self, *, deadline_s: float) -> None:
        """Admit nobody any more, and end the present session; its streams get ``deadline_s``."""
        self._is_stopping = True
        present = self._present
        if present is None or present.pipe is None:
            return
        await present.session.drain(deadline_s)
        present.pipe.abort()
        async with asyncio.timeout(_END_TIMEOUT_S):
            await present.ended.wait()


async def _run_session(session: Session, pipe: WebSocketPipe) -> str:
    """Run a session to its end and return why it ended."""
    try:
        reason = await session.run(pipe)
    except SessionClosed as exc:
        return exc.reason
    except ProtocolError as exc:
        logger.warning("the edge broke the protocol: %s", exc)
        return f"the edge broke the protocol: {exc}"
    return reason
