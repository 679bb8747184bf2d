"""Must show 2: a site tells of the same load what a real kubelet tells.

Same fields in /stats/summary, same series in /metrics/resource, values within 5 %; what may differ
stands in parity/figures.py with its reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.cluster import bring_up
from tests.e2e.parity.figures_side_by_side import compare_figures

if TYPE_CHECKING:
    from tests.e2e.cluster import Cluster


@pytest.fixture(scope="module")
def kubelet(cluster: Cluster, request: pytest.FixtureRequest) -> Cluster:
    """The devcluster with a real kubelet beside the site; it stays until the devcluster goes."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        failure = bring_up("--with-kubelet")
    assert not failure
    return cluster


def test_the_same_load_gives_the_same_figures(kubelet: Cluster) -> None:
    """Processors over half a minute, memory, layers, logs, the machine's filesystems."""
    found = compare_figures(kubelet)
    assert not found, "\n".join(map(str, found))
