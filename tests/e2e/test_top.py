"""What pods use, as metrics-server tells it: ``kubectl top``, and an autoscaler that acts on it."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cgroups import pod_group
from tests.e2e.cluster import bring_up
from tests.e2e.pods import container, deployment, pod
from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.cluster import Cluster
    from tests.e2e.kubectl import Kubectl
    from tests.e2e.pods import Json

# From the pods' start to the first figures of them.
TOP_TIMEOUT_S = 60
# An autoscaler looks every 15 s at figures that are up to 10 s old.
SCALE_TIMEOUT_S = 150
# A look at the control group that lasts as long as two of metrics-server's.
WINDOWS_S = 20
FILLED_MIB = 100
BUSY = "while :; do :; done"
# What tail cannot get rid of it keeps in memory.
FILL = f"head -c {FILLED_MIB}m /dev/zero | tail -c {FILLED_MIB}m | sleep 3600"
IDLE_FILE = "/tmp/idle"
BUSY_UNTIL_TOLD = f"while [ ! -e {IDLE_FILE} ]; do :; done; sleep 3600"
_ROW = re.compile(r"(\S+)\s+(\S+)\s+(\S+)\s+(\d+)m\s+(\d+)Mi")

pytestmark = pytest.mark.timeout(600, func_only=True)


@pytest.fixture(scope="module", autouse=True)
def metrics_server(cluster: Cluster) -> None:
    """Have the real metrics-server, registered as the cluster's metrics API."""
    del cluster
    assert not bring_up("--with-metrics-server")


@pytest.fixture(scope="module")
def started_at(kubectl: Kubectl, cluster: Cluster) -> float:
    """When the pods had started, on this process' monotonic clock."""
    limits = {"limits": {"cpu": "200m", "memory": "32Mi"}, "requests": {"cpu": "200m"}}
    kubectl.apply(
        pod("busy", container(script=BUSY, resources=limits), site=cluster.site),
        pod("filled", container(script=FILL), container("beside"), site=cluster.site),
    )
    kubectl.wait("condition=Ready", "pod/busy", "pod/filled")
    return time.monotonic()


def _top(kubectl: Kubectl) -> dict[tuple[str, str], tuple[int, int]]:
    """Return millicores and MiB of each container of the namespace, by pod and container."""
    outcome = kubectl.run("top", "pods", "-A", "--containers", "--no-headers")
    assert outcome.status == 0, outcome
    rows = [_ROW.match(line) for line in outcome.text.splitlines()]
    assert all(rows), outcome
    return {
        (row[2], row[3]): (int(row[4]), int(row[5]))
        for row in rows
        if row is not None and row[1] == kubectl.namespace
    }


def test_top_shows_pods_soon_after_they_started(kubectl: Kubectl, started_at: float) -> None:
    """Each container of each pod."""
    wanted = {("busy", "main"), ("filled", "main"), ("filled", "beside")}
    eventually(
        lambda: wanted <= set(_top(kubectl)),
        what="kubectl top knows all containers",
        timeout_s=started_at + TOP_TIMEOUT_S - time.monotonic(),
        every_s=2,
    )


def test_top_shows_the_node(kubectl: Kubectl, cluster: Cluster) -> None:
    """With a share of what it has."""
    row = re.compile(rf"{re.escape(cluster.site)}\s+[1-9]\d*m\s+\d+%\s+[1-9]\d*Mi\s+\d+%")

    def shown() -> str:
        outcome = kubectl.run("top", "nodes", "--no-headers")
        assert outcome.status == 0, outcome
        assert row.search(outcome.text), outcome
        return outcome.text

    eventually(shown, what="kubectl top shows the node", timeout_s=TOP_TIMEOUT_S, every_s=2)


def test_a_busy_loop_shows_its_limit(kubectl: Kubectl, cluster: Cluster, started_at: float) -> None:
    """A fifth of a processor; less only while the machine itself did not give it as much."""
    del started_at
    group = pod_group(cluster, kubectl.json("get", "pod", "busy"))
    before_at, before_s = time.monotonic(), group.cpu_usage_s

    def millicores() -> int:
        cpu_m, _ = _top(kubectl)["busy", "main"]
        given_m = 1000 * (group.cpu_usage_s - before_s) / (time.monotonic() - before_at)
        assert time.monotonic() - before_at > WINDOWS_S, "too soon"
        assert min(190, 0.95 * given_m) <= cpu_m <= 210, f"{cpu_m}m of {given_m:.0f}m"
        return cpu_m

    eventually(millicores, what="the busy loop shows 200m", timeout_s=120, every_s=5)


def test_memory_that_was_touched_shows(kubectl: Kubectl, started_at: float) -> None:
    """In the container that did it, and not in the one beside it."""
    del started_at

    def mebibytes() -> int:
        top = _top(kubectl)
        _, filled = top["filled", "main"]
        _, beside = top["filled", "beside"]
        assert FILLED_MIB <= filled <= FILLED_MIB + 8, f"{filled} MiB"
        assert beside < 8, f"{beside} MiB"
        return filled

    eventually(mebibytes, what=f"the pod shows {FILLED_MIB} MiB", timeout_s=60, every_s=5)


def _autoscaler(name: str) -> Json:
    behavior = {"scaleUp": {"stabilizationWindowSeconds": 0}}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": 1,
            "maxReplicas": 3,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {"type": "Utilization", "averageUtilization": 50},
                    },
                }
            ],
            "behavior": {**behavior, "scaleDown": {"stabilizationWindowSeconds": 0}},
        },
    }


def test_an_autoscaler_follows_the_load(kubectl: Kubectl, cluster: Cluster) -> None:
    """From one pod to three while they are busy, and back to one when they are not."""
    kubectl.ok("delete", "pod", "busy", "filled", "--ignore-not-found", timeout_s=60)
    resources = {"requests": {"cpu": "50m"}, "limits": {"cpu": "100m"}}
    busy = container(script=BUSY_UNTIL_TOLD, resources=resources)
    kubectl.apply(
        deployment("load", busy, site=cluster.site, replicas=1),
        _autoscaler("load"),
    )

    def replicas() -> tuple[int, int]:
        found = kubectl.json("get", "deployment", "load")
        return found["spec"]["replicas"], found["status"].get("readyReplicas", 0)

    def scaled_to(count: int) -> bool:
        assert replicas() == (count, count), kubectl.run("describe", "hpa", "load")
        return True

    eventually(lambda: scaled_to(3), what="3 pods", timeout_s=SCALE_TIMEOUT_S, every_s=2)
    for each in kubectl.json("get", "pods", "-l", "app=load")["items"]:
        kubectl.ok("exec", each["metadata"]["name"], "--", "touch", IDLE_FILE)
    eventually(lambda: scaled_to(1), what="1 pod", timeout_s=SCALE_TIMEOUT_S, every_s=2)
