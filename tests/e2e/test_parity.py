"""Must show 4: twelve pods on a site and on a kubelet tell the same, but for what is explained.

What differs and why is in docs/parity.md; `python -m tests.e2e.parity` prints all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.parity.side_by_side import DOCUMENT, compare

if TYPE_CHECKING:
    from tests.e2e.cluster import Cluster


def test_twelve_pods_tell_what_a_kubelet_tells(kubelet: Cluster) -> None:
    """Statuses over their life, as they settle and at the end, and events."""
    outcome = compare(kubelet)
    told = "\n".join(map(str, outcome.unexplained))
    assert not outcome.unexplained, f"not explained in {DOCUMENT}:\n{told}"
