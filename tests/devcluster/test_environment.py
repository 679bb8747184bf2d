"""Shell exports."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from devcluster.cluster import Cluster
from devcluster.environment import exports, variables
from devcluster.state import State

if TYPE_CHECKING:
    from pathlib import Path


def test_exports_survive_a_shell() -> None:
    """Blanks and quotes arrive as they are."""
    text = exports({"A": "it's a b", "B": "$HOME"})
    done = subprocess.run(
        ["sh", "-c", f'{text}printf \'%s|%s\' "$A" "$B"'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "it's a b|$HOME"


def test_pids_of_the_chosen_site_have_short_names(tmp_path: Path) -> None:
    """Other sites' parts have the site in the name; parts that have ended have none."""
    cluster = Cluster(tmp_path, State(network="10.98.0", sites=["site-a", "site-b"]))
    for name in ("kube-apiserver", "edge/site-a", "edge/site-b", "provider/site-b"):
        cluster.parts.start(name, ["sleep", "60"])
    cluster.parts.stop(["provider/site-b"])
    found = variables(cluster, cluster.site("site-b"), path=f"/usr/bin:{tmp_path}/bin")
    pids = {name: process.pid for name, process in cluster.state.parts.items()}
    assert found["DEVCLUSTER_SITE"] == "site-b"
    assert found["DEVCLUSTER_KUBE_APISERVER_PID"] == str(pids["kube-apiserver"])
    assert found["DEVCLUSTER_EDGE_SITE_A_PID"] == str(pids["edge/site-a"])
    assert found["DEVCLUSTER_EDGE_PID"] == str(pids["edge/site-b"])
    assert "DEVCLUSTER_PROVIDER_PID" not in found
    assert found["PATH"] == f"{tmp_path}/bin:/usr/bin"
    cluster.parts.stop(list(cluster.state.parts))
