"""While the cloud is away: what changed meanwhile arrives, and a reboot brings all pods back."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.offline_reboot import boots, objects, reboot, with_volumes
from tests.e2e.mounting import (
    SEEN_WITHIN_S,
    config_map,
    identity,
    left_of,
    pod_with,
    runs,
    secret,
    shell,
)
from tests.e2e.pods import pod
from tests.e2e.providers import site_layout
from tests.e2e.told import becomes, tells
from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.cluster import Cluster
    from tests.e2e.kubectl import Kubectl

Json = dict[str, Any]
FEW, MANY = 11, 30
FEW_WITHIN_S = 3.0
# Of the bare CRI calls for the same pods.
MOST = 1.3
# A machine that others use makes single boots slow, by turns the ones and the others.
ROUNDS = 3
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"


@pytest.fixture(scope="module", autouse=True)
def whole(cluster: Cluster) -> Iterator[None]:
    """Whatever a test cuts or stops is up again afterwards."""
    yield
    cluster.heal_link()
    cluster.start("edge")


def test_changes_of_a_cut_arrive_with_its_end(cluster: Cluster, kubectl: Kubectl) -> None:
    """A changed ConfigMap is seen within 10 s of the heal; a deleted Secret stays with who has it.

    As under a kubelet: files stay in running pods, and a pod that starts now waits for it.
    """
    volumes: dict[str, Json] = {
        "config": {"configMap": {"name": "cut"}},
        "secret": {"secret": {"secretName": "cut"}},
    }
    runs(
        kubectl,
        config_map("cut", {"a": "before"}),
        secret("cut", {"b": "kept"}),
        pod_with(cluster, "cut", volumes),
    )
    before = identity(kubectl, "cut")
    cluster.cut_link(how="drop")
    try:
        eventually(
            lambda: cluster.node_condition("EdgeletTunnelReady") == "False",
            what="the site is away",
            timeout_s=30,
        )
        kubectl.apply(config_map("cut", {"a": "after"}))
        kubectl.ok("delete", "secret", "cut")
        kubectl.apply(pod_with(cluster, "late", volumes))
    finally:
        cluster.heal_link()
    healed_at = time.monotonic()

    def seen() -> bool:
        outcome = kubectl.run("exec", "cut", "--", "cat", "/mnt/config/a", timeout_s=10)
        return outcome.text == "after"

    eventually(seen, what="the change is seen", timeout_s=60)
    took_s = time.monotonic() - healed_at
    assert took_s <= SEEN_WITHIN_S, f"seen {took_s:.1f} s after the heal"
    tells(kubectl, "late", "FailedMount", 'secret "cut" not found', timeout_s=30)
    assert shell(kubectl, "cut", "cat /mnt/secret/b") == "kept"
    assert identity(kubectl, "cut") == before


def test_a_crash_leaves_nothing_of_a_pod(cluster: Cluster, kubectl: Kubectl) -> None:
    """A pod that was deleted while the edge was dead, volumes in memory and all."""
    volumes: dict[str, Json] = {
        "config": {"configMap": {"name": "crash"}},
        "memory": {"emptyDir": {"medium": "Memory"}},
        "part": {"configMap": {"name": "crash"}},
    }
    made = pod_with(cluster, "crash", volumes, mount={"part": {"subPath": "a"}})
    runs(kubectl, config_map("crash", {"a": "1"}), made)
    uid = identity(kubectl, "crash")[0]
    assert left_of(cluster, uid)
    cluster.stop("edge", signal="KILL")
    try:
        kubectl.ok("delete", "pod", "crash", "--wait=false")
    finally:
        cluster.start("edge")
    kubectl.wait("delete", "pod/crash", timeout_s=60)
    eventually(lambda: not left_of(cluster, uid), what="nothing is left", timeout_s=10)


def rebooting(cluster: Cluster, kubectl: Kubectl, count: int) -> list[str]:
    """Have so many pods with volumes running; return their names."""
    names = [f"reboot-{number}" for number in range(count)]
    made = [with_volumes(pod(name, site=cluster.site)) for name in names]
    kubectl.apply(*objects(kubectl.namespace), *made)
    kubectl.wait("condition=Ready", *(f"pod/{name}" for name in names), timeout_s=120)
    return names


@pytest.mark.timeout(600, func_only=True)
def test_a_reboot_brings_all_back(cluster: Cluster, kubectl: Kubectl) -> None:
    """With the cloud away: contents, modes, tokens, what was in scratch space, restart counts."""
    (name,) = rebooting(cluster, kubectl, 1)
    shell(kubectl, name, "echo kept > /mnt/scratch/said")
    token = shell(kubectl, name, f"cat {TOKEN}/token")
    uid, _, restarts = identity(kubectl, name)
    cluster.cut_link(how="down")
    try:
        reboot(site_layout(cluster.site))
        cluster.start("edge")
        there = _seen_by(eventually(lambda: _main_task(cluster, uid), what="it runs", timeout_s=60))
        assert there("mnt/config/greeting") == "hello"
        assert there("mnt/secret/word") == "open sesame"
        assert there("mnt/scratch/said") == "kept\n"
        assert there(f"{TOKEN[1:]}/token") == token
        assert there(f"{TOKEN[1:]}/namespace") == kubectl.namespace
        assert "BEGIN CERTIFICATE" in there(f"{TOKEN[1:]}/ca.crt")
    finally:
        cluster.heal_link()
    told = becomes(kubectl, name, lambda one: _restarted(one) == restarts + 1, timeout_s=60)
    assert told["phase"] == "Running"
    eventually(
        lambda: shell(kubectl, name, "cat /mnt/config/greeting") == "hello",
        what="exec works again",
        timeout_s=30,
    )


def _restarted(told: Json) -> int:
    return int(told["containerStatuses"][0]["restartCount"])


def _main_task(cluster: Cluster, uid: str) -> int:
    """Return the process of a pod's container, 0 as long as there is none."""
    labels = f'labels."io.kubernetes.pod.uid"=={uid},labels."io.kubernetes.container.name"==main'
    ids = cluster.ctr("containers", "ls", "-q", labels).split()
    lines = (line.split() for line in cluster.ctr("tasks", "ls").splitlines()[1:])
    pids = [int(pid) for task, pid, status in lines if task in ids and status == "RUNNING"]
    return pids[0] if pids else 0


def _seen_by(pid: int) -> Callable[[str], str]:
    """Return what reads files as a process sees them: nobody serves exec without the cloud."""
    return lambda path: Path(f"/proc/{pid}/root/{path}").read_text()


@pytest.mark.timeout(900, func_only=True)
def test_a_reboot_is_over_in_seconds(
    cluster: Cluster, kubectl: Kubectl, pytestconfig: pytest.Config
) -> None:
    """11 pods within 3 s of the edge's start, 30 within 1.3 times the same pods' bare CRI calls."""
    kubectl.ok("delete", "pods", "--all", "--timeout=60s", timeout_s=75)
    found = {}
    for count in (FEW, MANY):
        rebooting(cluster, kubectl, count)
        found[count] = boots(
            site_layout(cluster.site), kubectl.namespace, pods=count, rounds=ROUNDS
        )
    told = json.dumps({n: [[round(s, 2) for s in each] for each in f] for n, f in found.items()})
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print(f"\n  seconds with the edge, and bare: {told}")  # noqa: T201
    assert min(found[FEW][0]) <= FEW_WITHIN_S, told
    with_edge, bare = found[MANY]
    assert min(with_edge) <= MOST * min(bare), told
