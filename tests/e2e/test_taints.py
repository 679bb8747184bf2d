"""Must show 2: who has to leave a node that is tainted with NoExecute, and who may not come."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.pods import SITE_TOLERATION, pod
from tests.e2e.told import becomes, conditions, containers, ends, status, tells

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.cluster import Cluster
    from tests.e2e.kubectl import Kubectl

Json = dict[str, Any]
KEY = "e2e.example.com/repair"
TOLERATED_S = 4
HOLD = "example.com/hold"
LEAVING = ("intolerant", "for-a-while")


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """What was told of the pods that had to leave.

    Attributes:
        told: The last status of each.
        asked_at: When each was to begin to end.
    """

    told: dict[str, Json]
    asked_at: dict[str, datetime]


def tolerant(**fields: Any) -> Json:  # noqa: ANN401
    """Return what tolerates the taint."""
    toleration = {"key": KEY, "operator": "Exists", "effect": "NoExecute", **fields}
    return {"tolerations": [SITE_TOLERATION, toleration]}


@pytest.fixture(scope="module", autouse=True)
def repair(cluster: Cluster, kubectl: Kubectl) -> Iterator[Repair]:
    """Pods that run when the taint comes, and what became of those that do not tolerate it."""
    site = cluster.site
    kubectl.apply(
        held(pod("intolerant", site=site)),
        held(pod("for-a-while", site=site, **tolerant(tolerationSeconds=TOLERATED_S))),
        pod("tolerant", site=site, **tolerant()),
    )
    kubectl.wait("condition=Ready", "pod/tolerant", *(f"pod/{name}" for name in LEAVING))
    cluster.kubectl.ok("taint", "node", site, f"{KEY}=now:NoExecute")
    try:
        told = {
            name: becomes(
                kubectl, name, lambda told: "terminated" in containers(told)["main"]["state"]
            )
            for name in LEAVING
        }
        documents = {name: kubectl.json("get", "pod", name)["metadata"] for name in LEAVING}
        yield Repair(
            told=told,
            asked_at={
                name: datetime.fromisoformat(one["deletionTimestamp"])
                for name, one in documents.items()
            },
        )
    finally:
        cluster.kubectl.ok("taint", "node", site, f"{KEY}:NoExecute-")
        release(kubectl, *LEAVING)


def held(one: Json) -> Json:
    """Return a pod that can be asked for after its end."""
    one["metadata"]["finalizers"] = [HOLD]
    return one


def release(kubectl: Kubectl, *names: str) -> None:
    """Let pods go that were held."""
    nothing = json.dumps({"metadata": {"finalizers": None}})
    for name in names:
        kubectl.ok("patch", "pod", name, "--type=merge", "-p", nothing)


def test_who_does_not_tolerate_it_has_to_leave(kubectl: Kubectl, repair: Repair) -> None:
    """In order, within its grace period; the condition and the event say why."""
    told = repair.told["intolerant"]
    assert containers(told)["main"]["state"]["terminated"]["exitCode"] == 0
    disrupted = conditions(told)["DisruptionTarget"]
    assert (disrupted["status"], disrupted["reason"]) == ("True", "DeletionByTaintManager")
    assert disrupted["message"] == "Taint manager: deleting due to NoExecute taint"
    expected = f"Marking for deletion Pod {kubectl.namespace}/intolerant"
    tells(kubectl, "intolerant", "TaintManagerEviction", expected)
    tells(kubectl, "intolerant", "Killing", "Stopping container main")


def test_who_tolerates_it_for_seconds_stays_so_long(repair: Repair) -> None:
    """To the second in which the other one had to go, and so many."""
    longer_s = (repair.asked_at["for-a-while"] - repair.asked_at["intolerant"]).total_seconds()
    assert TOLERATED_S - 1 <= longer_s <= TOLERATED_S + 1


def test_who_tolerates_it_stays(kubectl: Kubectl) -> None:
    """Ready, and never restarted."""
    told = status(kubectl, "tolerant")
    assert conditions(told)["Ready"]["status"] == "True"
    assert containers(told)["main"]["restartCount"] == 0


def test_who_does_not_tolerate_it_may_not_come(cluster: Cluster, kubectl: Kubectl) -> None:
    """The machine itself refuses a pod that nobody kept away, with a kubelet's words.

    The controller manager would delete such a pod at once: it pauses meanwhile.
    """
    manager = int(cluster.environment["DEVCLUSTER_KUBE_CONTROLLER_MANAGER_PID"])
    os.kill(manager, signal.SIGSTOP)
    try:
        bound = pod("refused", site=cluster.site, nodeName=cluster.site)
        welcome = pod("welcome", site=cluster.site, nodeName=cluster.site, **tolerant())
        kubectl.apply(bound, welcome)
        told = ends(kubectl, "refused", "Failed")
        kubectl.wait("condition=Ready", "pod/welcome")
    finally:
        os.kill(manager, signal.SIGCONT)
    assert told["reason"] == "TaintToleration"
    assert told["message"] == (
        "Pod was rejected: Predicate TaintToleration failed: "
        "node(s) had taints that the pod didn't tolerate"
    )
    assert not told.get("containerStatuses")
