"""Must show 2: a machine behind NAT is an ordinary Node."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.cluster import Cluster


def test_get_nodes_lists_the_site_as_ready(cluster: Cluster) -> None:
    """`kubectl get nodes` shows name, Ready, both roles and the Kubernetes version."""
    lines = cluster.kubectl.ok("get", "nodes", "--no-headers").splitlines()
    rows = {line.split()[0]: line.split() for line in lines}
    _name, status, roles, _age, version = rows[cluster.site]
    assert status == "Ready"
    assert set(roles.split(",")) == {"agent", "edge"}
    server = cluster.kubectl.json("version")["serverVersion"]["gitVersion"]
    assert version.split(".")[:2] == server.split(".")[:2]


def test_describe_shows_what_was_measured_on_the_edge(cluster: Cluster) -> None:
    """`kubectl describe node` has capacity, conditions, taint, containerd's version, the Lease."""
    text = cluster.kubectl.ok("describe", "node", cluster.site)
    for expected in (
        "Capacity:",
        "Allocatable:",
        "MemoryPressure",
        "DiskPressure",
        "PIDPressure",
        "KubeletReady",
        f"edgelet.dev/site={cluster.site}:NoSchedule",
        "Container Runtime Version:  containerd://",
        f"HolderIdentity:  {cluster.site}",
    ):
        assert expected in text, text


def test_capacity_and_node_info_are_the_machines_own(cluster: Cluster) -> None:
    """CPU, memory and kernel are those of the machine, which here is the one under the test."""
    status = cluster.node()["status"]
    info = status["nodeInfo"]
    with open("/proc/sys/kernel/osrelease", encoding="utf-8") as file:
        assert info["kernelVersion"] == file.read().strip()
    with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
        assert info["bootID"] == file.read().strip()
    with open("/proc/meminfo", encoding="utf-8") as file:
        total_kib = int(file.readline().split()[1])
    assert status["capacity"]["memory"] == f"{total_kib}Ki"
    assert int(status["capacity"]["pods"]) == 110
    assert int(status["capacity"]["cpu"]) >= 1
    containerd = cluster.ctr("version").split("Server:")[1]
    version = info["containerRuntimeVersion"].removeprefix("containerd://")
    assert version.lstrip("v") in containerd


def test_conditions_stand_in_the_kubelets_order(cluster: Cluster) -> None:
    """The kubelet's four conditions in its order, Ready last of them."""
    kinds = [c["type"] for c in cluster.node()["status"]["conditions"]]
    kubelets = ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"]
    assert [kind for kind in kinds if kind in kubelets] == kubelets


def test_the_only_address_is_internal(cluster: Cluster) -> None:
    """Any other address type would be tried first by the API server and fail."""
    addresses = cluster.node()["status"]["addresses"]
    assert [address["type"] for address in addresses] == ["InternalIP"]


def test_the_node_is_tied_to_its_site(cluster: Cluster) -> None:
    """A providerID keeps a cloud's node controller from deleting a Node that it does not know."""
    assert cluster.node()["spec"]["providerID"] == f"edgelet://{cluster.site}"


def test_the_lease_is_renewed(cluster: Cluster) -> None:
    """The Lease belongs to the Node and its renewTime moves on every 10 s."""

    def renewed_at() -> datetime:
        lease = cluster.kubectl.json("get", "lease", cluster.site, "--namespace", "kube-node-lease")
        assert lease["spec"]["holderIdentity"] == cluster.site
        assert lease["spec"]["leaseDurationSeconds"] == 40
        owner = lease["metadata"]["ownerReferences"][0]
        assert (owner["kind"], owner["name"]) == ("Node", cluster.site)
        return datetime.fromisoformat(lease["spec"]["renewTime"])

    first = renewed_at()
    assert (datetime.now(UTC) - first).total_seconds() < 40
    eventually(lambda: renewed_at() > first, what="the Lease is renewed", timeout_s=15, every_s=1)
