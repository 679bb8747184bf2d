"""The same load on a site and on a real kubelet, and what both tell of it.

python -m tests.e2e.parity.figures_side_by_side       prints every difference

Needs a devcluster that was brought up with ``--with-kubelet``.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from devcluster.layout import CLOUD_NODE
from tests.e2e.cluster import Cluster
from tests.e2e.parity.figures import (
    Difference,
    cpu_use,
    is_near,
    of_namespace,
    resource_differences,
    summary_differences,
)
from tests.e2e.pods import container, pod
from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.kubectl import Kubectl

Json = dict[str, Any]

# A kubelet's newest reading is at most 15 s old, a site's 10 s.
SETTLED_S = 20
WINDOW_S = 30
# A twentieth of a core, so that both get it whatever else runs here.
CORES = 0.05
# dd holds its buffer while nobody takes what it writes; the log and the file stay as they are.
BUSY = "while :; do :; done"
STILL = (
    "head -c 300000 /dev/zero > /written; yes line | head -n 20000;"
    " dd if=/dev/zero bs=50000000 count=1 | sleep 100000"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node with its share of the load."""

    name: str
    kubectl: Kubectl

    def start(self) -> None:
        """Start the pod and wait until all of it runs."""
        limits = {"limits": {"cpu": f"{int(CORES * 1000)}m", "memory": "64Mi"}}
        load = pod(
            "load",
            container("busy", script=BUSY, resources=limits),
            container("still", script=STILL),
            site=self.name,
        )
        load["spec"]["tolerations"] = [{"operator": "Exists"}]
        self.kubectl.ok("apply", "-f", "-", stdin=json.dumps(load).encode())
        self.kubectl.wait("condition=Ready", "pod/load")

    def summary(self) -> Json:
        """Return the Summary, of the load's pod alone."""
        found: Json = json.loads(self._raw("stats/summary"))
        namespace = self.kubectl.namespace
        found["pods"] = [each for each in found["pods"] if each["podRef"]["namespace"] == namespace]
        return found

    def resource_metrics(self) -> str:
        """Return ``/metrics/resource``, of the load's pod alone."""
        return of_namespace(self._raw("metrics/resource"), self.kubectl.namespace)

    def _raw(self, path: str) -> str:
        return self.kubectl.ok("get", "--raw", f"/api/v1/nodes/{self.name}/proxy/{path}")


def compare_figures(cluster: Cluster) -> list[Difference]:
    """Run the load on both and return what differs; the namespaces are gone afterwards."""
    nodes = [
        Node(name=name, kubectl=_namespace(cluster, f"figures-{kind}"))
        for kind, name in (("kubelet", CLOUD_NODE), ("site", cluster.site))
    ]
    try:
        for node in nodes:
            node.start()
        return _compare(*nodes)
    finally:
        for node in nodes:
            node.kubectl.ok("delete", "namespace", node.kubectl.namespace, "--wait=false")


def _compare(kubelet: Node, site: Node) -> list[Difference]:
    last: list[Difference] = []

    def all_is_the_same() -> bool:
        series = resource_differences(kubelet.resource_metrics(), site.resource_metrics())
        last[:] = [*summary_differences(kubelet.summary(), site.summary()), *series]
        return not last

    try:
        eventually(all_is_the_same, what="the same figures", timeout_s=3 * SETTLED_S, every_s=5)
    except AssertionError:
        return last
    return _compare_processors(kubelet, site)


def _compare_processors(kubelet: Node, site: Node) -> list[Difference]:
    before = [node.resource_metrics() for node in (kubelet, site)]

    def over_a_window() -> tuple[float, ...]:
        after = [node.resource_metrics() for node in (kubelet, site)]
        pages = zip(before, after, strict=True)
        found = [cpu_use(first, last, container="busy") for first, last in pages]
        windows_are_long = all(seconds >= WINDOW_S for _, seconds in found)
        return tuple(cores for cores, _ in found) if windows_are_long else ()

    what = f"figures of {WINDOW_S} s"
    theirs, ours = eventually(over_a_window, what=what, timeout_s=3 * WINDOW_S, every_s=5)
    if is_near(ours, theirs):
        return []
    return [Difference("busy", f"kubelet {theirs:.4f} cores, site {ours:.4f}")]


def _namespace(cluster: Cluster, name: str) -> Kubectl:
    cluster.kubectl.ok("delete", "namespace", name, "--ignore-not-found", timeout_s=120)
    cluster.kubectl.ok("create", "namespace", name)
    inside = cluster.kubectl.within(name)
    inside.wait("create", "serviceaccount/default", timeout_s=30)
    return inside


def main() -> int:
    """Compare, print, and return the exit status."""
    found = compare_figures(Cluster())
    for difference in found:
        sys.stdout.write(f"{difference}\n")
    sys.stdout.write(f"{len(found)} differences\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
