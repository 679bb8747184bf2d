"""Outbox: what goes into the next message of the pipe.

First what keeps the pipe going (ACK, DRAIN), then what was sent before and did not arrive, then the
frames of HTTP/2 itself, then one DATA frame after another as the schedule says, until the message
is full.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunnel.errors import HeadError
from tunnel.frames import FRAME_HEADER_BYTES
from tunnel.pipe import MAX_MESSAGE_BYTES, MAX_PAYLOAD_BYTES, Pipe
from tunnel.schedule import MAX_FRAME_BYTES, Schedule
from tunnel.stream import INTERNAL_ERROR, Stream

# One turn.
FRAME_BYTES = FRAME_HEADER_BYTES + MAX_FRAME_BYTES

if TYPE_CHECKING:
    from tunnel.protocol import Protocol


class Outbox:
    """Chooses and encodes messages; keeps what waits for a turn or a window.

    Attributes:
        window_stalls: How often a stream had bytes to send and no window.
    """

    def __init__(self, protocol: Protocol, pipe: Pipe) -> None:
        self.window_stalls = 0
        self._protocol = protocol
        self._pipe = pipe
        self._schedule = Schedule()
        self._ready: dict[int, Stream] = {}
        # In the order in which they ran out of window.
        self._blocked: dict[int, Stream] = {}
        self._urgent: bytes | None = None

    def ready(self, stream: Stream) -> None:
        """Queue a stream that has a DATA frame to send."""
        if stream.id not in self._blocked and stream.id not in self._ready:
            self._ready[stream.id] = stream
            self._schedule.ready(stream.id)

    def window_opened(self, stream_id: int) -> None:
        """Queue again what waited for this stream's window, or for the connection's (0)."""
        for blocked_id in list(self._blocked) if stream_id == 0 else [stream_id]:
            stream = self._blocked.pop(blocked_id, None)
            if stream is not None:
                self.ready(stream)

    def has_full_message(self) -> bool:
        """Whether streams have bytes for a whole message, as far as their windows allow it."""
        waiting = 0
        for stream in self._ready.values():
            waiting += stream.output_bytes
            if waiting >= MAX_PAYLOAD_BYTES:
                return True
        return False

    def forget(self, stream_id: int) -> None:
        """Drop a stream that ended."""
        self._ready.pop(stream_id, None)
        self._blocked.pop(stream_id, None)
        self._schedule.forget(stream_id)

    def send_first(self, message: bytes) -> None:
        """Send one whole message of the pipe, other than DATA, before anything else."""
        self._urgent = message

    def next_message(
        self, *, now: float, with_data: bool, max_bytes: int = MAX_MESSAGE_BYTES
    ) -> bytes | None:
        """Return the next message, None when there is nothing to send or no room for it.

        Args:
            now: On the session's clock.
            with_data: False to send only what HTTP/2 has queued already.
            max_bytes: New messages are no longer than this, which is at least 16 KiB.
        """
        message = self._pipe.encode_ack_if_due(now=now)
        if message is not None:
            return message
        if self._urgent is not None:
            message, self._urgent = self._urgent, None
            return message
        message = self._pipe.take_replay()
        if message is not None:
            return message
        room = min(max_bytes - 1, MAX_PAYLOAD_BYTES, self._pipe.room_bytes)
        if with_data:
            self._fill(room)
        if room <= 0 or not self._protocol.output_bytes:
            return None
        return self._pipe.encode_data(self._protocol.take_output(room))

    def _fill(self, room: int) -> None:
        turns = (room - self._protocol.output_bytes) // FRAME_BYTES
        ready, schedule = self._ready, self._schedule
        while turns > 0:
            stream_id = schedule.next()
            if stream_id is None:
                return
            # Who waits alone has all turns.
            allowed = turns if len(ready) == 1 else 1
            turns -= self._send(ready[stream_id], turns=allowed)

    def _send(self, stream: Stream, *, turns: int) -> int:
        """Send up to so many DATA frames of a stream whose turn it is; returns how many it sent."""
        window = self._protocol.send_window(stream.id)
        if window <= 0 and stream.output_bytes:
            self._blocked[stream.id] = self._ready.pop(stream.id)
            self._schedule.blocked(stream.id)
            self.window_stalls += 1
            return 0
        pieces, size, is_last = stream.take_output(window, turns * MAX_FRAME_BYTES)
        try:
            self._protocol.send_data(stream.id, pieces, size, end=is_last)
        except HeadError as exc:
            stream.reset(INTERNAL_ERROR, str(exc))
            return 1
        more = stream.output_bytes > 0
        self._schedule.sent(stream.id, size, more=more)
        if not more:
            del self._ready[stream.id]
        if is_last:
            stream.sent_end()
        return 1 if size <= MAX_FRAME_BYTES else -(-size // MAX_FRAME_BYTES)
