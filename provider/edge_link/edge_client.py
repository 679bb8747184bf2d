"""All that the front doors know of the edge: calls to it, and whether it is there."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
from typing import TYPE_CHECKING, Protocol

from tunnel.errors import SessionClosed, TunnelError
from tunnel.flow import MAX_STREAMS
from tunnel.protocol import RequestHead

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunnel.identity import SiteName
    from tunnel.stream import Stream

# An edge that was just lost is mostly back within a second or two; a call waits this long for it,
# counted from the loss.
INTERRUPTED_S = 5.0
# All streams of the session are in use, or its peer does not read.
OPEN_TIMEOUT_S = 5.0
# The other streams are for the sync stream and for asking the edge whether it is there: people who
# follow many logs must not make the node NotReady.
MAX_CALLS = MAX_STREAMS - 8
_HEALTH = RequestHead(method="GET", path="/healthz")


def utc_now() -> datetime.datetime:
    """Return the wall clock's time."""
    return datetime.datetime.now(datetime.UTC)


class SiteOffline(Exception):
    """No call can be made: there is no session with the edge, or it takes no more calls.

    The message is for the person who called.
    """


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LinkState:
    """One state of the link; states are compared by value.

    Attributes:
        connected: Whether there is a live session.
        since: When this state began, UTC.
        last_error: Why there is no session, one sentence; "" while there is one.
        session_id_hash: Names the session in logs; "" without one.
    """

    connected: bool
    since: datetime.datetime
    last_error: str
    session_id_hash: str


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
        self._change = asyncio.Event()
        self.state = LinkState(
            connected=False,
            since=now(),
            last_error="it has not connected since the provider started",
            session_id_hash="",
        )

    # for SiteSession

    def session_started(self, session: Caller, *, session_id_hash: str) -> None:
        """Use this session from now on."""
        self._session = session
        self._set_state(last_error="", session_id_hash=session_id_hash)

    def session_ended(self, session: Caller, *, error: str) -> None:
        """Stop using this session; nothing happens when another one took its place already."""
        if self._session is not session:
            return
        self._session = None
        self._lost_at = self._clock()
        self._set_state(last_error=error, session_id_hash="")

    def _set_state(self, *, last_error: str, session_id_hash: str) -> None:
        self.state = LinkState(
            connected=self._session is not None,
            since=self._now(),
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
        """Return when there is a live session, at once if there is; safe to cancel."""
        while self._session is None:
            await self._change.wait()

    async def open_call(self, head: RequestHead) -> Stream:
        """Begin a call of somebody else's; as ``open``, but of these there are at most MAX_CALLS.

        Raises:
            SiteOffline: The edge is not there, or takes no more calls now.
            HeadError: The head cannot be sent.
        """
        if (await self._live_session()).open_streams >= MAX_CALLS:
            raise SiteOffline(f"site {self.site} takes no more calls now: {MAX_CALLS} are running")
        return await self.open(head)

    async def open(self, head: RequestHead) -> Stream:
        """Begin a call of the provider's own.

        Offline, it fails at once; within INTERRUPTED_S of a loss it waits for the edge to come
        back, until they are over.

        Returns:
            The stream. Whoever cancels or fails after that must reset it.

        Raises:
            SiteOffline: The edge is not there, or takes no more calls now.
            HeadError: The head cannot be sent.
        """
        session = await self._live_session()
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                return await session.open(head)
        except SessionClosed as exc:
            if self._session is session:  # it drains
                message = f"site {self.site} takes no more calls now: {exc.reason}"
                raise SiteOffline(message) from exc
            raise SiteOffline(self._offline_message()) from exc
        except TimeoutError as exc:
            raise SiteOffline(f"site {self.site} takes no more calls now") from exc

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

    async def _live_session(self) -> Caller:
        if self._session is None and self._lost_at is not None:
            try:
                async with asyncio.timeout(self._lost_at + INTERRUPTED_S - self._clock()):
                    await self.wait_connected()
            except TimeoutError:
                pass
        if self._session is None:
            raise SiteOffline(self._offline_message())
        return self._session

    def _offline_message(self) -> str:
        since = self.state.since.isoformat(timespec="seconds").replace("+00:00", "Z")
        return f"site {self.site} is offline since {since} (last error: {self.state.last_error})"

    def _clock(self) -> float:
        return self._monotonic() if self._monotonic else asyncio.get_running_loop().time()
