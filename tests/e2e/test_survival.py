"""Must show 8: pods outlive the edge process, the provider and the link, and streams never lie."""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.pods import WAIT_FOR_TERM, container, deployment, service
from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.cluster import Cluster
    from tests.e2e.kubectl import Kubectl, Running

Json = dict[str, Any]
REPLICAS = 2
CUT_S = 90.0
READY_AFTER_HEAL_S = 10.0
READY_AFTER_START_S = 15.0
LOST_STREAM_S = 45.0
COUNTER = (
    "trap 'exit 0' TERM; mkdir -p /www; httpd -p 8080 -h /www; echo first line; " + WAIT_FOR_TERM
)


@pytest.fixture(scope="module", autouse=True)
def steady(cluster: Cluster, kubectl: Kubectl) -> Iterator[None]:
    """A Deployment with a Service; whatever a test stops or cuts is up again afterwards."""
    kubectl.apply(
        deployment("steady", container(script=COUNTER), site=cluster.site, replicas=REPLICAS),
        service("steady", app="steady", port=8080),
    )
    kubectl.ok("rollout", "status", "deployment/steady", "--timeout=60s", timeout_s=75)
    eventually(lambda: ready_endpoints(kubectl) == REPLICAS, what="endpoints", timeout_s=30)
    yield
    cluster.heal_link()


def pods(kubectl: Kubectl) -> list[Json]:
    """Return the Deployment's pods."""
    items: list[Json] = kubectl.json("get", "pods", "-l", "app=steady")["items"]
    return items


def identities(kubectl: Kubectl) -> set[tuple[str, str, str, int]]:
    """Return name, UID, container id and restart count of every pod."""
    found = set()
    for pod in pods(kubectl):
        (status,) = pod["status"]["containerStatuses"]
        meta = pod["metadata"]
        found.add((meta["name"], meta["uid"], status["containerID"], status["restartCount"]))
    return found


def are_ready(kubectl: Kubectl, expected: str) -> bool:
    """Tell whether the Ready condition of every pod has that status."""
    return {
        c["status"]
        for p in pods(kubectl)
        for c in p["status"]["conditions"]
        if c["type"] == "Ready"
    } == {expected}


def ready_endpoints(kubectl: Kubectl) -> int:
    """Return how many endpoints of the Service are ready."""
    slices = kubectl.json("get", "endpointslices", "-l", "kubernetes.io/service-name=steady")[
        "items"
    ]
    endpoints = [e for one in slices for e in one.get("endpoints") or []]
    return sum(1 for e in endpoints if e["conditions"].get("ready"))


def all_ready(cluster: Cluster, kubectl: Kubectl) -> bool:
    """Tell whether the Node, its pods and their endpoints are Ready."""
    return (
        cluster.node_condition("Ready") == "True"
        and are_ready(kubectl, "True")
        and ready_endpoints(kubectl) == REPLICAS
    )


def lease_renewed_at(cluster: Cluster) -> float:
    """Return the time of the Lease's last renewal, as seconds since the epoch."""
    lease = cluster.kubectl.json("get", "lease", cluster.site, "--namespace", "kube-node-lease")
    return datetime.fromisoformat(lease["spec"]["renewTime"]).timestamp()


def serves(kubectl: Kubectl) -> bool:
    """Tell whether logs and exec work for every pod."""
    for pod in pods(kubectl):
        name = pod["metadata"]["name"]
        logs = kubectl.run("logs", name, timeout_s=20)
        answer = kubectl.run("exec", name, "--", "echo", "hello", timeout_s=20)
        assert (logs.status, logs.text.splitlines()[:1]) == (0, ["first line"]), logs
        assert (answer.status, answer.text) == (0, "hello\n"), answer
    return True


def test_the_edge_is_killed_and_comes_back(cluster: Cluster, kubectl: Kubectl) -> None:
    """SIGKILL and a start: the same containers, no restart, logs and exec work again."""
    before = identities(kubectl)
    running = cluster.task_ids()
    assert {number for *_, number in before} == {0}
    cluster.stop("edge", signal="KILL")
    try:
        assert cluster.task_ids() == running, "containers run on without the edge process"
    finally:
        cluster.start("edge")
    eventually(lambda: serves(kubectl), what="logs and exec work", timeout_s=READY_AFTER_START_S)
    assert identities(kubectl) == before
    assert cluster.task_ids() == running
    eventually(lambda: all_ready(cluster, kubectl), what="all is Ready", timeout_s=10)


def test_a_pod_deleted_while_the_edge_is_dead_goes_when_it_is_back(
    cluster: Cluster, kubectl: Kubectl
) -> None:
    """What was desired meanwhile is done after the start, and nothing of the old pod is left."""
    victim = pods(kubectl)[0]
    name, uid = victim["metadata"]["name"], victim["metadata"]["uid"]
    cluster.stop("edge", signal="KILL")
    try:
        kubectl.ok("delete", "pod", name, "--wait=false")
    finally:
        cluster.start("edge")
    kubectl.wait("delete", f"pod/{name}", timeout_s=30)
    selector = f'labels."io.kubernetes.pod.uid"=={uid}'
    assert cluster.ctr("containers", "ls", "-q", selector).split() == []
    kubectl.ok("rollout", "status", "deployment/steady", "--timeout=60s", timeout_s=75)


def test_the_provider_is_stopped_and_comes_back(cluster: Cluster, kubectl: Kubectl) -> None:
    """SIGTERM and a start: the same containers, and the Node Ready again within 15 s."""
    before = identities(kubectl)
    running = cluster.task_ids()
    cluster.stop("provider", signal="TERM")
    try:
        refused = kubectl.run("logs", pods(kubectl)[0]["metadata"]["name"], timeout_s=30)
        assert refused.status != 0
    finally:
        started = time.time()
        cluster.start("provider")
    eventually(
        lambda: lease_renewed_at(cluster) > started and all_ready(cluster, kubectl),
        what="the Lease is renewed and the Node, pods and endpoints are Ready",
        timeout_s=READY_AFTER_START_S - (time.time() - started),
    )
    assert serves(kubectl)
    assert identities(kubectl) == before
    assert cluster.task_ids() == running


@contextmanager
def sleeping(kubectl: Kubectl, *, websockets: bool) -> Iterator[Running]:
    """Run `kubectl exec -- sleep 60` and return once the sleep runs in the pod."""
    choice = str(websockets).lower()
    streaming = kubectl.within(kubectl.namespace, KUBECTL_REMOTE_COMMAND_WEBSOCKETS=choice)
    name = pods(kubectl)[0]["metadata"]["name"]
    with streaming.running("exec", name, "--", "sh", "-c", "echo runs; exec sleep 60") as exec_:
        exec_.line(containing="runs")
        yield exec_


@pytest.mark.parametrize(("part", "signal"), [("edge", "KILL"), ("provider", "TERM")])
def test_an_exec_that_is_lost_fails_with_a_message(
    cluster: Cluster, kubectl: Kubectl, part: str, signal: str
) -> None:
    """Never exit status 0 for a command whose end nobody saw (DESIGN §4, law 7), by either way.

    An edge that is killed is started again, as systemd would: until then the provider takes its
    silence for a cut, and the session waits to be resumed.
    """
    with (
        sleeping(kubectl, websockets=True) as websocket,
        sleeping(kubectl, websockets=False) as spdy,
    ):
        began = time.monotonic()
        try:
            cluster.stop(part, signal=signal)
            if part == "edge":
                cluster.start(part)
            statuses = [exec_.wait(timeout_s=LOST_STREAM_S) for exec_ in (websocket, spdy)]
        except subprocess.TimeoutExpired:
            pytest.fail(f"kubectl still waits {LOST_STREAM_S:g} s after the {part} went")
        finally:
            cluster.start(part)
        took_s = time.monotonic() - began
    for status, exec_ in zip(statuses, (websocket, spdy), strict=True):
        assert status != 0, f"kubectl exec gave 0 after {took_s:.1f} s; stderr: {exec_.error!r}"
        assert exec_.error.strip(), "kubectl says why it failed"
    eventually(lambda: serves(kubectl), what="logs and exec work", timeout_s=READY_AFTER_START_S)


def test_a_followed_log_that_is_lost_is_cut_off(cluster: Cluster, kubectl: Kubectl) -> None:
    """A follower whose edge is killed gets a body without its end, not a finished one.

    Seen through the node proxy, which passes a broken body on. `kubectl logs` cannot tell from any
    node: the API server ends the body well whatever the node did (StreamObject drops the error).
    """
    name = pods(kubectl)[0]["metadata"]["name"]
    path = f"nodes/{cluster.site}/proxy/containerLogs/{kubectl.namespace}/{name}/main?follow=true"
    with kubectl.running("get", "--raw", f"/api/v1/{path}") as logs:
        logs.line(containing="first line")
        try:
            cluster.stop("edge", signal="KILL")
            cluster.start("edge")
            status = logs.wait(timeout_s=LOST_STREAM_S)
        finally:
            cluster.start("edge")
    assert status != 0
    assert logs.error.strip()
    eventually(lambda: serves(kubectl), what="logs and exec work", timeout_s=READY_AFTER_START_S)


@pytest.mark.timeout(300, func_only=True)
def test_a_cut_of_90_seconds_heals_within_10(cluster: Cluster, kubectl: Kubectl) -> None:
    """The cluster sees the silence; after the heal all is Ready at once, no container changed."""
    before = identities(kubectl)
    running = cluster.task_ids()
    assert ready_endpoints(kubectl) == REPLICAS
    cut_at = time.monotonic()
    cluster.cut_link(how="drop")
    try:
        _watch_the_silence(cluster, kubectl, cut_at)
        assert cluster.task_ids() == running
    finally:
        cluster.heal_link()
    healed_at = time.monotonic()
    seen: dict[str, float] = {}
    _record(seen, healed_at, "node", lambda: cluster.node_condition("Ready") == "True")
    _record(seen, healed_at, "pods", lambda: are_ready(kubectl, "True"))
    _record(seen, healed_at, "endpoints", lambda: ready_endpoints(kubectl) == REPLICAS)
    assert max(seen.values()) <= READY_AFTER_HEAL_S, f"Ready after the heal: {seen}"
    assert serves(kubectl)
    assert identities(kubectl) == before
    assert cluster.task_ids() == running


def _watch_the_silence(cluster: Cluster, kubectl: Kubectl, cut_at: float) -> None:
    """See the Node, its pods and their endpoints go not Ready, and keep the cut for its time."""
    eventually(
        lambda: cluster.node_condition("EdgeletTunnelReady") == "False",
        what="the tunnel's own condition turns at once",
        timeout_s=30,
    )
    name = pods(kubectl)[0]["metadata"]["name"]
    refused = kubectl.run("exec", name, "--", "true", timeout_s=20)
    assert refused.status != 0
    assert f"site {cluster.site} is offline since" in refused.error, refused
    # The API server replaces the body of a 503 for logs; what is left is that they fail.
    assert "ServiceUnavailable" in kubectl.run("logs", name, timeout_s=20).error
    eventually(
        lambda: cluster.node_condition("Ready") != "True", what="the Node NotReady", timeout_s=80
    )
    eventually(lambda: are_ready(kubectl, "False"), what="its pods not Ready", timeout_s=30)
    eventually(lambda: ready_endpoints(kubectl) == 0, what="no endpoint ready", timeout_s=20)
    eventually(
        lambda: time.monotonic() - cut_at >= CUT_S, what="the cut has its length", timeout_s=CUT_S
    )
    assert {p["status"]["phase"] for p in pods(kubectl)} == {"Running"}


def _record(
    seen: dict[str, float], healed_at: float, what: str, condition: Callable[[], bool]
) -> None:
    """Note how many seconds after the heal a condition came true."""
    eventually(condition, what=f"{what} Ready after the heal", timeout_s=60)
    seen[what] = round(time.monotonic() - healed_at, 1)
