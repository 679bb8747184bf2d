"""A link simulator's handle: starts the process, sends it commands."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Json = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]
ANSWER_TIMEOUT_S = 20.0
MBIT_BYTES_PER_S = 125_000.0


class SimulatedLink:
    """A running link simulator.

    Attributes:
        port: Where to dial instead of the target, on 127.0.0.1.
    """

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.port = port
        self._process = process
        self._count = 0

    async def do(self, verb: str, **arguments: object) -> Json:
        """Give one command (see tests/fakes/link_simulator.py) and return its answer."""
        answer = self.schedule(verb, **arguments)
        while True:
            found = await self.answer()
            if found["id"] == answer:
                return found

    def schedule(self, verb: str, **arguments: object) -> int:
        """Give one command, with ``at`` for a later time, and return its id."""
        assert self._process.stdin is not None
        self._count += 1
        command = {"do": verb, "id": self._count, **arguments}
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        return self._count

    async def answer(self) -> Json:
        """Return the next answer."""
        assert self._process.stdout is not None
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            line = await self._process.stdout.readline()
        assert line, "the link simulator has ended"
        answer: Json = json.loads(line)
        return answer


@contextlib.asynccontextmanager
async def simulated_link(
    port: int, *, up: Json | None = None, down: Json | None = None
) -> AsyncIterator[SimulatedLink]:
    """Run a link to a port on 127.0.0.1 until the block is left.

    Args:
        port: Of the target.
        up: Conditions from who dials to the target: ``delay_s``, ``jitter_s``,
            ``rate_bytes_per_s``.
        down: Conditions of the way back.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.fakes.link_simulator", "--target", f"127.0.0.1:{port}"),
        *("--up", json.dumps(up or {}), "--down", json.dumps(down or {})),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            first = await process.stdout.readline()
        yield SimulatedLink(process, json.loads(first)["port"])
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
