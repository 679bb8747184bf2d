"""Must show 2: a site tells of the same load what a real kubelet tells.

Same fields in /stats/summary, same series in /metrics/resource, values within 5 %; what may differ
stands in parity/figures.py with its reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.parity.figures_side_by_side import compare_figures

if TYPE_CHECKING:
    from tests.e2e.cluster import Cluster


def test_the_same_load_gives_the_same_figures(kubelet: Cluster) -> None:
    """Processors over half a minute, memory, layers, logs, the machine's filesystems."""
    found = compare_figures(kubelet)
    assert not found, "\n".join(map(str, found))
