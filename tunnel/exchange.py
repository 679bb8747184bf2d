"""Exchange: messages of the pipe on one side, streams on the other.

What arrives goes Pipe -> Protocol -> Streams, what is sent goes Streams -> Outbox (Schedule,
Protocol, Pipe). Every function here returns at once; the attachment's tasks call them.
"""

from __future__ import annotations

import asyncio
import dataclasses
import typing

from tunnel import pipe as wire
from tunnel.errors import ExcessiveLoad, ProtocolError, SessionClosed
from tunnel.events import Event, PeerLeft, PingAnswered, SettingsArrived
from tunnel.flow import BUDGET_BYTES, MAX_STREAMS, ReceiveFlow
from tunnel.liveness import DEAD_AFTER_S, PING_EVERY_S, Liveness
from tunnel.outbox import Outbox
from tunnel.protocol import Protocol, Role, error_name
from tunnel.send_rate import SendRate
from tunnel.slots import StreamSlots
from tunnel.streams import Streams

if typing.TYPE_CHECKING:
    from tunnel.handlers import Handlers

# Frames other than DATA that wait because the socket takes nothing, or there is none.
MAX_WAITING_OUTPUT_BYTES = 1 << 20
RESUME_TIMEOUT_S = 120.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one session may take.

    Attributes:
        max_streams: Streams open at once.
        receive_budget_bytes: Sum of all receive windows; at least 64 KiB for each stream.
        ping_every_s: Between two PINGs.
        dead_after_s: A PING unanswered for so long, and nothing acknowledged since, ends the
            attachment.
        resume_timeout_s: An interruption that lasts longer ends the session.
    """

    max_streams: int = MAX_STREAMS
    receive_budget_bytes: int = BUDGET_BYTES
    ping_every_s: float = PING_EVERY_S
    dead_after_s: float = DEAD_AFTER_S
    resume_timeout_s: float = RESUME_TIMEOUT_S


class ExchangeOwner(typing.Protocol):
    """What an exchange tells its session; each call returns at once."""

    def peer_failed(self, error: ProtocolError) -> None:
        """End the session for a fault of the peer."""

    def peer_left(self, reason: str) -> None:
        """End the session, since the peer has."""

    def peer_drains(self) -> None:
        """Open no streams any more."""


class Exchange:
    """Carries the streams of one session in messages, over one WebSocket after another.

    Args:
        role: Of this end.
        limits: What the session may take.
        handlers: Answer the streams that the client opened.
        owner: The session.

    Attributes:
        protocol: The HTTP/2 connection.
        counts: The pipe under it.
        outbox: What is sent next.
        liveness: Whether the peer is there.
        send_rate: How fast the link takes what is sent.
        streams: What is open.
        wake: Is set when ``next_message`` is worth asking again.
        has_heard: Whether the peer's SETTINGS have come.
    """

    def __init__(
        self, *, role: Role, limits: Limits, handlers: Handlers, owner: ExchangeOwner
    ) -> None:
        self.protocol = Protocol(role, max_streams=limits.max_streams)
        self.counts = wire.Pipe()
        self.outbox = Outbox(self.protocol, self.counts)
        self.liveness = Liveness(ping_every_s=limits.ping_every_s, dead_after_s=limits.dead_after_s)
        self.send_rate = SendRate()
        self.wake = asyncio.Event()
        self.has_heard = False
        self._dead_after_s = limits.dead_after_s
        self._owner = owner
        self._is_over = False
        self._ack_timer: asyncio.TimerHandle | None = None
        self._pings: dict[bytes, asyncio.Event] = {}
        self.streams = Streams(
            role=role,
            protocol=self.protocol,
            outbox=self.outbox,
            flow=ReceiveFlow(
                budget_bytes=limits.receive_budget_bytes, max_streams=limits.max_streams
            ),
            slots=StreamSlots(max_streams=limits.max_streams),
            handlers=handlers,
            liveness=self.liveness,
            wake=self.output_queued,
        )

    # For the session.

    def attach(self, *, peer_received_bytes: int) -> int:
        """Begin with another WebSocket; returns its epoch.

        Raises:
            PipeError: The peer's count cannot be true.
        """
        epoch = self.counts.attach(peer_received_bytes=peer_received_bytes)
        self.liveness.restart(now=_now())
        self.send_rate.restart()
        self.streams.resume()
        return epoch

    def detach(self) -> None:
        """Send and take nothing until the next ``attach``."""
        self.counts.detach()
        self.streams.pause()

    def announce_drain(self, until: float) -> None:
        """Send DRAIN before anything else; ``until`` is on the loop's clock."""
        self.outbox.send_first(wire.encode_drain(until - _now()))
        self.wake.set()

    async def ping(self, timeout_s: float) -> bool:
        """Return whether the peer answers a PING in time, and the session still lives then."""
        opaque = self.liveness.ping(now=_now())
        answered = self._pings[opaque] = asyncio.Event()
        self.protocol.ping(opaque)
        self.output_queued()
        try:
            async with asyncio.timeout(timeout_s):
                await answered.wait()
        except TimeoutError:
            return False
        finally:
            del self._pings[opaque]
        return not self._is_over

    def end(self, reason: str) -> None:
        """End all streams; only frames that are queued already are sent from now on."""
        self._is_over = True
        self.streams.fail_all(reason)
        if self._ack_timer is not None:
            self._ack_timer.cancel()
        for answered in self._pings.values():
            answered.set()
        self.wake.set()

    # For the attachment (AttachmentOwner).

    def take_message(self, message: bytes, *, epoch: int) -> None:
        """Apply what arrived.

        Raises:
            ProtocolError: The peer broke the rules.
        """
        now = _now()
        received = self.counts.receive_message(message, epoch=epoch, now=now)
        match received:
            case wire.Data(payload):
                for event in self.protocol.receive_data(payload, now=now):
                    self._react(event, now=now)
                self._watch_ack()
                if self.protocol.output_bytes or self.counts.is_ack_due(now=now):
                    self.output_queued()
            case wire.Ack(count):
                self.liveness.acknowledged(now=now)
                self.send_rate.acknowledged(
                    acknowledged_bytes=count, sent_bytes=self.counts.sent_bytes, now=now
                )
                self.wake.set()
            case wire.Drain():
                # It overtakes frames: a server still answers what the client opened before it.
                self._owner.peer_drains()
            case None:
                return
            case _:
                typing.assert_never(received)

    def next_message(self) -> bytes | None:
        """Choose what is sent next."""
        return self.outbox.next_message(
            now=_now(), with_data=not self._is_over, max_bytes=self.unsent_limit_bytes
        )

    def has_full_message(self) -> bool:
        """Whether the next message will be full already."""
        return self.outbox.has_full_message()

    @property
    def unsent_limit_bytes(self) -> int:
        """How much may wait below, at the rate that the link has now."""
        return self.send_rate.unsent_limit_bytes

    def keep_alive(self) -> float:
        """Queue a PING when one is due, and return after how many seconds to ask again.

        Raises:
            SessionClosed: The peer is dead.
        """
        now = _now()
        if self.liveness.is_dead(now=now):
            raise SessionClosed(f"no answer to a PING for {self._dead_after_s:g} s")
        opaque = self.liveness.regular_ping(now=now)
        if opaque is not None:
            self.protocol.ping(opaque)
            self.output_queued()
        return max(self.liveness.next_at() - now, wire.TIMER_SLACK_S)

    def peer_failed(self, error: ProtocolError) -> None:
        """Pass on that the peer broke the rules."""
        self._owner.peer_failed(error)

    def _react(self, event: Event, *, now: float) -> None:
        match event:
            case PingAnswered(opaque):
                self.liveness.answered(opaque, now=now)
                if opaque in self._pings:
                    self._pings[opaque].set()
            case PeerLeft(error_code, reason):
                code = f" ({error_name(error_code)})" if error_code else ""
                reason = reason or "no reason given"
                self._owner.peer_left(f"the other end closed the session{code}: {reason}")
            case SettingsArrived():
                self.has_heard = True
                self.streams.reactions[SettingsArrived](event)
            case _:
                self.streams.reactions[type(event)](event)

    def output_queued(self) -> None:
        """Wake the writer; end the session when too much waits for it."""
        if self.protocol.output_bytes > MAX_WAITING_OUTPUT_BYTES:
            self.peer_failed(ExcessiveLoad("the peer asks for answers and does not take them"))
        self.wake.set()

    def _watch_ack(self) -> None:
        """Wake the writer when an ACK falls due."""
        ack_at = self.counts.ack_at
        if ack_at is not None and self._ack_timer is None and not self._is_over:
            self._ack_timer = asyncio.get_running_loop().call_at(ack_at, self._on_ack_timer)

    def _on_ack_timer(self) -> None:
        self._ack_timer = None
        self.wake.set()
        # Bytes that came after an earlier ACK have a time of their own.
        if (self.counts.ack_at or 0) > _now() + wire.TIMER_SLACK_S:
            self._watch_ack()


def _now() -> float:
    return asyncio.get_running_loop().time()
