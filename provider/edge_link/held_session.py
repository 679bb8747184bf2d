"""HeldSession: a session of the site, whose it is, and which connection may carry it.

    admitted ──attach──> carried ──the connection breaks──> interrupted ──admitted anew──> …
        └── released without a connection: a new one ends, an interrupted one waits on

Who is admitted is decided by site_session.py.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import TYPE_CHECKING

from tunnel.protocol import Role
from tunnel.session import Limits, Session

if TYPE_CHECKING:
    from provider.trust.site_trust import AcceptedCertificate

logger = logging.getLogger(__name__)

# How long a session that was closed may take to end its streams.
END_TIMEOUT_S = 5.0


class Admission:
    """The right of one accepted connection to carry a session, until a later one has it.

    Attributes:
        session: The session, new or interrupted.
        received_bytes: What the edge is told that has arrived of this session.
        peer_received_bytes: What the edge says that it has received.
    """

    def __init__(self, held: HeldSession, *, peer_received_bytes: int) -> None:
        self.held = held
        self.session = held.session
        self.received_bytes = held.session.received_bytes
        self.peer_received_bytes = peer_received_bytes


class HeldSession:
    """The site's session, whose it is, and the certificate of its newest connection."""

    def __init__(
        self, *, instance: str, certificate: AcceptedCertificate, limits: Limits | None
    ) -> None:
        self.instance = instance
        self.certificate = certificate
        self.session = Session(
            role=Role.CLIENT, session_id=secrets.token_hex(16), handler=None, limits=limits
        )
        # The newest; an older one has nothing to carry any more.
        self.admission = Admission(self, peer_received_bytes=0)
        self.was_attached = False
        self.attached = asyncio.Event()
        self.ended = asyncio.Event()

    async def answers(self, timeout_s: float) -> bool:
        """Whether the edge answers a PING in time, perhaps over a connection that it makes now."""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    await self.attached.wait()
                    if await self.session.ping(timeout_s):
                        return True
                    if self.attached.is_set():
                        return False
        except TimeoutError:
            return False

    async def end(self, reason: str) -> None:
        """End the session and wait, for a while, until its streams have ended."""
        self.session.close(reason)
        try:
            async with asyncio.timeout(END_TIMEOUT_S):
                await self.ended.wait()
        except TimeoutError:
            # It is closed and has no connection: it can only end.
            logger.warning("session %s ends slowly", self.session.name)
