"""Changes of the network: from the kernel itself, and from a socket that a test writes to."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge_runtime.uplink.network_watch import NetworkWatch
from tests.fakes.netlink import DONE, address, message

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The kernel's end and the watch's."""
    kernel, own = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    own.setblocking(False)
    with kernel, own:
        yield kernel, own


async def test_a_change_is_told_once_it_has_settled(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    """Several messages of one change are one."""
    kernel, own = sockets
    watch = NetworkWatch(own)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(watch.wait())
        await asyncio.sleep(0)
        assert kernel.recv(100)
        kernel.send(message(DONE, b""))
        kernel.send(address("192.0.2.7"))
        kernel.send(address("2001:db8::7"))
        await waiting
    assert kernel.recv(100)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.4):
            await watch.wait()


async def test_the_kernel_answers() -> None:
    """The real one: all links and addresses are told, and none of them is a change."""
    watch = NetworkWatch.open()
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await watch.wait()
        assert watch._network.next_request() is None
    finally:
        watch.close()


CHANGE = """
import asyncio, uvloop
from edge_runtime.uplink.network_watch import NetworkWatch

async def run(*command):
    process = await asyncio.create_subprocess_exec(*command)
    assert await process.wait() == 0

async def main():
    watch = NetworkWatch.open()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        for change in (
            ("ip", "address", "add", "192.0.2.7/24", "dev", "lo"),
            ("ip", "address", "del", "192.0.2.7/24", "dev", "lo"),
        ):
            waiting = tasks.create_task(watch.wait())
            await asyncio.sleep(0.2)
            assert not waiting.done()
            await run(*change)
            await waiting
    watch.close()

uvloop.run(main())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gets a network of its own")
def test_a_real_change_is_told() -> None:
    """In a network namespace of the test's own, with the loop that the edge has."""
    root = Path(__file__).parents[3]
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", CHANGE],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
