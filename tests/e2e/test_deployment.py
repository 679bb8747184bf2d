"""Must show 3: a Deployment comes up with addresses of its own, and leaves nothing behind."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.e2e.pods import container, deployment, pod
from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.cluster import Cluster
    from tests.e2e.kubectl import Kubectl

Json = dict[str, Any]
REPLICAS = 3


def pods_of(kubectl: Kubectl, app: str) -> list[Json]:
    """Return the pods with a label app=APP."""
    items: list[Json] = kubectl.json("get", "pods", "-l", f"app={app}")["items"]
    return items


def cni_namespaces() -> set[str]:
    """Return the network namespaces that the runtime made for sandboxes."""
    return {path.name for path in Path("/run/netns").glob("cni-*")}


def test_three_replicas_run_and_scaling_to_none_leaves_nothing(
    cluster: Cluster, kubectl: Kubectl
) -> None:
    """Three different pod IPs on the site's node; then nothing in containerd and in the IPAM."""
    namespaces_before = cni_namespaces()
    kubectl.apply(deployment("web", site=cluster.site, replicas=REPLICAS))
    kubectl.ok("rollout", "status", "deployment/web", "--timeout=60s", timeout_s=75)
    pods = pods_of(kubectl, "web")
    addresses = {p["status"]["podIP"] for p in pods}
    assert len(addresses) == REPLICAS
    assert all(ipaddress.ip_address(address).is_private for address in addresses)
    assert addresses <= cluster.allocated_addresses()
    containers = cluster.container_ids(kubectl.namespace)
    assert len(containers) == 2 * REPLICAS, "a sandbox and a container for each pod"
    assert containers <= cluster.task_ids()
    reported = {p["status"]["containerStatuses"][0]["containerID"] for p in pods}
    assert reported <= {f"containerd://{i}" for i in containers}

    kubectl.ok("scale", "deployment/web", "--replicas=0")
    eventually(
        lambda: not pods_of(kubectl, "web"), what="the API server has no pod left", timeout_s=60
    )
    assert cluster.container_ids(kubectl.namespace) == set()
    assert not containers & cluster.task_ids()
    assert not addresses & cluster.allocated_addresses()
    assert cni_namespaces() <= namespaces_before


def test_get_pods_names_the_node_and_the_pods_are_ready(cluster: Cluster, kubectl: Kubectl) -> None:
    """`kubectl get pods -o wide` has 1/1, Running, the pod's address and the site's node."""
    kubectl.apply(deployment("wide", site=cluster.site, replicas=1))
    kubectl.ok("rollout", "status", "deployment/wide", "--timeout=60s", timeout_s=75)
    line = kubectl.ok("get", "pods", "-l", "app=wide", "-o", "wide", "--no-headers")
    _name, ready, status, restarts, _age, address, node = line.split()[:7]
    assert (ready, status, restarts, node) == ("1/1", "Running", "0", cluster.site)
    assert ipaddress.ip_address(address)


def test_a_running_pods_status_is_a_kubelets(cluster: Cluster, kubectl: Kubectl) -> None:
    """Phase, conditions, addresses, QoS class and container state are filled as a kubelet does."""
    kubectl.apply(pod("status", site=cluster.site))
    kubectl.wait("condition=Ready", "pod/status")
    status = kubectl.json("get", "pod", "status")["status"]
    assert status["phase"] == "Running"
    assert status["qosClass"] == "BestEffort"
    assert status["podIPs"] == [{"ip": status["podIP"]}]
    assert status["hostIP"]
    assert status["startTime"]
    conditions = {c["type"]: c["status"] for c in status["conditions"]}
    assert conditions == {
        "PodReadyToStartContainers": "True",
        "Initialized": "True",
        "Ready": "True",
        "ContainersReady": "True",
        "PodScheduled": "True",
    }
    (main,) = status["containerStatuses"]
    assert main["ready"] is True
    assert main["started"] is True
    assert main["restartCount"] == 0
    assert main["containerID"].startswith("containerd://")
    assert "startedAt" in main["state"]["running"]


def test_a_pod_that_ends_well_has_succeeded(cluster: Cluster, kubectl: Kubectl) -> None:
    """Policy Never and exit status 0: Succeeded, with reason Completed."""
    kubectl.apply(
        pod("done", container(script="exit 0"), site=cluster.site, restartPolicy="Never"),
        pod("failed", container(script="exit 7"), site=cluster.site, restartPolicy="Never"),
    )
    kubectl.wait("jsonpath={.status.phase}=Succeeded", "pod/done")
    kubectl.wait("jsonpath={.status.phase}=Failed", "pod/failed")
    for name, code, reason in (("done", 0, "Completed"), ("failed", 7, "Error")):
        (main,) = kubectl.json("get", "pod", name)["status"]["containerStatuses"]
        terminated = main["state"]["terminated"]
        assert (terminated["exitCode"], terminated["reason"]) == (code, reason)


def test_a_deleted_pod_gets_its_grace_period(cluster: Cluster, kubectl: Kubectl) -> None:
    """A pod that takes two seconds to stop is given them, and its object goes only then."""
    script = "trap 'echo stopping; sleep 2; echo stopped; exit 0' TERM; while :; do sleep 0.1; done"
    kubectl.apply(
        pod(
            "graceful",
            container(script=script),
            site=cluster.site,
            restartPolicy="Never",
            terminationGracePeriodSeconds=20,
        )
    )
    kubectl.wait("condition=Ready", "pod/graceful")
    with kubectl.running("logs", "-f", "graceful") as logs:
        kubectl.ok("delete", "pod", "graceful", "--wait=false")
        logs.line(containing="stopping")
        logs.line(containing="stopped")
    kubectl.wait("delete", "pod/graceful", timeout_s=20)
    assert cluster.container_ids(kubectl.namespace) == _containers_in_api(kubectl, cluster)


def _containers_in_api(kubectl: Kubectl, cluster: Cluster) -> set[str]:
    """Return the containers and sandboxes that pods of the namespace still account for."""
    names = {p["metadata"]["name"] for p in kubectl.json("get", "pods")["items"]}
    found: set[str] = set()
    for name in names:
        selector = (
            f'labels."io.kubernetes.pod.namespace"=={kubectl.namespace},'
            f'labels."io.kubernetes.pod.name"=={name}'
        )
        found |= set(cluster.ctr("containers", "ls", "-q", selector).split())
    return found
