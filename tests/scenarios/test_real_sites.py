"""Fifty sites in one process, each with its own provider, over real TLS on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
from typing import TYPE_CHECKING

import psutil

from edge_runtime.uplink.backoff import Backoff
from edge_runtime.uplink.dial import ProviderDial
from edge_runtime.uplink.dialer import Dialer
from tests.fakes.edge_port import EdgePort, edge_port
from tests.fakes.session_pair import GET, echo, read_all
from tests.fakes.site_pki import SitePki

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SITES = 50
SIZE = 300_000
DIAL_TIMEOUT_S = 20.0
CONNECT_TIMEOUT_S = 60.0


@contextlib.asynccontextmanager
async def real_sites(folder: Path) -> AsyncIterator[list[EdgePort]]:
    """Run all ports and their edges, connected, until the block is left."""
    async with contextlib.AsyncExitStack() as stack:
        ports = [
            await stack.enter_async_context(edge_port(SitePki(folder / str(n), site="site-a")))
            for n in range(SITES)
        ]
        async with asyncio.TaskGroup() as tasks:
            dialling = [
                tasks.create_task(dialer(port, number).run()) for number, port in enumerate(ports)
            ]
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    for port in ports:
                        await port.client.wait_connected()
                yield ports
            finally:
                for one in dialling:
                    one.cancel()


def dialer(port: EdgePort, number: int) -> Dialer:
    """Make a site's real dialer."""
    # Fifty handshakes at once on a busy machine: none of them may be abandoned.
    dial = ProviderDial(
        server=("127.0.0.1", port.listener.port),
        credentials=port.pki.credentials(),
        instance_id=f"{number:032x}",
        timeout_s=DIAL_TIMEOUT_S,
    )
    return Dialer(dial=dial, handler=echo, backoff=Backoff(base_s=0.05, max_s=0.1))


async def transferred(port: EdgePort, seed: int, *, cut: bool) -> bool:
    """Send bytes there and back, perhaps with a cut between; tell whether they are the same."""
    data = random.Random(seed).randbytes(SIZE)  # noqa: S311 - reproducible
    stream = await port.client.open(GET)

    async def send() -> None:
        await stream.write(data)
        await stream.close_write()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(send())
        first = await stream.read(1000)
        if cut:
            _drop_connection(port)
        received = tasks.create_task(read_all(stream))
    return hashlib.sha256(first + received.result()).digest() == hashlib.sha256(data).digest()


async def all_transferred(ports: list[EdgePort], *, cut: bool) -> bool:
    """Use all sites at once."""
    async with asyncio.TaskGroup() as tasks:
        runs = [
            tasks.create_task(transferred(port, seed, cut=cut)) for seed, port in enumerate(ports)
        ]
    return all(run.result() for run in runs)


async def test_fifty_sites_work_side_by_side_and_through_a_cut(tmp_path: Path) -> None:
    """Every byte on its own site, also when all are cut; then nothing is left open."""
    before = psutil.Process().num_fds()
    async with real_sites(tmp_path) as ports:
        assert await all_transferred(ports, cut=False)
        assert await all_transferred(ports, cut=True)
        for port in ports:
            assert port.metrics.reconnects == {"resumed": 1}
    assert psutil.Process().num_fds() <= before


def _drop_connection(port: EdgePort) -> None:
    held = port.site_session._present
    assert held is not None
    held.session.detach("a test cuts it")
