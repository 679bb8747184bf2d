"""One direction of a simulated link: its rate, queue, delay and jitter, shared by its connections.

    source ──admitted while the queue holds < 10 ms──> queue ──at the rate──> in flight ──> sink

The link's clock ``free_at`` is when the last admitted byte will have been put on the wire. It runs
on its own time, so a timer that is late costs the link nothing while the queue is not empty.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import enum
import random
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

QUEUE_S = 0.01
# The queue is filled again when it has sunk to this.
LOW_QUEUE_S = 0.007
MAX_CHUNK_BYTES = 16 << 10
MIN_CHUNK_BYTES = 512
CHUNK_S = 0.001
# Without a rate, what may be on its way in one connection.
UNLIMITED_HELD_BYTES = 32 << 20
MIN_HELD_BYTES = 64 << 10


@dataclasses.dataclass(slots=True, kw_only=True)
class Conditions:
    """What a direction is like.

    Attributes:
        delay_s: From the wire's one end to the other.
        jitter_s: Added to it, uniform from 0; order is kept.
        rate_bytes_per_s: None for as fast as it goes.
    """

    delay_s: float = 0.0
    jitter_s: float = 0.0
    rate_bytes_per_s: float | None = None


class Mark(enum.Enum):
    """What travels behind the bytes."""

    END = enum.auto()
    RESET = enum.auto()


class Direction:
    """Decides when which connection's bytes go.

    Attributes:
        conditions: What the direction is like now.
        limit_bytes: How many bytes may be delivered yet before ``on_limit`` is called.
        passed_bytes: Delivered so far.
        max_queue_s: The longest that a byte ever waited for the wire.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        conditions: Conditions,
        *,
        on_limit: Callable[[], None],
    ) -> None:
        self.loop = loop
        self.conditions = conditions
        self.limit_bytes: int | None = None
        self.passed_bytes = 0
        self.max_queue_s = 0.0
        self.stalled_until = 0.0
        self.on_limit = on_limit
        self._free_at = 0.0
        self._chance = random.Random(1)  # noqa: S311  # jitter that can be repeated
        self._waiting: collections.deque[Line] = collections.deque()
        self._lines: set[Line] = set()
        self._timer: asyncio.TimerHandle | None = None

    def change(self, **values: float | None) -> None:
        """Change some of the conditions; bytes in flight keep their times."""
        self.conditions = dataclasses.replace(self.conditions, **values)  # type: ignore[arg-type]

    def stall(self, seconds: float) -> None:
        """Let nothing in and nothing out for a while."""
        self.stalled_until = max(self.stalled_until, self.loop.time() + seconds)
        self.loop.call_at(self.stalled_until, self._resume)

    def _resume(self) -> None:
        for line in self._lines:
            line.deliver()
        self._admit()

    @property
    def is_stalled(self) -> bool:
        """Whether nothing moves now."""
        # A timer may be early by a clock's resolution.
        return self.loop.time() < self.stalled_until - 1e-3

    @property
    def chunk_bytes(self) -> int:
        """How much of one connection goes before another one's turn."""
        rate = self.conditions.rate_bytes_per_s
        if rate is None:
            return MAX_CHUNK_BYTES
        return max(MIN_CHUNK_BYTES, min(MAX_CHUNK_BYTES, int(rate * CHUNK_S)))

    @property
    def max_held_bytes(self) -> int:
        """What one connection may have in queue and flight: a sink that takes nothing fills it."""
        one = self.conditions
        if one.rate_bytes_per_s is None:
            return UNLIMITED_HELD_BYTES if one.delay_s else MIN_HELD_BYTES
        flight_s = one.delay_s + one.jitter_s + QUEUE_S
        return max(MIN_HELD_BYTES, int(one.rate_bytes_per_s * flight_s * 1.25))

    def join(self, line: Line) -> None:
        """Let a connection use the link."""
        self._lines.add(line)

    def leave(self, line: Line) -> None:
        """Forget a connection."""
        self._lines.discard(line)
        with contextlib.suppress(ValueError):
            self._waiting.remove(line)

    def readable(self, line: Line) -> None:
        """Note that a connection has something to send; each has its turn."""
        self._waiting.append(line)
        if self._timer is None:
            self._admit()

    def _admit(self) -> None:
        self._timer = None
        if self.is_stalled:
            return
        now = self.loop.time()
        while self._waiting:
            queue_s = self._free_at - now
            if queue_s >= QUEUE_S:
                self._timer = self.loop.call_later(queue_s - LOW_QUEUE_S, self._admit)
                return
            line = self._waiting.popleft()
            if line.read_chunk(self.chunk_bytes):
                self._waiting.append(line)

    def due_at(self, size: int) -> float:
        """Put a chunk into the queue and return when it arrives at the other end."""
        now = self.loop.time()
        one = self.conditions
        starts_at = max(self._free_at, now)
        self.max_queue_s = max(self.max_queue_s, starts_at - now)
        takes_s = size / one.rate_bytes_per_s if one.rate_bytes_per_s else 0.0
        self._free_at = starts_at + takes_s
        return self._free_at + one.delay_s + self._chance.uniform(0, one.jitter_s)


class Line:
    """One direction of one connection.

    Attributes:
        has_ended: Whether the source's end has been delivered.
    """

    def __init__(
        self,
        direction: Direction,
        *,
        source: socket.socket,
        sink: socket.socket,
        on_mark: Callable[[Line, Mark], None],
    ) -> None:
        self.has_ended = False
        self._direction = direction
        self._loop = direction.loop
        self._source = source
        self._sink = sink
        self._on_mark = on_mark
        self._flight: collections.deque[tuple[float, memoryview | Mark]] = collections.deque()
        self._held_bytes = 0
        self._last_due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._is_reading = False  # whether the loop watches the source
        self._is_writing = False  # whether the loop watches the sink
        self._is_full = False
        self._is_stopped = False

    def start(self) -> None:
        """Begin to read."""
        self._direction.join(self)
        self._watch_source()

    def stop(self) -> None:
        """Let nothing through any more; the sockets stay as they are."""
        if self._is_stopped:
            return
        self._is_stopped = True
        self._direction.leave(self)
        if self._is_reading:
            self._loop.remove_reader(self._source)
        if self._is_writing:
            self._loop.remove_writer(self._sink)
        if self._timer is not None:
            self._timer.cancel()
        self._flight.clear()

    # In.

    def _watch_source(self) -> None:
        self._is_reading = True
        self._loop.add_reader(self._source, self._on_readable)

    def _on_readable(self) -> None:
        self._loop.remove_reader(self._source)
        self._is_reading = False
        self._direction.readable(self)

    def read_chunk(self, size: int) -> bool:
        """Read one chunk into the link, and return whether there may be more."""
        if self._held_bytes >= self._direction.max_held_bytes:
            self._is_full = True
            return False
        try:
            data = self._source.recv(size)
        except BlockingIOError:
            self._watch_source()
            return False
        except OSError:
            self._fly(Mark.RESET, 0)
            return False
        if not data:
            self._fly(Mark.END, 0)
            return False
        self._fly(memoryview(data), len(data))
        return True

    def _fly(self, what: memoryview | Mark, size: int) -> None:
        self._held_bytes += size
        self._last_due = max(self._last_due, self._direction.due_at(size))
        self._flight.append((self._last_due, what))
        if self._timer is None and not self._is_writing:
            self._timer = self._loop.call_at(self._last_due, self.deliver)

    # Out.

    def deliver(self) -> None:
        """Write what has arrived, as far as the sink takes it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._is_stopped or self._is_writing or self._direction.is_stalled:
            return
        now = self._loop.time() + 5e-4
        while self._flight and self._flight[0][0] <= now:
            what = self._flight[0][1]
            if isinstance(what, Mark):
                self._flight.popleft()
                self._deliver_mark(what)
                return
            if not self._send(what):
                return
        if self._flight:
            self._timer = self._loop.call_at(self._flight[0][0], self.deliver)

    def _send(self, data: memoryview) -> bool:
        """Write one chunk; returns whether the next may follow."""
        limit_bytes = self._direction.limit_bytes
        allowed = data if limit_bytes is None else data[:limit_bytes]
        try:
            sent = self._sink.send(allowed)
        except BlockingIOError:
            self._is_writing = True
            self._loop.add_writer(self._sink, self._on_writable)
            return False
        except OSError:
            self._on_mark(self, Mark.RESET)
            return False
        self._note_sent(sent)
        if sent == len(data):
            self._flight.popleft()
        else:
            self._flight[0] = (self._flight[0][0], data[sent:])
        if limit_bytes is not None:
            self._direction.limit_bytes = limit_bytes - sent
            if limit_bytes == sent:
                self._direction.on_limit()
        return not self._is_stopped

    def _note_sent(self, sent: int) -> None:
        self._direction.passed_bytes += sent
        self._held_bytes -= sent
        if self._is_full and self._held_bytes < self._direction.max_held_bytes // 2:
            self._is_full = False
            self._direction.readable(self)

    def _on_writable(self) -> None:
        self._loop.remove_writer(self._sink)
        self._is_writing = False
        self.deliver()

    def _deliver_mark(self, mark: Mark) -> None:
        if mark is Mark.END:
            self.has_ended = True
            with contextlib.suppress(OSError):
                self._sink.shutdown(socket.SHUT_WR)
        self._on_mark(self, mark)
