"""Pods in slices of systemd, where systemd runs: containerd and edge are started for it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge_runtime.machine.systemd_slices import is_systemd_running
from tests.e2e.cgroups import IS_UNIFIED, Group
from tests.e2e.pods import container, pod
from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.cluster import Cluster
    from tests.e2e.kubectl import Kubectl

MIB = 1 << 20

pytestmark = pytest.mark.skipif(
    not is_systemd_running(), reason="systemd does not run on this machine"
)


@pytest.fixture(scope="module", autouse=True)
def slices(cluster: Cluster) -> Iterator[None]:
    """The site with systemd's driver while the module's pods are there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEVCLUSTER_CGROUP_DRIVER", "systemd")
        cluster.stop("edge", signal="TERM")
        cluster.restart_containerd()
        yield
    cluster.stop("edge", signal="TERM")
    cluster.restart_containerd()


def slice_path(cluster: Cluster, *parts: str) -> str:
    """Return a slice's path: each name spells all that are above it."""
    root = cluster.environment["DEVCLUSTER_CGROUP_ROOT"].strip("/").split("/")
    names = [part.replace("-", "_") for part in (*root, *parts)]
    return "/".join(f"{'-'.join(names[: depth + 1])}.slice" for depth in range(len(names)))


def test_a_pod_is_a_slice_with_its_limits(cluster: Cluster, kubectl: Kubectl) -> None:
    """Below that of its class; systemd knows the limits, and the slice goes with the pod."""
    limits = {"cpu": "300m", "memory": "64Mi"}
    asked = {"requests": {"cpu": "100m", "memory": "32Mi"}, "limits": limits}
    kubectl.apply(pod("sliced", container(resources=asked), site=cluster.site))
    kubectl.wait("condition=Ready", "pod/sliced")
    uid = kubectl.json("get", "pod", "sliced")["metadata"]["uid"]
    path = slice_path(cluster, "kubepods", "burstable", f"pod{uid}")
    group = Group(path)
    assert (group.cpu_quota_us, group.memory_bytes) == (30_000, 64 * MIB)
    unit = Path(path).name
    assert shown(unit, "MemoryMax" if IS_UNIFIED else "MemoryLimit") == str(64 * MIB)
    scopes = [each.name for each in group.folder("cpu").iterdir() if each.is_dir()]
    assert len([name for name in scopes if name.startswith("cri-containerd-")]) == 2
    kubectl.ok("delete", "pod", "sliced")
    assert not group.exists
    eventually(
        lambda: shown(unit, "ActiveState") == "inactive", what="the slice is gone", timeout_s=10
    )


def shown(unit: str, name: str) -> str:
    """Return a property of a unit of systemd."""
    command = ["systemctl", "show", "--value", "--property", name, unit]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    return done.stdout.strip()
