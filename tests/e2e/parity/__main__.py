"""Run the twelve manifests on a site and on a real kubelet, and print every difference.

python -m tests.e2e.parity          exit status 1 if docs/parity.md leaves one unexplained

Needs a devcluster that was brought up with ``--with-kubelet``.
"""

from __future__ import annotations

import sys

from tests.e2e.cluster import Cluster
from tests.e2e.parity.side_by_side import DOCUMENT, compare


def main() -> int:
    """Compare, print, and return the exit status."""
    outcome = compare(Cluster())
    for difference in outcome.explained:
        print(f"explained   {difference}")
    for difference in outcome.unexplained:
        print(f"UNEXPLAINED {difference}")
    print(
        f"{len(outcome.explained)} differences explained in {DOCUMENT.name}, "
        f"{len(outcome.unexplained)} not"
    )
    return 1 if outcome.unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
