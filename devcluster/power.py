"""A site's machine loses its power, and boots again.

What a loss of power takes: every process, mounts, ``/run`` and all else on tmpfs, network devices
and rules that programs made, cgroups. What it leaves: files on disk, as they were. The site's
router, its link and the rest of the cluster are other machines.
"""

from __future__ import annotations

import functools
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from devcluster import cgroups, containerd, mounts
from devcluster.errors import DevclusterError
from devcluster.parts import Parts
from devcluster.processes import in_netns, run
from devcluster.startup import SERVER_TIMEOUT_S

if TYPE_CHECKING:
    from pathlib import Path

    from devcluster.layout import SiteLayout

CGROUP_WAIT_S = 10.0
POLL_S = 0.05


def lose_power(parts: Parts, site: SiteLayout) -> None:
    """End all that runs on a site's machine at once, and drop all that only memory held.

    Raises:
        DevclusterError: Something outlives it; the text says what.
    """
    names = [Parts.of_machine(kind, site) for kind in ("edge", "containerd")]
    parts.stop(names, number=signal.SIGKILL)
    groups = containerd.end_containers([site]) | {site.cgroup_root}
    containerd.remove_shared_names(site)
    mounts.unmount_below([site.run, *_children(site)])
    _forget_network(site)
    _remove_cgroups(groups)
    shutil.rmtree(site.run, ignore_errors=True)
    if site.run.exists():
        raise DevclusterError(f"{site.run} stays: something uses it still")


def boot(parts: Parts, site: SiteLayout) -> None:
    """Start the machine's containerd and wait until CRI serves; the edge is started apart.

    Raises:
        DevclusterError: It does not come up; with the end of its log.
    """
    name = Parts.of_machine("containerd", site)
    parts.start(name, containerd.command(site, containerd.write_config(site)))
    ready = functools.partial(containerd.serves_cri, site)
    parts.wait_ready(name, ready, timeout_s=SERVER_TIMEOUT_S)


def _children(site: SiteLayout) -> list[Path]:
    # The root itself is a shared mount that `up` made; the machine's boot would make it again.
    return list(site.root.iterdir())


def _forget_network(site: SiteLayout) -> None:
    """Remove the bridge and the rules that the network plugins made."""
    bridge = ["ip", "-n", site.netns, "link", "del", containerd.CNI_BRIDGE]
    # It is there only once a pod was.
    subprocess.run(bridge, capture_output=True, timeout=10, check=False)
    for table in ("nat", "filter"):
        for action in ("-F", "-X"):
            run([*in_netns(site.netns), "iptables", "-w", "5", "-t", table, action])


def _remove_cgroups(groups: set[str]) -> None:
    deadline = time.monotonic() + CGROUP_WAIT_S
    # A killed process leaves its cgroup a moment after it has ended.
    while busy := cgroups.remove(groups):
        if time.monotonic() > deadline:
            raise DevclusterError(f"cgroup {busy[0]} stays busy")
        time.sleep(POLL_S)
