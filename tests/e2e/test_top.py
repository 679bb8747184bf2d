"""What pods use, as metrics-server tells it: ``kubectl top``, and an autoscaler that acts on it."""

from __future__ import annotations

import bisect
import json
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cgroups import pod_group
from tests.e2e.cluster import bring_up
from tests.e2e.pods import container, deployment, pod
from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.cgroups import Group
    from tests.e2e.cluster import Cluster
    from tests.e2e.kubectl import Kubectl
    from tests.e2e.pods import Json

# From the pods' start to the first figures of them.
TOP_TIMEOUT_S = 60
# An autoscaler looks every 15 s at figures that are up to 10 s old.
SCALE_TIMEOUT_S = 150
# Stretches of time that metrics-server tells of and that are compared with the control group.
WINDOWS = 3
LOOP_TIMEOUT_S = 120
# What the kernel gives to a loop that nothing else hinders.
FULL_M = 195
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


@dataclass(frozen=True, kw_only=True)
class _Window:
    """What metrics-server tells of a container, and of which time; seconds since the epoch."""

    cpu_m: float
    start_s: float
    end_s: float


def _window(kubectl: Kubectl, name: str) -> _Window:
    path = f"/apis/metrics.k8s.io/v1beta1/namespaces/{kubectl.namespace}/pods/{name}"
    found = json.loads(kubectl.ok("get", "--raw", path))
    (only,) = found["containers"]
    cpu = re.fullmatch(r"(\d+)(n|u|m?)", only["usage"]["cpu"])
    length = re.fullmatch(r"(?:(\d+)m)?([\d.]+)s", found["window"])
    assert cpu is not None, found
    assert length is not None, found
    end_s = datetime.fromisoformat(found["timestamp"]).timestamp()
    start_s = end_s - 60 * int(length[1] or 0) - float(length[2])
    millicores = int(cpu[1]) / {"n": 1e6, "u": 1e3, "m": 1, "": 1e-3}[cpu[2]]
    return _Window(cpu_m=millicores, start_s=start_s, end_s=end_s)


class _Usage:
    """What a control group used of processors, looked at again and again."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._looks: list[tuple[float, float]] = []

    def look(self) -> None:
        """Look once more."""
        self._looks.append((time.time(), self._group.cpu_usage_s))

    def covers(self, window: _Window) -> bool:
        """Whether there were looks before it and after it; its times are cut to whole seconds."""
        return self._looks[0][0] <= window.start_s and window.end_s + 1 <= self._looks[-1][0]

    def millicores(self, window: _Window) -> tuple[float, float]:
        """Return the least and the most that it can have been in that window."""
        length_s = window.end_s - window.start_s
        given = [
            1000 * (self._at(window.end_s + late_s) - self._at(window.start_s + late_s)) / length_s
            for late_s in (0.0, 0.25, 0.5, 0.75, 1.0)
        ]
        return min(given), max(given)

    def _at(self, moment_s: float) -> float:
        after = bisect.bisect_left(self._looks, (moment_s, 0.0))
        (first_s, first), (last_s, last) = self._looks[after - 1 : after + 1]
        return first + (last - first) * (moment_s - first_s) / (last_s - first_s)


def test_a_busy_loop_shows_its_limit(kubectl: Kubectl, cluster: Cluster, started_at: float) -> None:
    """A fifth of a processor.

    Whatever metrics-server tells of a stretch of time is what the kernel counted then: a machine
    that does not give the loop its fifth shows less, and is not taken for figures that are wrong.
    """
    del started_at
    usage = _Usage(pod_group(cluster, kubectl.json("get", "pod", "busy")))
    usage.look()
    compared: dict[_Window, tuple[float, float]] = {}

    def enough_is_compared() -> bool:
        window = _window(kubectl, "busy")
        usage.look()
        if window not in compared and usage.covers(window):
            compared[window] = usage.millicores(window)
        is_full = any(least >= FULL_M for least, _ in compared.values())
        return len(compared) >= WINDOWS and is_full

    with suppress(AssertionError):
        # A machine that is busy with other things may never give it all.
        eventually(enough_is_compared, what="a busy loop", timeout_s=LOOP_TIMEOUT_S, every_s=0.5)
    assert len(compared) >= WINDOWS, compared
    for window, (least_m, most_m) in compared.items():
        told = f"{window.cpu_m:.1f}m of {least_m:.1f}m to {most_m:.1f}m"
        assert 0.95 * least_m <= window.cpu_m <= min(1.05 * most_m, 210), told
        assert window.cpu_m >= 190 or least_m < FULL_M, told

    def shown() -> int:
        cpu_m, _ = _top(kubectl)["busy", "main"]
        newest = _window(kubectl, "busy")
        assert abs(cpu_m - newest.cpu_m) <= 1, f"{cpu_m}m, and the API has {newest.cpu_m:.1f}m"
        return cpu_m

    eventually(shown, what="kubectl top shows what the API has", timeout_s=30)


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
