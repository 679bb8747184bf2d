"""A machine joins: from `edgelet join` to a Node that is Ready.

The Node is deleted before each time, so that Ready means this machine's.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from benchmarks.figure import Figure, median_figure
from benchmarks.setting import WATCH_TIMEOUT_S, devcluster
from devcluster import sites
from devcluster.layout import EDGE_PORT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiohttp

    from benchmarks.setting import Json, Setting

TIMES = 10
NODES_PATH = "/api/v1/nodes"


def measure(setting: Setting) -> Figure:
    """Join ten times, and start as often without joining; the site must have no pods."""
    devcluster("stop", "edge", setting.site.name)
    try:
        joined_s, started_s = asyncio.run(_measure(setting))
    finally:
        devcluster("start", "edge", setting.site.name)
    return median_figure(
        f"edgelet join to Node Ready, {TIMES} times, p50",
        joined_s,
        started_s,
        unit="s",
        baseline_name="edgelet run to Node Ready on a machine that joined before",
    )


async def _measure(setting: Setting) -> tuple[list[float], list[float]]:
    joined_s, started_s = [], []
    for _ in range(TIMES):
        replace = sites.provider_command(setting.site, "site", "replace")
        token = await asyncio.to_thread(_output, replace)
        joined_s.append(await _ready_s(setting, token=token))
        started_s.append(await _ready_s(setting, token=None))
    return joined_s, started_s


async def _ready_s(setting: Setting, *, token: str | None) -> float:
    """Return the seconds until the Node is Ready, with a join first if there is a token."""
    await asyncio.to_thread(
        setting.kubectl, "delete", "node", setting.site.name, "--ignore-not-found", "--wait=true"
    )
    async with setting.api_session() as session:
        started = time.perf_counter()
        if token is not None:
            server = f"{setting.site.provider_address}:{EDGE_PORT}"
            join = ("join", "--force", "--server", server, "--token-file", "-")
            command = sites.edge_command(setting.site, *join)
            await asyncio.to_thread(_output, command, stdin=token)
        async with _running_edge(setting):
            await _wait_ready(session, setting.site.name)
            return time.perf_counter() - started


@asynccontextmanager
async def _running_edge(setting: Setting) -> AsyncIterator[None]:
    edge = await asyncio.create_subprocess_exec(
        *sites.edge_command(setting.site),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        edge.terminate()
        await edge.wait()


async def _wait_ready(session: aiohttp.ClientSession, name: str) -> None:
    query = {"watch": "1", "fieldSelector": f"metadata.name={name}"}
    async with session.get(NODES_PATH, params=query) as watch:
        watch.raise_for_status()
        async for line in watch.content:
            event = json.loads(line)
            if event["type"] != "DELETED" and _is_ready(event["object"]):
                return
    raise TimeoutError(f"the Node was not Ready within {WATCH_TIMEOUT_S} s")


def _is_ready(node: Json) -> bool:
    conditions = node.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _output(command: list[str], *, stdin: str = "") -> str:
    done = subprocess.run(
        command, input=stdin, stdout=subprocess.PIPE, text=True, timeout=60, check=True
    )
    return done.stdout
