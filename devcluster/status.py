"""What runs, for people."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from devcluster import metrics_api
from devcluster.networks import link_state
from devcluster.parts import Parts

if TYPE_CHECKING:
    from devcluster.cluster import Cluster
    from devcluster.state import Process

SERVERS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
_TICKS_PER_S = 100  # USER_HZ, the unit of /proc on every Linux


def wanted_parts(cluster: Cluster) -> list[str]:
    """Return the names of all parts that should run."""
    kinds = ("containerd", "provider", "edge") if cluster.state.edgelet else ("containerd",)
    of_sites = [Parts.of_machine(kind, site) for site in cluster.sites for kind in kinds]
    node = cluster.layout.cloud_node
    of_node = [Parts.of_machine(kind, node) for kind in ("containerd", "kubelet")]
    metrics = [metrics_api.NAME] if cluster.state.metrics_server else []
    return [*SERVERS, *metrics, *of_sites, *(of_node if cluster.state.kubelet else [])]


def is_complete(cluster: Cluster) -> bool:
    """Tell whether every part that should run does."""
    return all(cluster.parts.running(name) for name in wanted_parts(cluster))


def table(cluster: Cluster) -> str:
    """Return a line per part and one per site's link."""
    rows = [("PART", "PID", "UP", "LOG")]
    for name in wanted_parts(cluster):
        process = cluster.parts.running(name)
        pid, age = ("-", "not running") if process is None else (str(process.pid), _age(process))
        rows.append((name, pid, age, str(cluster.parts.log(name))))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = [
        "  ".join([*(row[i].ljust(widths[i]) for i in range(3)), row[3]]).rstrip() for row in rows
    ]
    lines += [f"link {site.name}: {link_state(site)}" for site in cluster.sites]
    return "\n".join([*lines, f"API server: {cluster.layout.server}"])


def _age(process: Process) -> str:
    since_boot_s = float(Path("/proc/uptime").read_text().split()[0])
    age_s = max(0, int(since_boot_s - process.start_ticks / _TICKS_PER_S))
    return time.strftime("%H:%M:%S", time.gmtime(age_s)) if age_s < 86400 else f"{age_s // 86400} d"
