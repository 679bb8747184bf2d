"""A cluster's going: nothing of it stays but its logs.

Works from names as much as from the state file, so that it also clears what a broken `up` left.
"""

from __future__ import annotations

import contextlib
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from devcluster import cgroups, containerd, mounts, networks, processes
from devcluster.cluster import Cluster, locked
from devcluster.errors import DevclusterError
from devcluster.layout import default_root
from devcluster.processes import run
from devcluster.requirements import require_rights
from devcluster.state import State, load_state
from tunnel.errors import IdentityError
from tunnel.identity import parse_site_name

if TYPE_CHECKING:
    from devcluster.progress import Progress

GRACE_S = 5.0
CGROUP_WAIT_S = 10.0
POLL_S = 0.05


def down(progress: Progress) -> bool:
    """Take the cluster of this folder down; False where there was nothing.

    Raises:
        Unprepared: We are not root.
        DevclusterError: Something stays; the text says what.
    """
    require_rights()
    root = default_root()
    if not root.exists():
        return False
    with locked(root):
        state = load_state(root / "state.json")
        there = state is not None
        # Without a state file the network's number is unknown, and not needed to remove anything.
        cluster = Cluster(root, state or State(network="10.98.0"))
        _find_forgotten_sites(cluster)
        if not there and not cluster.state.sites:
            return False
        _take_down(cluster, progress)
    return True


def _find_forgotten_sites(cluster: Cluster) -> None:
    prefix = f"{cluster.layout.prefix}-"
    names = [p.name for p in cluster.layout.root.glob("sites/*")]
    names += [
        p.name.removeprefix(prefix).removesuffix("-nat")
        for p in networks.NETNS_FOLDER.glob(f"{prefix}*")
        if p.name != cluster.layout.cloud_netns
    ]
    for name in sorted(set(names) - set(cluster.state.sites)):
        with contextlib.suppress(IdentityError):
            cluster.state.sites.append(parse_site_name(name))


def _take_down(cluster: Cluster, progress: Progress) -> None:
    # The kubelet's too, whether the state file tells of one or not.
    machines = [*cluster.sites, cluster.layout.cloud_node]
    with progress.step("edges, kubelet and providers"):
        # Edges and kubelet first: they would start again what we end below.
        names = list(cluster.state.parts)
        for kind in ("edge/", "kubelet/", "provider/"):
            cluster.parts.stop((n for n in names if n.startswith(kind)), grace_s=GRACE_S)
    with progress.step("control plane and containerds"):
        # Nothing of theirs is kept, so nothing is worth a graceful end.
        cluster.parts.stop(names, number=signal.SIGKILL)
    with progress.step("containers"):
        groups = containerd.end_containers(machines)
        groups |= {machine.cgroup_root for machine in machines}
        # A shell that someone left there would keep its namespace alive.
        inside = [pid for n in _namespaces(cluster) for pid in networks.processes_in_netns(n)]
        processes.end_together(inside)
    with progress.step("mounts, networks, cgroups, files"):
        for machine in machines:
            containerd.remove_shared_names(machine)
        mounts.unmount_below([cluster.layout.run, cluster.layout.root])
        for netns in _namespaces(cluster):
            networks.close_netns(netns)
        networks.close_host_link(cluster.layout)
        _remove_cgroups(groups)
        _remove_files(cluster)


def _namespaces(cluster: Cluster) -> list[str]:
    of_sites = [name for site in cluster.sites for name in (site.edge_netns, site.nat_netns)]
    return [*of_sites, cluster.layout.cloud_node.netns, cluster.layout.cloud_netns]


def _remove_cgroups(groups: set[str]) -> None:
    deadline = time.monotonic() + CGROUP_WAIT_S
    # A killed process leaves its cgroup a moment after it has ended.
    while busy := cgroups.remove(groups):
        if time.monotonic() > deadline:
            raise DevclusterError(f"cgroup {busy[0]} stays busy")
        time.sleep(POLL_S)
    for parent in {str(Path(group).parent) for group in groups} - {"/"}:
        # runc's default place for containers without a parent of their own; busy where others use
        # it.
        cgroups.remove([parent])


def _remove_files(cluster: Cluster) -> None:
    layout = cluster.layout
    for folder in (layout.run, layout.root):
        left = mounts.mounts_below(folder)
        if left:
            raise DevclusterError(f"{left[0]} stays mounted: run umount {left[0]}")
    doomed = [layout.run, *(p for p in layout.root.iterdir() if p != layout.logs)]
    run(["rm", "-rf", "--one-file-system", *doomed], timeout_s=120)
    for made in reversed(cluster.state.created_folders):
        with contextlib.suppress(OSError):  # another program uses it by now
            Path(made).rmdir()
