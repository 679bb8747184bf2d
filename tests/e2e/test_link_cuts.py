"""Cuts of the link while people work: every byte arrives once and in order, exit codes are true.

`make test` makes ten short cuts, `make faults` a hundred of up to a minute: EDGELET_CUTS and
EDGELET_LONGEST_CUT_S choose.
"""

from __future__ import annotations

import os
import statistics
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.e2e.cluster import read_environment
from tests.e2e.pods import container, pod
from tests.e2e.waiting import eventually
from tests.faults.cuts import Cut, Link, draw_cuts
from tests.faults.workload import NUMBERED_LINES, Workload

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.cluster import Cluster
    from tests.e2e.kubectl import Kubectl

CUTS = int(os.environ.get("EDGELET_CUTS", "10"))
LONGEST_CUT_S = float(os.environ.get("EDGELET_LONGEST_CUT_S", "3"))
SEED = int(os.environ.get("EDGELET_SEED", "4"))
MEAN_CUT_S = LONGEST_CUT_S / 6
BACK_WITHIN_S = 5.0
# After that a session is not back at all.
GIVE_UP_S = 60.0
SIZE = 100_000_000
# Of both processes together; replay buffers alone may take 16 MiB in each while a cut lasts.
MAX_GROWTH_BYTES = 40_000_000
PER_CUT_S = MEAN_CUT_S + BACK_WITHIN_S
POD = "worker"


@pytest.fixture(scope="module", autouse=True)
def worker(cluster: Cluster, kubectl: Kubectl) -> None:
    """A pod that echoes and writes numbered lines; it is not restarted when it ends."""
    kubectl.apply(
        pod(POD, container(script=NUMBERED_LINES), site=cluster.site, restartPolicy="Never")
    )
    kubectl.wait("condition=Ready", f"pod/{POD}", timeout_s=60)


@pytest.fixture
def link(cluster: Cluster) -> Iterator[Link]:
    """The site's link, whole again afterwards."""
    link = Link(cluster)
    yield link
    link.restore()


@pytest.mark.timeout(CUTS * (LONGEST_CUT_S / 2 + GIVE_UP_S) + 400, func_only=True)
def test_work_goes_on_through_every_cut(
    cluster: Cluster, kubectl: Kubectl, link: Link, pytestconfig: pytest.Config
) -> None:
    """An exec of 100 MB both ways, a followed log and a forwarded port outlive all of them."""
    cuts = draw_cuts(CUTS, longest_s=LONGEST_CUT_S, mean_s=MEAN_CUT_S, seed=SEED)
    before, resident = processes(), resident_bytes()
    with Workload(kubectl, POD, size=SIZE, lasts_s=CUTS * PER_CUT_S) as work:
        work.log.wait_for_more(timeout_s=20)
        back_s = [make(cut, link, work) for cut in cuts]
        work.finish()
    grown = resident_bytes() - resident
    show(pytestconfig, cuts, back_s, grown=grown)
    assert max(back_s) <= BACK_WITHIN_S
    assert processes() == before
    assert grown <= MAX_GROWTH_BYTES
    assert restarts(kubectl) == 0
    assert cluster.node_condition("Ready") == "True"


def make(cut: Cut, link: Link, work: Workload) -> float:
    """Make one cut, and return how many seconds after its heal the log went on."""
    time.sleep(cut.gap_s)
    link.cut(cut.kind)
    time.sleep(cut.length_s)
    link.heal(cut.kind)
    took_s = work.log.wait_for_more(timeout_s=GIVE_UP_S)
    for fault in (work.log.fault, work.port.fault):
        assert not fault, f"after {cut}: {fault}"
    return took_s


def processes() -> tuple[str, str]:
    """Return the provider's and the edge's process ids."""
    environment = read_environment()
    return environment["DEVCLUSTER_PROVIDER_PID"], environment["DEVCLUSTER_EDGE_PID"]


def resident_bytes() -> int:
    """Return what provider and edge hold together."""
    return sum(psutil.Process(int(pid)).memory_info().rss for pid in processes())


def restarts(kubectl: Kubectl) -> int:
    """Return the pod's restart count once its end is told."""
    status = eventually(
        lambda: kubectl.json("get", "pod", POD)["status"]["containerStatuses"][0],
        what="the pod has a container status",
        timeout_s=30,
    )
    return int(status["restartCount"])


def show(config: pytest.Config, cuts: list[Cut], back_s: list[float], *, grown: int) -> None:
    """Print how long the session took to be back, by kind of cut."""
    capture = config.pluginmanager.getplugin("capturemanager")
    terminal = config.pluginmanager.getplugin("terminalreporter")
    with capture.global_and_fixture_disabled():
        terminal.write_line(f"\nprovider and edge grew by {grown / 1e6:.1f} MB")
        terminal.write_line(f"{len(cuts)} cuts; seconds from the heal to the next line:")
        for kind in sorted({cut.kind.name for cut in cuts}):
            seen = [took for cut, took in zip(cuts, back_s, strict=True) if cut.kind.name == kind]
            cut_s = [cut.length_s for cut in cuts if cut.kind.name == kind]
            terminal.write_line(
                f"  {kind:10} {len(seen):3} of {min(cut_s):.1f} to {max(cut_s):.1f} s: "
                f"median {statistics.median(seen):.2f}, longest {max(seen):.2f}"
            )
