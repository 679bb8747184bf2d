"""Thousands of short calls with random ends, between two processes over real TLS.

    python -m tests.soak.churn --calls 10000

Each call is a download, an upload or an echo; three in ten are broken off: by the edge, by the
provider's RST_STREAM, or by cancelling the task that reads. What both processes hold is taken after
a warm-up and again at the end, and printed as JSON; the exit status says nothing about it.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import json
import random
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop

from tests.fakes.edge_port import SITE, EdgePort, edge_port
from tests.fakes.edge_process import edge_process, open_streams, process_state
from tests.fakes.site_pki import SitePki
from tunnel.errors import StreamReset
from tunnel.protocol import RequestHead

if TYPE_CHECKING:
    from tunnel.stream import Stream

Json = dict[str, Any]
AT_ONCE = 40
MAX_BYTES = 150_000
IDLE_TIMEOUT_S = 20.0
CALL_TIMEOUT_S = 60.0


class Churn:
    """Makes the calls.

    Attributes:
        outcomes: How many calls ended how.
    """

    def __init__(self, port: EdgePort, seed: int) -> None:
        self.outcomes: collections.Counter[str] = collections.Counter()
        self._port = port
        self._chance = random.Random(seed)  # noqa: S311 - reproducible

    async def run(self, calls: int) -> None:
        """Make so many calls, AT_ONCE of them at a time."""
        left = iter(range(calls))

        async def worker() -> None:
            for _ in left:
                async with asyncio.timeout(CALL_TIMEOUT_S):
                    self.outcomes[await self._call()] += 1

        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(worker())

    async def _call(self) -> str:
        size = self._chance.randrange(MAX_BYTES)
        kind = self._chance.choice(("bytes", "sink", "echo"))
        end = self._chance.choices(("complete", "edge", "provider", "cancel"), (7, 1, 1, 1))[0]
        query = f"?size={size}"
        if end == "edge" and kind != "echo":
            query += f"&reset_after={self._chance.randrange(1, MAX_BYTES)}"
        stream = await self._port.client.open(RequestHead(method="GET", path=f"/{kind}{query}"))
        if end in ("provider", "cancel"):
            return await self._break_off(stream, kind, size, how=end)
        received = await _exchange(stream, kind, size)
        if received is None:
            return f"{kind} broken off by the edge"
        expected = len(str(size)) if kind == "sink" else size
        if received != expected:
            # An edge that breaks off what has just been complete has nothing to break off.
            raise AssertionError(f"{kind} of {size} bytes gave {received}")
        return f"{kind} complete"

    async def _break_off(self, stream: Stream, kind: str, size: int, *, how: str) -> str:
        delay_s = self._chance.uniform(0, 0.02)
        async with asyncio.TaskGroup() as tasks:
            exchange = tasks.create_task(_exchange(stream, kind, size))
            await asyncio.wait([exchange], timeout=delay_s)
            if how == "cancel":
                exchange.cancel()
            stream.reset(reason="broken off")
        return f"{kind} broken off by the provider"


async def _exchange(stream: Stream, kind: str, size: int) -> int | None:
    """Send what the kind of call asks for, and return how many bytes came back.

    None when the call was broken off by either end.
    """
    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(_send(stream, 0 if kind == "bytes" else size))
        received = 0
        try:
            while data := await stream.read():
                received += len(data)
        except StreamReset:
            return None
        finally:
            sending.cancel()
    return received


async def _send(stream: Stream, size: int) -> None:
    try:
        await stream.write(bytes(size))
        await stream.close_write()
    except StreamReset:
        return  # the reader says so


async def _state(port: EdgePort) -> Json:
    """Return what both processes hold once all is idle."""
    async with asyncio.timeout(IDLE_TIMEOUT_S):
        edge = await _edge_state(port)
        # The question itself is one stream. The other process tells nobody when it is idle.
        while open_streams(port.metrics) or edge["streams"] > 1:
            await asyncio.sleep(0.05)
            edge = await _edge_state(port)
    return {"provider": {**process_state(), "streams": open_streams(port.metrics)}, "edge": edge}


async def _settled(port: EdgePort, before: Json) -> Json:
    """Return what both processes hold once the provider holds no more than before.

    Its process is the API server's stand-in, too, whose connections stay for a while after a call.
    What has not gone after IDLE_TIMEOUT_S is returned as it is.
    """
    deadline = asyncio.get_running_loop().time() + IDLE_TIMEOUT_S
    while True:
        after = await _state(port)
        held, held_before = after["provider"], before["provider"]
        is_settled = held["tasks"] <= held_before["tasks"] and held["fds"] <= held_before["fds"] + 1
        if is_settled or asyncio.get_running_loop().time() > deadline:
            return after
        await asyncio.sleep(0.5)


async def _edge_state(port: EdgePort) -> Json:
    stream = await port.client.open(RequestHead(method="GET", path="/state"))
    await stream.close_write()
    text = b""
    while data := await stream.read():
        text += data
    decoded: Json = json.loads(text)
    return decoded


async def _run(calls: int, warm_up: int, seed: int) -> Json:
    with tempfile.TemporaryDirectory(prefix="edgelet-churn-") as folder:
        pki = SitePki(Path(folder), site=SITE)
        async with edge_port(pki) as port, edge_process(pki, port=port.listener.port):
            await port.client.wait_connected()
            await Churn(port, seed).run(warm_up)
            before = await _state(port)
            churn = Churn(port, seed + 1)
            await churn.run(calls)
            after = await _settled(port, before)
            sessions = port.metrics.reconnects
    return {
        "before": before,
        "after": after,
        "outcomes": churn.outcomes,
        "reconnects": dict(sessions),
    }


def main() -> None:
    """Parse the command line, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--warm-up", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    report = uvloop.run(_run(arguments.calls, arguments.warm_up, arguments.seed))
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
