"""A link for tests: a TCP proxy, its own process, that delays, slows, stalls and cuts.

    edge ("near") ──> queue ≤ 10 ms at the rate ──rate──> delay, jitter ──> provider ("far")   up
    edge          <── delay, jitter <──rate── queue ≤ 10 ms at the rate <── provider         down

All connections share the link: its rate and its queue. Socket buffers are small and are set before
listen and connect, and the queue is bounded in time, so that the simulator adds no bufferbloat of
its own. Segments have an Ethernet's size, since few of loopback's 64 KiB would fit a small buffer.

    python -m tests.fakes.link_simulator --target 127.0.0.1:10443 --up '{"rate_bytes_per_s": 1e6}'

It prints ``{"port": N}``, then takes commands on its standard input, one JSON object a line, and
answers each with a line that has the command's ``id``. With ``at`` a command is done so many
seconds after the start (a schedule), else at once. It ends with its standard input.

    {"do": "set", "direction": "up", "delay_s": 0.05, "jitter_s": 0.01, "rate_bytes_per_s": 12.5e6}
    {"do": "stall", "direction": "both", "seconds": 2}      all freezes, and then goes on
    {"do": "cut", "near": "silent", "far": "reset"}         no connection goes on after that
    {"do": "cut", "after_bytes": 100000, "direction": "down", "heal_after_s": 1.5}
    {"do": "half_open", "direction": "up"}                  nothing arrives that way any more
    {"do": "heal", "source": "127.0.0.9"}                   dials work again, from a new address
    {"do": "count"}                                         what went through so far

``near`` and ``far`` say what each side sees of a cut: ``reset``, ``end`` (a polite close), or
``silent``: nothing at all. ``dials`` says what becomes of dials meanwhile: ``refuse`` or
``silent``; after ``half_open`` they work unless it says so.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import sys
from typing import TYPE_CHECKING, Any

import uvloop

from tests.fakes.link_direction import Conditions, Direction, Line, Mark

if TYPE_CHECKING:
    from collections.abc import Iterable

Json = dict[str, Any]
SOCKET_BUFFER_BYTES = 64 << 10
MIN_SOCKET_BUFFER_BYTES = 16 << 10
# What waits in the kernel in front of the queue adds to it; at the start's rate it is no more than
# this, as far as the bounds above allow.
SOCKET_BUFFER_S = 0.002
SEGMENT_BYTES = 1448
CONNECT_TIMEOUT_S = 5.0
DIRECTIONS = ("up", "down")


def small_socket(buffer_bytes: int = SOCKET_BUFFER_BYTES) -> socket.socket:
    """Make a TCP socket whose kernel buffers hold so much each."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setblocking(False)
    # The kernel doubles what is asked for, to have room for its own records (socket(7)).
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        made.setsockopt(socket.SOL_SOCKET, option, buffer_bytes // 2)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT_BYTES)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def compute_buffer_bytes(conditions: Iterable[Conditions]) -> int:
    """Return how much the kernel may hold of one connection on either side."""
    rates = [one.rate_bytes_per_s for one in conditions if one.rate_bytes_per_s is not None]
    wanted = int(min(rates, default=float(1 << 30)) * SOCKET_BUFFER_S)
    return max(MIN_SOCKET_BUFFER_BYTES, min(wanted, SOCKET_BUFFER_BYTES))


class Connection:
    """One connection through the link: two sockets, two lines."""

    def __init__(self, link: Link, near: socket.socket, far: socket.socket) -> None:
        self._link = link
        self._sockets = {"near": near, "far": far}
        self.lines = {
            "up": Line(link.directions["up"], source=near, sink=far, on_mark=self._on_mark),
            "down": Line(link.directions["down"], source=far, sink=near, on_mark=self._on_mark),
        }

    def start(self) -> None:
        """Begin to read on both sides."""
        for line in self.lines.values():
            line.start()

    def _on_mark(self, line: Line, mark: Mark) -> None:
        if mark is Mark.RESET:
            self.cut(near="reset", far="reset")
        elif all(one.has_ended for one in self.lines.values()):
            self.cut(near="end", far="end")

    def cut(self, *, near: str, far: str) -> None:
        """Let nothing through any more; each side sees what is said here."""
        for line in self.lines.values():
            line.stop()
        for side, how in (("near", near), ("far", far)):
            one = self._sockets.pop(side, None)
            if one is None:
                continue
            if how == "silent":
                self._link.silent.append(one)
            else:
                _close(one, reset=how == "reset")
        self._link.connections.discard(self)


class Link:
    """The proxy."""

    def __init__(self, target: tuple[str, int], conditions: dict[str, Conditions]) -> None:
        self._loop = asyncio.get_running_loop()
        self._target = target
        self.directions = {
            name: Direction(self._loop, conditions[name], on_limit=self._on_limit)
            for name in DIRECTIONS
        }
        self.connections: set[Connection] = set()
        self.silent: list[socket.socket] = []
        self._accepted = 0
        self._source = ""
        self._dials = ""  # how dials fail; "" while they work
        self._cut_at_limit: Json = {}
        self._buffer_bytes = compute_buffer_bytes(conditions.values())
        self._listener = small_socket(self._buffer_bytes)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(1024)
        self.port = self._listener.getsockname()[1]

    async def run(self) -> None:
        """Accept until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            try:
                while True:
                    near, _ = await self._loop.sock_accept(self._listener)
                    near.setblocking(False)
                    self._accepted += 1
                    tasks.create_task(self._connect(near))
            finally:
                self.close()

    def close(self) -> None:
        """Drop everything."""
        self._listener.close()
        self._cut(near="reset", far="reset")
        self._drop_silent()

    async def _connect(self, near: socket.socket) -> None:
        if self._dials:
            self._refuse(near)
            return
        far = small_socket(self._buffer_bytes)
        try:
            if self._source:
                far.bind((self._source, 0))
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._loop.sock_connect(far, self._target)
        except (OSError, TimeoutError):
            _close(far, reset=True)
            _close(near, reset=True)
            return
        self._join(near, far)

    def _join(self, near: socket.socket, far: socket.socket) -> None:
        if self._dials:  # cut meanwhile
            _close(far, reset=True)
            self._refuse(near)
            return
        connection = Connection(self, near, far)
        self.connections.add(connection)
        connection.start()

    def _refuse(self, near: socket.socket) -> None:
        if self._dials == "silent":
            self.silent.append(near)
        else:
            _close(near, reset=True)

    # Commands.

    def do(self, command: Json) -> Json:
        """Do one command at once and return what it tells."""
        arguments = {key: value for key, value in command.items() if key not in {"do", "id", "at"}}
        verb = command["do"]
        if verb not in {"set", "stall", "cut", "half_open", "heal", "count"}:
            raise ValueError(f"unknown command {verb!r}")
        return getattr(self, f"_{verb}")(**arguments) or {}

    def _chosen(self, direction: str) -> list[Direction]:
        names = DIRECTIONS if direction == "both" else (direction,)
        return [self.directions[name] for name in names]

    def _set(self, *, direction: str = "both", **values: float | None) -> None:
        for one in self._chosen(direction):
            one.change(**values)

    def _stall(self, *, seconds: float, direction: str = "both") -> None:
        for one in self._chosen(direction):
            one.stall(seconds)

    def _half_open(self, *, direction: str, dials: str = "") -> None:
        self._dials = dials
        for connection in self.connections:
            connection.lines[direction].stop()

    def _cut(
        self,
        *,
        near: str = "reset",
        far: str = "reset",
        dials: str = "refuse",
        after_bytes: int | None = None,
        direction: str = "both",
        heal_after_s: float | None = None,
    ) -> None:
        if after_bytes is not None:
            self._cut_at_limit = {
                "near": near, "far": far, "dials": dials, "heal_after_s": heal_after_s,
            }  # fmt: skip
            for one in self._chosen(direction):
                one.limit_bytes = after_bytes
            return
        self._dials = dials
        for connection in list(self.connections):
            connection.cut(near=near, far=far)
        if heal_after_s is not None:
            self._loop.call_later(heal_after_s, self._heal)

    def _on_limit(self) -> None:
        for one in self.directions.values():
            one.limit_bytes = None
        self._cut(**self._cut_at_limit)

    def _heal(self, *, source: str | None = None) -> None:
        self._dials = ""
        if source is not None:
            self._source = source
        self._drop_silent()

    def _drop_silent(self) -> None:
        # A router that has forgotten a connection answers its next packet with a reset.
        while self.silent:
            _close(self.silent.pop(), reset=True)

    def _count(self) -> Json:
        passed = {f"{name}_bytes": one.passed_bytes for name, one in self.directions.items()}
        queued = {f"{name}_max_queue_s": one.max_queue_s for name, one in self.directions.items()}
        return {**passed, **queued, "accepted": self._accepted, "open": len(self.connections)}


def _close(one: socket.socket, *, reset: bool) -> None:
    if reset:
        linger_0_s = (1).to_bytes(4, sys.byteorder) + (0).to_bytes(4, sys.byteorder)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_0_s)
    one.close()


def _say(answer: Json) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


async def serve(target: tuple[str, int], conditions: dict[str, Conditions]) -> None:
    """Run a link and its commands until the standard input ends."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    link = Link(target, conditions)
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)

    def do(command: Json) -> None:
        _say({"id": command.get("id"), **link.do(command)})

    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(link.run())
        _say({"port": link.port})
        while line := await lines.readline():
            command: Json = json.loads(line)
            if "at" in command:
                loop.call_at(started + command["at"], do, command)
            else:
                do(command)
        running.cancel()


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--target", required=True, metavar="HOST:PORT")
    for name in DIRECTIONS:
        parser.add_argument(f"--{name}", default="{}", type=json.loads, metavar="JSON")
    arguments = parser.parse_args()
    host, _, port = arguments.target.rpartition(":")
    conditions = {name: Conditions(**getattr(arguments, name)) for name in DIRECTIONS}
    uvloop.run(serve((host, int(port)), conditions))


if __name__ == "__main__":
    main()
