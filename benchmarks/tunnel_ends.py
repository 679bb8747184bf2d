"""Both ends of a tunnel on this machine, for measurements: the provider's here, the edge's not.

The edge is a process of its own (``tests/fakes/edge_process.py``), as in life.
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fakes.edge_port import SITE, EdgePort, edge_port
from tests.fakes.edge_process import edge_process
from tests.fakes.simulated_link import SimulatedLink, simulated_link
from tests.fakes.site_pki import SitePki
from tunnel.protocol import RequestHead

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from tunnel.stream import Stream

START_TIMEOUT_S = 30.0
LONG_LINK = {"delay_s": 0.05, "rate_bytes_per_s": 12.5e6}
LONG_LINK_NAME = "100 Mbit/s, 100 ms"


@contextlib.contextmanager
def site_pki() -> Iterator[SitePki]:
    """Make a site's certificates that last as long as the block."""
    with tempfile.TemporaryDirectory(prefix="edgelet-bench-") as folder:
        yield SitePki(Path(folder), site=SITE)


@contextlib.asynccontextmanager
async def tunnel_ends(pki: SitePki) -> AsyncIterator[EdgePort]:
    """Connect both ends over loopback."""
    async with edge_port(pki) as port, edge_process(pki, port=port.listener.port):
        await port.client.wait_connected()
        yield port


@contextlib.asynccontextmanager
async def linked_tunnel_ends(
    pki: SitePki, conditions: Mapping[str, float]
) -> AsyncIterator[tuple[EdgePort, SimulatedLink]]:
    """Connect both ends over a simulated link that is the same both ways."""
    async with (
        edge_port(pki) as port,
        simulated_link(port.listener.port, up=dict(conditions), down=dict(conditions)) as link,
        edge_process(pki, port=link.port),
    ):
        await port.client.wait_connected()
        yield port, link


async def call(port: EdgePort, path: str) -> Stream:
    """Open a call without a body."""
    stream = await port.client.open(RequestHead(method="GET", path=path))
    await stream.close_write()
    return stream


async def drain(stream: Stream) -> int:
    """Read a stream to its end and return how many bytes it was."""
    size = 0
    while data := await stream.read():
        size += len(data)
    return size
