"""A site and a real kubelet on the same machine: pods' starts, and what thirty idle ones cost."""

from __future__ import annotations

import asyncio
import json
import math
import time
from typing import TYPE_CHECKING

from benchmarks.figure import Figure
from benchmarks.pod_start import PODS_PATH
from benchmarks.setting import IN, Json, Setting
from devcluster import containerd
from devcluster.cluster import Cluster
from devcluster.layout import CLOUD_NODE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import aiohttp
    import psutil

SERIAL = 20
BURST = 30
BURSTS = 2
IDLE_S = 60
RUNNING_TIMEOUT_S = 120
MB = 1_000_000
KUBELET = "the real kubelet beside it"


def measure(setting: Setting) -> list[Figure]:
    """Return the figures; thirty pods run on each node afterwards.

    The nodes take turns, and so does who is first: who comes second finds caches warm and the
    machine busy with what the first has left to clean up. Nothing of one burst is there in the
    next.
    """
    site, kubelet = setting.site.name, str(CLOUD_NODE)
    serial = asyncio.run(_serial(setting, (kubelet, site)))
    bursts = asyncio.run(_bursts(setting, (kubelet, site)))
    figures = [
        _figure(f"pod created to Running, {SERIAL} serial, p{p}", serial[site], serial[kubelet], p)
        for p in (50, 99)
    ]
    figures += [
        _figure(
            f"pod created to Running, {BURSTS} bursts of {BURST}, p{p}",
            bursts[site],
            bursts[kubelet],
            p,
        )
        for p in (50, 99)
    ]
    return figures + _idle(setting)


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the nearest-rank percentile: the 99th of less than a hundred values is the worst."""
    return sorted(values)[max(0, math.ceil(percent / 100 * len(values)) - 1)]


def _figure(name: str, values: list[float], baselines: list[float], percent: int) -> Figure:
    return Figure(
        name=name,
        value=percentile(values, percent),
        baseline=percentile(baselines, percent),
        unit="s",
        baseline_name=KUBELET,
        spread=f"{min(values):.3g} to {max(values):.3g}",
    )


async def _serial(setting: Setting, nodes: tuple[str, ...]) -> dict[str, list[float]]:
    """Return each node's seconds from POST to Running, the nodes taking turns."""
    took_s: dict[str, list[float]] = {node: [] for node in nodes}
    async with setting.api_session() as session:
        for number in range(SERIAL):
            for node in in_turn(nodes, number):
                name = f"serial-{node}-{number}"
                took_s[node] += await _start(session, [setting.pod(name, node=node)], node)
                await _remove(session, [name])
    return took_s


async def _bursts(setting: Setting, nodes: tuple[str, ...]) -> dict[str, list[float]]:
    """Return the seconds of pods that were created thirty at once; as many more stay, idle."""
    took_s: dict[str, list[float]] = {node: [] for node in nodes}
    async with setting.api_session() as session:
        for number in range(BURSTS):
            for node in in_turn(nodes, number):
                names = [f"burst-{node}-{number}-{pod}" for pod in range(BURST)]
                pods = [setting.pod(name, node=node) for name in names]
                took_s[node] += await _start(session, pods, node)
                await _remove(session, names)
                await _wait_at_rest()
        for node in nodes:
            pods = [setting.pod(f"idle-{node}-{number}", node=node) for number in range(BURST)]
            await _start(session, pods, node)
    return took_s


def in_turn(nodes: tuple[str, ...], number: int) -> tuple[str, ...]:
    """Return the nodes in the order of one turn: the first one of the last turn is the last."""
    first = number % len(nodes)
    return nodes[first:] + nodes[:first]


async def _wait_at_rest() -> None:
    """Wait until no machine has a container left, whatever the API says."""
    machines = Cluster.require().machines
    async with asyncio.timeout(RUNNING_TIMEOUT_S):
        for machine in machines:
            while True:
                found = await asyncio.to_thread(containerd.ctr, machine, "containers", "ls", "-q")
                if not found.strip():
                    break
                await asyncio.sleep(0.2)


async def _start(session: aiohttp.ClientSession, pods: list[Json], node: str) -> list[float]:
    """Create pods together; return the seconds from the first POST until each was Running."""
    waiting = {pod["metadata"]["name"] for pod in pods}
    query = {"watch": "1", "fieldSelector": f"spec.nodeName={node}"}
    took_s = []
    async with asyncio.timeout(RUNNING_TIMEOUT_S), session.get(PODS_PATH, params=query) as watch:
        watch.raise_for_status()
        started = time.perf_counter()
        async with asyncio.TaskGroup() as posts:
            for pod in pods:
                posts.create_task(_create(session, pod))
            while waiting:
                seen = json.loads(await watch.content.readline())["object"]
                name = seen["metadata"]["name"]
                if name in waiting and seen.get("status", {}).get("phase") == "Running":
                    waiting.remove(name)
                    took_s.append(time.perf_counter() - started)
    return took_s


async def _create(session: aiohttp.ClientSession, pod: Json) -> None:
    async with session.post(PODS_PATH, json=pod) as answer:
        answer.raise_for_status()


async def _remove(session: aiohttp.ClientSession, names: list[str]) -> None:
    """Delete pods and wait until they are gone, so that the next start is alone."""
    for name in names:
        async with session.delete(f"{PODS_PATH}/{name}") as answer:
            answer.raise_for_status()
    async with asyncio.timeout(RUNNING_TIMEOUT_S):
        for name in names:
            while True:
                async with session.get(f"{PODS_PATH}/{name}") as answer:
                    if answer.status == 404:
                        break
                await asyncio.sleep(0.1)


def _idle(setting: Setting) -> list[Figure]:
    """Return processor time and memory of both agents while their thirty pods do nothing."""
    setting.kubectl(*IN, "wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s")
    edge, kubelet = setting.process("edge"), setting.process("kubelet_cloud")
    before = [_cpu_s(one) for one in (edge, kubelet)]
    started = time.perf_counter()
    time.sleep(IDLE_S)
    passed_s = time.perf_counter() - started
    spent = [
        (_cpu_s(one) - was) / passed_s * 100
        for one, was in zip((edge, kubelet), before, strict=True)
    ]
    resident = [one.memory_info().rss / MB for one in (edge, kubelet)]
    kinds = (("processor time", spent, "% of a core"), ("resident memory", resident, "MB"))
    return [
        Figure(
            name=f"{kind} of the edge with {BURST} idle pods",
            value=figures[0],
            baseline=figures[1],
            unit=unit,
            baseline_name=KUBELET,
        )
        for kind, figures, unit in kinds
    ]


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
