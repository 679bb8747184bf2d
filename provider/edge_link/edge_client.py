"""All that the front doors know of the edge: calls to it, and whether it is there."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from typing import TYPE_CHECKING, Protocol

from provider.kube.timestamps import utc_now
from tunnel.errors import SessionClosed, TunnelError
from tunnel.flow import MAX_STREAMS
from tunnel.protocol import RequestHead

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable

    from tunnel.identity import SiteName
    from tunnel.stream import Stream

# What a call waits at most: for an edge that was just lost or whose session is interrupted, and for
# a free stream, together. An edge is mostly back within a second or two.
PATIENCE_S = 5.0
# The other streams are for the sync stream and for asking the edge whether it is there: people who
# follow many logs must not make the node NotReady.
MAX_CALLS = MAX_STREAMS - 8
# Timers may be early by a clock's resolution; waiting again for less than this would spin.
_CLOCK_SLACK_S = 0.001
_HEALTH = RequestHead(method="GET", path="/healthz")


class SiteOffline(Exception):
    """No call can be made: there is no session with the edge, or it takes no more calls.

    The message is for the person who called.
    """


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LinkState:
    """One state of the link; states are compared by value.

    connected ──the connection is cut──> interrupted ──not resumed in time──> offline
        ^────────────resumed────────────────┘                                    │
        └────────────────────────────a new session───────────────────────────────┘

    Attributes:
        connected: Whether a connection carries a session now.
        since: When this began; being interrupted and being offline are one time to people. UTC.
        last_error: Why there is no connection, one sentence; "" while there is one.
        session_id_hash: Names the session in logs, also while it is interrupted; "" without one.
    """

    connected: bool
    since: datetime.datetime
    last_error: str
    session_id_hash: str

    @property
    def interrupted(self) -> bool:
        """Whether there is a session that waits for its next connection."""
        return not self.connected and bool(self.session_id_hash)


class Caller(Protocol):
    """What is needed of a session: ``tunnel.session.Session`` fits."""

    @property
    def open_streams(self) -> int:
        """How many streams are open now."""

    async def open(self, head: RequestHead) -> Stream:
        """Open a stream with this head."""


class EdgeClient:
    """Calls to one site's edge.

    Args:
        site: Its name, for messages.
        now: The wall clock, for what people read.
        monotonic: A clock in seconds, for intervals.
    """

    def __init__(
        self,
        *,
        site: SiteName,
        now: Callable[[], datetime.datetime] = utc_now,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        self.site = site
        self._now = now
        self._monotonic = monotonic
        self._session: Caller | None = None
        self._lost_at: float | None = None
        # Calls that are being opened, so that those that wait together do not all pass the limit.
        self._opening = 0
        self._change = asyncio.Event()
        self.state = LinkState(
            connected=False,
            since=now(),
            last_error="it has not connected since the provider started",
            session_id_hash="",
        )

    # for SiteSession

    def session_attached(self, session: Caller, *, session_id_hash: str) -> None:
        """Use this session from now on: it is new, or goes on after an interruption."""
        if self._session is session and self.state.connected:
            return
        self._session = session
        self._set_state(connected=True, last_error="", session_id_hash=session_id_hash)

    def session_interrupted(self, session: Caller, *, error: str) -> None:
        """Let calls wait for this session; nothing happens when it is not the present one."""
        if self._session is session and self.state.connected:
            self._lose(error, session_id_hash=self.state.session_id_hash)

    def session_ended(self, session: Caller, *, error: str) -> None:
        """Stop using this session; nothing happens when another one took its place already."""
        if self._session is session:
            self._session = None
            self._lose(error, session_id_hash="")

    def _lose(self, error: str, *, session_id_hash: str) -> None:
        if self.state.connected:
            self._lost_at = self._clock()
        self._set_state(connected=False, last_error=error, session_id_hash=session_id_hash)

    def _set_state(self, *, connected: bool, last_error: str, session_id_hash: str) -> None:
        self.state = LinkState(
            connected=connected,
            since=self._now() if connected or self.state.connected else self.state.since,
            last_error=last_error,
            session_id_hash=session_id_hash,
        )
        self._change.set()
        self._change = asyncio.Event()

    # for everyone else

    async def changed(self) -> LinkState:
        """Wait for the next change and return the state of that moment; safe to cancel.

        The interest is registered before the first suspension, so a change after the call is never
        missed.
        """
        await self._change.wait()
        return self.state

    async def wait_connected(self) -> None:
        """Return when a connection carries a session, at once if it does; safe to cancel."""
        while not self.state.connected:
            await self._change.wait()

    async def open_call(self, head: RequestHead) -> Stream:
        """Begin a call of somebody else's; as ``open``, but of these there are at most MAX_CALLS.

        Raises:
            SiteOffline: The edge is not there, or takes no more calls now.
            HeadError: The head cannot be sent.
        """
        return await self._open_in_time(head, max_streams=MAX_CALLS)

    async def open(self, head: RequestHead) -> Stream:
        """Begin a call of the provider's own.

        While the session is interrupted, or was lost within PATIENCE_S, it waits for the edge to
        come back, for PATIENCE_S at most; without a session for longer it fails at once.

        Returns:
            The stream. Whoever cancels or fails after that must reset it.

        Raises:
            SiteOffline: The edge is not there, or takes no more calls now.
            HeadError: The head cannot be sent.
        """
        return await self._open_in_time(head, max_streams=MAX_STREAMS)

    async def _open_in_time(self, head: RequestHead, *, max_streams: int) -> Stream:
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._open(head, max_streams=max_streams)
        except TimeoutError as exc:
            if not self.state.connected:
                raise SiteOffline(self._offline_message()) from exc
            raise SiteOffline(f"site {self.site} takes no more calls now") from exc

    async def _open(self, head: RequestHead, *, max_streams: int) -> Stream:
        while True:
            session = await self._connected_session()
            # MUST be no await between the wait and this: all who waited go on in the same turn.
            if max_streams < MAX_STREAMS and session.open_streams + self._opening >= max_streams:
                message = f"site {self.site} takes no more calls now: {max_streams} are running"
                raise SiteOffline(message)
            self._opening += 1
            try:
                return await session.open(head)
            except SessionClosed as exc:
                if self._session is session:  # it drains
                    message = f"site {self.site} takes no more calls now: {exc.reason}"
                    raise SiteOffline(message) from exc
            finally:
                self._opening -= 1

    async def answers(self, *, timeout_s: float) -> bool:
        """Whether the edge runtime itself, not only its tunnel, answered within ``timeout_s``."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._is_healthy()
        except (TimeoutError, SiteOffline, TunnelError):
            return False

    async def _is_healthy(self) -> bool:
        stream = await self.open(_HEALTH)
        try:
            await stream.close_write()
            head = await stream.response()
            while await stream.read():
                pass
        except BaseException:
            stream.reset()
            raise
        return head.status == 200

    async def _connected_session(self) -> Caller:
        while self._session is None or not self.state.connected:
            wait_s = PATIENCE_S if self._session is not None else self._hope_left_s()
            if wait_s <= _CLOCK_SLACK_S:
                raise SiteOffline(self._offline_message())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._change.wait()
        return self._session

    def _hope_left_s(self) -> float:
        """How long an edge without a session may still be on its way back."""
        return 0.0 if self._lost_at is None else self._lost_at + PATIENCE_S - self._clock()

    def _offline_message(self) -> str:
        since = self.state.since.isoformat(timespec="seconds").replace("+00:00", "Z")
        return f"site {self.site} is offline since {since} (last error: {self.state.last_error})"

    def _clock(self) -> float:
        return self._monotonic() if self._monotonic else asyncio.get_running_loop().time()
