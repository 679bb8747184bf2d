"""What a shell needs to use a cluster."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devcluster.cluster import Cluster
    from devcluster.layout import SiteLayout


def variables(cluster: Cluster, site: SiteLayout, *, path: str) -> dict[str, str]:
    """Return the variables, with one site's parts under names without a site.

    Args:
        cluster: Whose.
        site: The site that ``DEVCLUSTER_SITE`` and the other names without a site mean.
        path: The search path to put the cluster's programs in front of.
    """
    layout = cluster.layout
    found = {
        "KUBECONFIG": str(layout.kubeconfig),
        "DEVCLUSTER_DIR": str(layout.root),
        "DEVCLUSTER_SITES": " ".join(cluster.state.sites),
        "DEVCLUSTER_SITE": site.name,
        "DEVCLUSTER_CLOUD_NETNS": layout.cloud_netns,
        "DEVCLUSTER_EDGE_NETNS": site.edge_netns,
        "DEVCLUSTER_NAT_NETNS": site.nat_netns,
        "DEVCLUSTER_API_ADDRESS": layout.api_address,
        "DEVCLUSTER_PROVIDER_ADDRESS": site.provider_address,
        "DEVCLUSTER_SITE_ROOT": str(site.root),
        "DEVCLUSTER_CONTAINERD_ADDRESS": str(site.containerd_socket),
        "DEVCLUSTER_CGROUP_ROOT": site.cgroup_root,
    }
    for name in cluster.state.parts:
        process = cluster.parts.running(name)
        if process is not None:
            kind, _, of_site = name.partition("/")
            found[_pid_variable(kind, of_site)] = str(process.pid)
            if of_site == site.name:
                found[_pid_variable(kind)] = str(process.pid)
    found["PATH"] = os.pathsep.join([str(layout.bin), *_without(path, str(layout.bin))])
    return found


def exports(values: Mapping[str, str]) -> str:
    """Return lines for a POSIX shell's ``eval``."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())


def _pid_variable(*words: str) -> str:
    text = "_".join(word for word in words if word)
    return f"DEVCLUSTER_{text.upper().replace('-', '_')}_PID"


def _without(path: str, folder: str) -> list[str]:
    return [part for part in path.split(os.pathsep) if part != folder]
