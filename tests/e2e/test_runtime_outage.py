"""Must show 2: a containerd that hangs or dies takes no pod with it, and is told of by the Node."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from edge_runtime.machine.conditions import RUNTIME_SYNC_THRESHOLD_S
from tests.e2e.cluster import edge_configured
from tests.e2e.pods import WAIT_FOR_TERM, container, pod
from tests.e2e.told import becomes, conditions, containers, events, status
from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.cluster import Cluster
    from tests.e2e.kubectl import Kubectl

Json = dict[str, Any]
LIVING = ("idle", "probed")
SERVE = "mkdir /tmp/w; echo ok > /tmp/w/live; trap 'exit 0' TERM; httpd -p 8080 -h /tmp/w; "
BACK_AFTER_S = 10.0


@pytest.fixture(scope="module", autouse=True)
def applied(cluster: Cluster, kubectl: Kubectl) -> Iterator[None]:
    """Pods that live on, on an edge that looks at its runtime every second."""
    probe = {"httpGet": {"port": 8080, "path": "/live"}, "periodSeconds": 1, "failureThreshold": 1}
    with edge_configured(cluster, {"nodeStatusUpdateFrequency": "1s"}):
        kubectl.apply(
            pod("idle", site=cluster.site),
            pod("probed", container(script=SERVE + WAIT_FOR_TERM, livenessProbe=probe,
                                    readinessProbe=probe), site=cluster.site),
        )  # fmt: skip
        kubectl.wait("condition=Ready", *(f"pod/{name}" for name in LIVING))
        yield


def lives(kubectl: Kubectl) -> dict[str, tuple[str, int, str]]:
    """Return what would change if a container were taken for dead: id, restarts, start."""
    found = {}
    for name in LIVING:
        main = containers(status(kubectl, name))["main"]
        started_at = main["state"]["running"]["startedAt"]
        found[name] = (main["containerID"], main["restartCount"], started_at)
    return found


def ready(cluster: Cluster) -> Json:
    """Return the Node's Ready condition."""
    return next(c for c in cluster.node()["status"]["conditions"] if c["type"] == "Ready")


def wait_until_back(cluster: Cluster, kubectl: Kubectl) -> None:
    """Wait until the Node and its pods are Ready, and logs and exec work."""
    eventually(
        lambda: ready(cluster)["status"] == "True", what="Ready again", timeout_s=BACK_AFTER_S
    )
    for name in LIVING:
        becomes(kubectl, name, lambda told: conditions(told)["Ready"]["status"] == "True")
        assert kubectl.ok("exec", name, "--", "echo", "hello") == "hello\n"
        kubectl.ok("logs", name)


def test_a_containerd_that_hangs_is_survived(cluster: Cluster, kubectl: Kubectl) -> None:
    """The Node says so after 30 s; nobody is taken for dead, and who ended meanwhile is seen then.

    A kubelet waits as long: kubernetes pkg/kubelet/kubelet.go ``maxWaitForContainerRuntime``.
    """
    brief = container(script="while ! test -e /tmp/end; do sleep 0.2; done; exit 3")
    kubectl.apply(pod("brief", brief, site=cluster.site, restartPolicy="Never"))
    kubectl.wait("condition=Ready", "pod/brief")
    before = lives(kubectl)
    kubectl.ok("exec", "brief", "--", "sh", "-c", "(sleep 3; touch /tmp/end) >/dev/null 2>&1 &")
    containerd = int(cluster.environment["DEVCLUSTER_CONTAINERD_PID"])
    os.kill(containerd, signal.SIGSTOP)
    stopped_at = time.monotonic()
    try:
        with kubectl.running("exec", "idle", "--", "true") as refused:
            eventually(
                lambda: ready(cluster)["status"] == "False",
                what="the Node tells that its runtime is away",
                timeout_s=RUNTIME_SYNC_THRESHOLD_S + 15,
            )
            noticed_s = time.monotonic() - stopped_at
            told = ready(cluster)
            assert lives(kubectl) == before
            assert "running" in containers(status(kubectl, "brief"))["main"]["state"]
            assert refused.wait(timeout_s=30) != 0, "nobody has run this"
    finally:
        os.kill(containerd, signal.SIGCONT)
    # It counts from the last answer, which on a busy machine is some seconds old.
    assert noticed_s >= RUNTIME_SYNC_THRESHOLD_S / 2
    assert (told["reason"], told["message"]) == ("KubeletNotReady", "container runtime is down")
    wait_until_back(cluster, kubectl)
    assert lives(kubectl) == before
    ended = becomes(kubectl, "brief", lambda told: told["phase"] == "Failed")
    assert containers(ended)["main"]["state"]["terminated"]["exitCode"] == 3
    assert "Killing" not in events(kubectl, "idle") | events(kubectl, "probed")


def test_a_containerd_that_is_started_again_finds_its_pods(
    cluster: Cluster, kubectl: Kubectl
) -> None:
    """SIGKILL and a start: the same containers, and new ones start."""
    before, running = lives(kubectl), cluster.task_ids()
    cluster.restart_containerd()
    wait_until_back(cluster, kubectl)
    assert lives(kubectl) == before
    assert running <= cluster.task_ids()
    assert "Killing" not in events(kubectl, "idle") | events(kubectl, "probed")
    kubectl.apply(pod("new", site=cluster.site))
    kubectl.wait("condition=Ready", "pod/new")
    kubectl.ok("delete", "pod", "new", "idle", timeout_s=30)
