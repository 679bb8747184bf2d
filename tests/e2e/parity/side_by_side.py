"""Both recordings at once, and what comes of comparing them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from devcluster.layout import CLOUD_NODE
from tests.e2e.cluster import ROOT, Cluster
from tests.e2e.parity.compare import Difference, differences, explanations, unexplained
from tests.e2e.parity.record import Recording
from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.kubectl import Kubectl

DOCUMENT = ROOT / "docs/parity.md"
# A site's events come through its tunnel, and the API server combines what comes in bursts.
EVENTS_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a comparison found."""

    explained: list[Difference]
    unexplained: list[Difference]


def compare(cluster: Cluster) -> Outcome:
    """Run all cases on both nodes and compare; the namespaces are gone afterwards."""
    with ThreadPoolExecutor(max_workers=2) as threads:
        kubelet = Recording(_namespace(cluster, "parity-kubelet"), node=CLOUD_NODE)
        site = Recording(_namespace(cluster, "parity-site"), node=cluster.site)
        runs = [threads.submit(one.run) for one in (kubelet, site)]
        for run in runs:
            run.result()
    outcome = _judge(kubelet, site)
    for one in (kubelet, site):
        one.kubectl.ok("delete", "namespace", one.kubectl.namespace, "--wait=false")
    return outcome


def _judge(kubelet: Recording, site: Recording) -> Outcome:
    """Compare until nothing is unexplained or no event can be on its way any more."""
    rows = explanations(DOCUMENT)
    last: list[Outcome] = []

    def nothing_is_unexplained() -> bool:
        kubelet.read_events()
        site.read_events()
        found = differences(kubelet.lives, site.lives, nodes=(kubelet.node, site.node))
        open_ones = unexplained(found, rows)
        explained = [one for one in found if one not in open_ones]
        last[:] = [Outcome(explained=explained, unexplained=open_ones)]
        return not open_ones

    try:
        eventually(nothing_is_unexplained, what="no difference", timeout_s=EVENTS_TIMEOUT_S)
    except AssertionError:
        if not last:
            raise
    return last[0]


def _namespace(cluster: Cluster, name: str) -> Kubectl:
    cluster.kubectl.ok("delete", "namespace", name, "--ignore-not-found", timeout_s=120)
    cluster.kubectl.ok("create", "namespace", name)
    inside = cluster.kubectl.within(name)
    inside.wait("create", "serviceaccount/default", timeout_s=30)
    return inside
