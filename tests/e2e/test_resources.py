"""What pods are confined to, as the machine's kernel shows it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cgroups import IS_UNIFIED, class_group, pod_group
from tests.e2e.cluster import edge_configured
from tests.e2e.pods import container, pod
from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.cgroups import Group
    from tests.e2e.cluster import Cluster
    from tests.e2e.kubectl import Kubectl
    from tests.e2e.pods import Json

MIB = 1 << 20
# Version 2's weights are coarser: what was asked for comes back within this.
TOLERANCE = 30 if IS_UNIFIED else 0


def resources(
    *, requests: dict[str, str] | None = None, limits: dict[str, str] | None = None
) -> Json:
    """Return a container's resources."""
    return {"requests": requests or {}, "limits": limits or {}}


def run(kubectl: Kubectl, cluster: Cluster, name: str, *containers: Json, **fields: object) -> Json:
    """Run a pod and return it once it is ready."""
    kubectl.apply(pod(name, *containers, site=cluster.site, **fields))
    kubectl.wait("condition=Ready", f"pod/{name}")
    return kubectl.json("get", "pod", name)


def about(expected: int) -> object:
    """Return what equals a weight within what its conversion loses."""
    return pytest.approx(expected, abs=TOLERANCE)


def limits_of(group: Group) -> set[tuple[int | None, int | None]]:
    """Return quota and memory of the groups in a pod's."""
    return {(each.cpu_quota_us, each.memory_bytes) for each in group.inner}


def test_a_pods_group_holds_its_containers_together(kubectl: Kubectl, cluster: Cluster) -> None:
    """Sums of requests and limits, and each container's own; all gone with the pod."""
    found = run(
        kubectl,
        cluster,
        "sums",
        container(
            "a",
            resources=resources(
                requests={"cpu": "100m", "memory": "16Mi"},
                limits={"cpu": "200m", "memory": "32Mi"},
            ),
        ),
        container("b", resources=resources(limits={"cpu": "300m", "memory": "64Mi"})),
    )
    assert found["status"]["qosClass"] == "Burstable"
    group = pod_group(cluster, found)
    assert group.cpu_shares == about(409)
    assert (group.cpu_quota_us, group.memory_bytes) == (50_000, 96 * MIB)
    assert {(20_000, 32 * MIB), (30_000, 64 * MIB)} <= limits_of(group)
    kubectl.ok("delete", "pod", "sums", "--wait=true")
    assert not group.exists


def test_sidecars_and_init_containers_count(kubectl: Kubectl, cluster: Cluster) -> None:
    """An init container runs beside the sidecars before it, and before the regular ones."""
    asks = {
        name: resources(requests={"cpu": cpu})
        for name, cpu in {"sidecar": "100m", "init": "300m", "main": "50m"}.items()
    }
    found = run(
        kubectl,
        cluster,
        "init",
        container(resources=asks["main"]),
        initContainers=[
            container("sidecar", resources=asks["sidecar"], restartPolicy="Always"),
            container("init", script="true", resources=asks["init"]),
        ],
    )
    assert pod_group(cluster, found).cpu_shares == about(409)


def test_one_container_without_a_limit_leaves_the_pod_without(
    kubectl: Kubectl, cluster: Cluster
) -> None:
    """It may use all that is left."""
    found = run(
        kubectl,
        cluster,
        "unlimited",
        container("a", resources=resources(limits={"cpu": "100m", "memory": "32Mi"})),
        container("b"),
    )
    group = pod_group(cluster, found)
    assert (group.cpu_quota_us, group.memory_bytes) == (None, None)


def test_a_pods_own_resources(kubectl: Kubectl, cluster: Cluster) -> None:
    """They limit the pod, and each container that has no limit of its own."""
    found = run(
        kubectl,
        cluster,
        "own",
        container("a"),
        container("b", resources=resources(limits={"memory": "16Mi"})),
        resources={
            "requests": {"cpu": "200m", "memory": "64Mi"},
            "limits": {"cpu": "500m", "memory": "64Mi"},
        },
    )
    group = pod_group(cluster, found)
    assert group.cpu_shares == about(204)
    assert (group.cpu_quota_us, group.memory_bytes) == (50_000, 64 * MIB)
    assert {(50_000, 64 * MIB), (50_000, 16 * MIB)} <= limits_of(group)


def test_classes_weigh_what_their_pods_ask_for(kubectl: Kubectl, cluster: Cluster) -> None:
    """Burstable ones together their requests, BestEffort ones least; as pods come and go."""
    burstable = class_group(cluster, "Burstable")
    before = burstable.cpu_shares
    found = run(kubectl, cluster, "heavy", container(resources=resources(requests={"cpu": "500m"})))
    assert pod_group(cluster, found).cpu_shares == about(512)
    eventually(
        lambda: burstable.cpu_shares >= before + 512 - TOLERANCE - 2,
        what="Burstable pods weigh what the new one asks for too",
        timeout_s=10,
    )
    kubectl.ok("delete", "pod", "heavy", "--wait=true")
    eventually(
        lambda: burstable.cpu_shares <= before,
        what="Burstable pods weigh what they did before",
        timeout_s=10,
    )
    assert class_group(cluster, "BestEffort").cpu_shares == 2


def test_a_guaranteed_pod_is_beside_the_classes(kubectl: Kubectl, cluster: Cluster) -> None:
    """With its limits; it is killed last where the machine lets it."""
    both = {"cpu": "100m", "memory": "32Mi"}
    found = run(
        kubectl, cluster, "guaranteed", container(resources=resources(requests=both, limits=both))
    )
    assert found["status"]["qosClass"] == "Guaranteed"
    group = pod_group(cluster, found)
    assert group.cpu_shares == about(102)
    assert (group.cpu_quota_us, group.memory_bytes) == (10_000, 32 * MIB)
    assert group.pids is None
    least = lowest_score(cluster)
    assert score(kubectl, "guaranteed") == max(-997, least)
    if least > -997:
        events = kubectl.within("default").json("get", "events")["items"]
        told = [
            each["involvedObject"]["name"]
            for each in events
            if each["reason"] == "OOMScoreAdjForbidden"
        ]
        assert cluster.site in told


def test_the_kernels_choice_of_a_victim(kubectl: Kubectl, cluster: Cluster) -> None:
    """Who asked for nothing goes first."""
    run(kubectl, cluster, "besteffort")
    assert score(kubectl, "besteffort") == 1000
    run(kubectl, cluster, "little", container(resources=resources(requests={"memory": "1Mi"})))
    assert score(kubectl, "little") == 999


def test_memory_that_runs_out_is_said(kubectl: Kubectl, cluster: Cluster) -> None:
    """OOMKilled, with the status of a SIGKILL."""
    hungry = container(
        script="tail /dev/zero", resources=resources(limits={"memory": "16Mi", "cpu": "500m"})
    )
    kubectl.apply(pod("hungry", hungry, site=cluster.site, restartPolicy="Never"))
    kubectl.wait("jsonpath={.status.phase}=Failed", "pod/hungry")
    [status] = kubectl.json("get", "pod", "hungry")["status"]["containerStatuses"]
    ended = status["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)


@pytest.mark.skipif(not IS_UNIFIED, reason="this machine has control groups of version 1")
def test_memory_that_runs_out_ends_the_whole_container(kubectl: Kubectl, cluster: Cluster) -> None:
    """On version 2, as under a kubelet: not only the process that took the last of it."""
    parent = "tail /dev/zero; echo outlived; while :; do sleep 3600 & wait $!; done"
    hungry = container(script=parent, resources=resources(limits={"memory": "16Mi"}))
    kubectl.apply(pod("all-of-it", hungry, site=cluster.site, restartPolicy="Never"))
    kubectl.wait("jsonpath={.status.phase}=Failed", "pod/all-of-it")
    [status] = kubectl.json("get", "pod", "all-of-it")["status"]["containerStatuses"]
    assert status["state"]["terminated"]["reason"] == "OOMKilled"
    assert "outlived" not in kubectl.ok("logs", "all-of-it")


def test_a_pod_has_so_many_processes_and_no_more(kubectl: Kubectl, cluster: Cluster) -> None:
    """With podPidsLimit, in all its containers together; the rest of the machine has its own."""
    forks = (
        "i=0; while [ $i -lt 100 ]; do sleep 60 >/dev/null 2>&1 & i=$((i + 1)); done; echo made all"
    )
    with edge_configured(cluster, {"podPidsLimit": 64}):
        found = run(kubectl, cluster, "few", container(), container("other"))
        assert pod_group(cluster, found).pids == 64
        refused = kubectl.run("exec", "few", "-c", "other", "--", "sh", "-c", forks)
        kubectl.ok("delete", "pod", "few", "--now")
    assert "can't fork: Resource temporarily unavailable" in refused.error
    assert "made all" not in refused.text


def test_a_runtime_class_adds_its_overhead(kubectl: Kubectl, cluster: Cluster) -> None:
    """Its handler is the machine's; the pod's group has room for what it costs."""
    runtime_class = {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": "e2e-overhead"},
        "handler": "runc",
        "overhead": {"podFixed": {"cpu": "100m", "memory": "16Mi"}},
    }
    kubectl.apply(runtime_class)
    try:
        both = {"cpu": "100m", "memory": "32Mi"}
        found = run(
            kubectl,
            cluster,
            "overhead",
            container(resources=resources(requests=both, limits=both)),
            runtimeClassName="e2e-overhead",
        )
        group = pod_group(cluster, found)
        assert group.cpu_shares == about(204)
        assert (group.cpu_quota_us, group.memory_bytes) == (20_000, 48 * MIB)
    finally:
        kubectl.ok("delete", "runtimeclass", "e2e-overhead")


def test_a_handler_that_the_machine_lacks_is_said(kubectl: Kubectl, cluster: Cluster) -> None:
    """In the runtime's words, as an event of the pod."""
    runtime_class = {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": "e2e-none"},
        "handler": "not-there",
    }
    kubectl.apply(runtime_class)
    try:
        kubectl.apply(pod("handler", site=cluster.site, runtimeClassName="e2e-none"))
        eventually(
            lambda: 'no runtime for "not-there" is configured' in messages(kubectl, "handler"),
            what="an event says that the runtime has no such handler",
            timeout_s=30,
        )
        kubectl.ok("delete", "pod", "handler", "--wait=true")
    finally:
        kubectl.ok("delete", "runtimeclass", "e2e-none")


def test_large_pages(kubectl: Kubectl, cluster: Cluster) -> None:
    """A pod gets the large pages that it asks for, and no more."""
    pages = cluster.node()["status"]["allocatable"].get("hugepages-2Mi", "0")
    if pages in ("0", ""):
        pytest.skip("this machine has set no large pages aside")
    both = {"hugepages-2Mi": "2Mi", "memory": "32Mi", "cpu": "100m"}
    found = run(
        kubectl, cluster, "pages", container(resources=resources(requests=both, limits=both))
    )
    name = "hugetlb.2MB.max" if IS_UNIFIED else "hugetlb.2MB.limit_in_bytes"
    assert int((pod_group(cluster, found).folder("hugetlb") / name).read_text()) == 2 * MIB


def messages(kubectl: Kubectl, name: str) -> str:
    """Return what a pod's events say."""
    events = kubectl.json("get", "events", f"--field-selector=involvedObject.name={name}")
    return "\n".join(each["message"] for each in events["items"])


def score(kubectl: Kubectl, name: str) -> int:
    """Return the score of a pod's container."""
    return int(kubectl.ok("exec", name, "--", "cat", "/proc/1/oom_score_adj"))


def lowest_score(cluster: Cluster) -> int:
    """Return the lowest score that the machine lets the edge give."""
    edge = Path("/proc", cluster.environment["DEVCLUSTER_EDGE_PID"], "oom_score_adj")
    own = int(edge.read_text())
    return -1000 if own == -999 else own
