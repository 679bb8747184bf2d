"""Figures of a machine with one pod."""

from __future__ import annotations

from edge_runtime.objects.container import ContainerID
from edge_runtime.objects.node_stats import (
    ContainerFigures,
    GroupStats,
    NodeStats,
    PodFigures,
)
from edge_runtime.objects.pod import PodUID, SandboxID
from edge_runtime.objects.runtime_stats import CpuUsage, MemoryUsage, SwapUsage

S = 1_000_000_000
# 2026-01-02T03:04:05Z
NOW_NS = 1_767_323_045 * S


def use(*, cpu_ns: int = 2 * S, memory_bytes: int = 4096, rate: int | None = None) -> GroupStats:
    """Return what a group uses."""
    return GroupStats(
        cpu=CpuUsage(timestamp_ns=NOW_NS, usage_core_ns=cpu_ns, usage_nano_cores=rate),
        memory=MemoryUsage(timestamp_ns=NOW_NS, working_set_bytes=memory_bytes, usage_bytes=8192),
        swap=SwapUsage(timestamp_ns=NOW_NS, usage_bytes=0, available_bytes=100),
    )


def container(name: str = "c", use_of_it: GroupStats | None = None) -> ContainerFigures:
    """Return a running container's figures."""
    return ContainerFigures(
        id=ContainerID(f"id-{name}"),
        name=name,
        created_at_ns=NOW_NS - 60 * S - S // 2,
        group=f"/kubepods/podu/id-{name}",
        image="busybox:1",
        use=use() if use_of_it is None else use_of_it,
    )


def pod(*containers: ContainerFigures, name: str = "p") -> PodFigures:
    """Return a pod's figures."""
    return PodFigures(
        uid=PodUID(f"u-{name}"),
        name=name,
        namespace="n",
        created_at_ns=NOW_NS - 61 * S,
        group="/kubepods/podu",
        sandbox_id=SandboxID("s"),
        sandbox_group="/kubepods/podu/s",
        containers=containers or (container(),),
        use=use(rate=200_000_000),
    )


def node(*pods: PodFigures) -> NodeStats:
    """Return the machine's figures."""
    return NodeStats(
        node_name="site-a", started_at_ns=NOW_NS - 3600 * S, use=use(cpu_ns=90 * S), pods=pods
    )
