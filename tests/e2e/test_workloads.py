"""Must show 3: controllers' pods complete on a site, and kubectl tells what it tells of a kubelet.

All workloads are made at once; each test waits for its own.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.pods import container, deployment, pod, pod_spec
from tests.e2e.told import becomes
from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.cluster import Cluster
    from tests.e2e.kubectl import Kubectl

Json = dict[str, Any]
QUICK_READY = {"exec": {"command": ["test", "-e", "/tmp/r"]}, "periodSeconds": 1}
LATER = "(sleep 1; touch /tmp/r) & trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done"


def template(name: str, *containers: Json, site: str, **fields: Any) -> Json:  # noqa: ANN401
    """Return a pod template with the label app=NAME."""
    spec = pod_spec(*containers, site=site, **fields)
    return {"metadata": {"labels": {"app": name}}, "spec": spec}


def workload(kind: str, name: str, api: str, spec: Json) -> Json:
    """Return an object of a workload API."""
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": spec}


def workloads(site: str) -> list[Json]:
    """Return one of each kind."""
    selector = {"matchLabels": {"app": "ordered"}}
    slow = container(script=LATER, readinessProbe=QUICK_READY)
    daemon = template("daemon", site=site)
    # Everywhere that it may run: the site's taint is all that it tolerates.
    del daemon["spec"]["nodeSelector"]
    work = container(script='echo "part $JOB_COMPLETION_INDEX"')
    once: Json = {"restartPolicy": "Never"}
    return [
        workload("Job", "sums", "batch/v1", {
            "completions": 3, "parallelism": 2,
            "template": template("sums", work, site=site, **once)}),
        workload("Job", "stubborn", "batch/v1", {
            "backoffLimit": 1,
            "template": template("stubborn", container(script="exit 5"), site=site, **once)}),
        workload("StatefulSet", "ordered", "apps/v1", {
            "serviceName": "ordered", "replicas": 3, "selector": selector,
            "template": template("ordered", slow, site=site)}),
        workload("DaemonSet", "daemon", "apps/v1", {
            "selector": {"matchLabels": {"app": "daemon"}}, "template": daemon}),
        workload("CronJob", "minutely", "batch/v1", {
            "schedule": "* * * * *",
            "jobTemplate": {"spec": {"template": template(
                "minutely", container(script="echo tick"), site=site, **once)}}}),
        rolling(site, "one"),
        pod("shown", container(script="exit 4"), site=site),
    ]  # fmt: skip


def rolling(site: str, version: str) -> Json:
    """Return a Deployment that never has fewer than three ready pods."""
    main = container(script=LATER, readinessProbe=QUICK_READY,
                     env=[{"name": "VERSION", "value": version}])  # fmt: skip
    made = deployment("rolling", main, site=site, replicas=3)
    limits = {"maxUnavailable": 0, "maxSurge": 1}
    made["spec"]["strategy"] = {"type": "RollingUpdate", "rollingUpdate": limits}
    return made


@pytest.fixture(scope="module", autouse=True)
def applied(cluster: Cluster, kubectl: Kubectl) -> None:
    """All workloads, made in one call."""
    kubectl.apply(*workloads(cluster.site))


def pods_of(kubectl: Kubectl, app: str) -> list[Json]:
    """Return the pods with the label app=APP."""
    items: list[Json] = kubectl.json("get", "pods", "-l", f"app={app}")["items"]
    return items


def test_a_job_completes(kubectl: Kubectl) -> None:
    """Three completions, two at a time."""
    kubectl.wait("condition=Complete", "job/sums")
    assert kubectl.json("get", "job", "sums")["status"]["succeeded"] == 3


def test_a_job_that_fails_gives_up(kubectl: Kubectl) -> None:
    """The controller sees the exit codes and stops at its limit."""
    kubectl.wait("condition=Failed", "job/stubborn")
    for one in pods_of(kubectl, "stubborn"):
        (told,) = one["status"]["containerStatuses"]
        assert told["state"]["terminated"]["exitCode"] == 5


def test_a_stateful_set_starts_in_order(kubectl: Kubectl) -> None:
    """Each pod is made when the one before is ready."""
    kubectl.ok("rollout", "status", "statefulset/ordered", "--timeout=90s", timeout_s=100)
    found = {one["metadata"]["name"]: one for one in pods_of(kubectl, "ordered")}
    assert sorted(found) == ["ordered-0", "ordered-1", "ordered-2"]
    for before, after in (("ordered-0", "ordered-1"), ("ordered-1", "ordered-2")):
        conditions = {c["type"]: c for c in found[before]["status"]["conditions"]}
        made = found[after]["metadata"]["creationTimestamp"]
        assert conditions["Ready"]["lastTransitionTime"] <= made
    assert kubectl.ok("exec", "ordered-2", "--", "hostname").strip() == "ordered-2"


def test_a_daemon_set_that_tolerates_the_sites_taint_runs_there(
    cluster: Cluster, kubectl: Kubectl
) -> None:
    """It is rolled out, on the site and nowhere else."""
    kubectl.ok("rollout", "status", "daemonset/daemon", "--timeout=60s", timeout_s=70)
    nodes = [one["spec"]["nodeName"] for one in pods_of(kubectl, "daemon")]
    assert nodes == [cluster.site]


def test_a_rolling_update_leaves_nobody_without(cluster: Cluster, kubectl: Kubectl) -> None:
    """With maxUnavailable 0 three pods are ready at every moment, and rollout undo goes back."""
    status = ("rollout", "status", "deployment/rolling", "--timeout=120s")
    kubectl.ok(*status, timeout_s=130)
    shown = '--output=jsonpath={.status.readyReplicas}{"\\n"}'
    with kubectl.running("get", "deployment", "rolling", "--watch", shown) as watch:
        watch.line(containing="3")
        kubectl.apply(rolling(cluster.site, "two"))
        kubectl.ok(*status, timeout_s=130)
        ready = [int(line.text or 0) for line in watch.arrived(timeout_s=0)]
    assert ready, "the update was watched"
    assert min(ready) >= 3, ready
    assert "2" in kubectl.ok("rollout", "history", "deployment/rolling")
    eventually(
        lambda: (
            {one["spec"]["containers"][0]["env"][0]["value"] for one in pods_of(kubectl, "rolling")}
            == {"two"}
        ),
        what="only new pods are left",
        timeout_s=30,
    )


def test_kubectl_events_tells_of_a_crash(kubectl: Kubectl) -> None:
    """`kubectl events --for` and `describe` show the pod's story in a kubelet's words."""
    becomes(kubectl, "shown", lambda told: told["containerStatuses"][0]["restartCount"] >= 1)
    story = ["Scheduled", "Pulled", "Created", "Started", "BackOff"]

    def told() -> bool:
        text = kubectl.ok("events", "--for=pod/shown")
        return all(word in text for word in story)

    eventually(told, what="the whole story", timeout_s=30)
    described = kubectl.ok("describe", "pod", "shown")
    for text in ("Exit Code:    4", "Reason:       Error", "Back-off restarting failed container"):
        assert text in described, described
    reporter = kubectl.json("get", "events", "--field-selector=reason=BackOff")["items"][0]
    assert reporter["source"]["component"] == "kubelet"


def test_kubectl_wait_sees_every_condition(kubectl: Kubectl) -> None:
    """Conditions, JSON paths and deletion."""
    name = f"pod/{pods_of(kubectl, 'daemon')[0]['metadata']['name']}"
    for condition in ("PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready"):
        kubectl.wait(f"condition={condition}", name)
    kubectl.wait("jsonpath={.status.phase}=Running", name)
    kubectl.ok("delete", name, "--wait=false")
    kubectl.wait("delete", name)


def test_kubectl_debug_copies_a_pod_and_enters_a_node(cluster: Cluster, kubectl: Kubectl) -> None:
    """A copy with another command, and a pod in the node's own namespaces."""
    kubectl.ok("debug", "shown", "--copy-to=copy", "--container=main", "--", "sleep", "1000")
    kubectl.wait("condition=Ready", "pod/copy")
    assert (
        json.loads(kubectl.ok("get", "pod", "copy", "-o", "json"))["status"]["phase"] == "Running"
    )
    assert cluster.site in kubectl.ok("get", "pod", "copy", "-o", "wide")


def test_a_cron_job_makes_a_job_that_completes(kubectl: Kubectl) -> None:
    """At the next full minute."""
    eventually(
        lambda: any(one["status"].get("succeeded") for one in
                    kubectl.json("get", "jobs")["items"]
                    if one["metadata"]["name"].startswith("minutely-")),
        what="a job of the cron job has succeeded",
        timeout_s=90,
    )  # fmt: skip
