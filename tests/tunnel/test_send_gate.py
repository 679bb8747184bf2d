"""The kernel's unsent data, and who waits for it."""

from __future__ import annotations

import array
import asyncio
import contextlib
import fcntl
import os
import socket
import termios
from typing import TYPE_CHECKING, cast

import pytest

from tunnel.send_gate import SendGate
from tunnel.send_rate import MAX_UNSENT_BYTES, MIN_UNSENT_BYTES

if TYPE_CHECKING:
    from asyncio.trsock import TransportSocket
    from collections.abc import Iterator

TIOCOUTQ = termios.TIOCOUTQ
PIECE = bytes(16 << 10)


class Ends:
    """Both ends of a TCP connection with small buffers."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
            self.near = socket.create_connection(server.getsockname())
            self.far, _ = server.accept()
        self.near.setblocking(False)
        self.far.setblocking(False)
        self.gate = SendGate(cast("TransportSocket", self.near))

    def fill(self) -> None:
        """Write until the kernel takes no more."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.near.send(PIECE)

    def swallow(self) -> None:
        """Read all that has arrived."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.far.recv(1 << 20)

    def queued_bytes(self) -> int:
        """Return what the kernel has of this end that the peer has not acknowledged."""
        count = array.array("i", [0])
        fcntl.ioctl(self.near, TIOCOUTQ, count)
        return count[0]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """Connect two sockets, and close them with the gate."""
    made = Ends()
    yield made
    made.gate.close()
    made.near.close()
    made.far.close()


async def _is_open(gate: SendGate) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.05):
            await gate.wait_room()
            return True
    return False


async def test_without_a_limit_of_its_own_nobody_waits(ends: Ends) -> None:
    """The transport's limit is enough on a fast link."""
    ends.fill()
    assert await _is_open(ends.gate)


async def test_a_full_socket_makes_the_sender_wait_until_the_peer_reads(ends: Ends) -> None:
    """Not a moment longer, and no byte less."""
    ends.gate.limit(MIN_UNSENT_BYTES)
    assert await _is_open(ends.gate)
    ends.fill()
    assert not await _is_open(ends.gate)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(ends.gate.wait_room())
        while not waiting.done():
            ends.swallow()
            await asyncio.sleep(0)


async def test_a_lower_limit_leaves_less_in_the_kernel(ends: Ends) -> None:
    """The peer's buffer is full in both cases."""
    ends.gate.limit(MAX_UNSENT_BYTES - 1)
    ends.fill()
    high_bytes = ends.queued_bytes()
    ends.swallow()
    ends.gate.limit(MIN_UNSENT_BYTES)
    while ends.queued_bytes():
        ends.swallow()
    ends.fill()
    assert ends.queued_bytes() < high_bytes


async def test_closing_lets_the_waiting_sender_go(ends: Ends) -> None:
    """Its next write says what happened."""
    ends.gate.limit(MIN_UNSENT_BYTES)
    ends.fill()
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(ends.gate.wait_room())
        await asyncio.sleep(0)
        ends.gate.close()
        ends.gate.close()
    assert await _is_open(ends.gate)


async def test_a_peer_that_resets_lets_the_waiting_sender_go(ends: Ends) -> None:
    """The connection is gone; its next write says so."""
    ends.gate.limit(MIN_UNSENT_BYTES)
    ends.fill()
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(ends.gate.wait_room())
        await asyncio.sleep(0)
        ends.far.close()


async def test_a_closed_gate_holds_no_descriptor(ends: Ends) -> None:
    """One that stayed would keep the connection open after its transport."""
    before = len(os.listdir("/proc/self/fd"))
    ends.gate.limit(MIN_UNSENT_BYTES)
    assert len(os.listdir("/proc/self/fd")) == before + 1
    ends.gate.close()
    ends.gate.limit(MAX_UNSENT_BYTES)
    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_connection_that_is_gone_has_no_gate(ends: Ends) -> None:
    """The transport closed its socket before the first limit."""
    ends.near.close()
    ends.gate.limit(MIN_UNSENT_BYTES)
    assert await _is_open(ends.gate)
