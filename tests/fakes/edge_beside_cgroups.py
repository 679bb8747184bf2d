"""`edgelet run` with a folder in place of the machine's control groups.

What it runs there is confined by nobody, so a fake runtime goes with it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from edge_runtime.app import run_edge
from edge_runtime.config_file import load_config

MODULE = "tests.fakes.edge_beside_cgroups"
_CONTROLLERS = ("cpu", "memory", "pids")


def arguments(*, config: Path, groups: Path) -> tuple[str, ...]:
    """Make the folder look like control groups of version 1; return Python's arguments."""
    for controller in _CONTROLLERS:
        (groups / controller).mkdir(parents=True, exist_ok=True)
    return ("-m", MODULE, str(config), str(groups))


def main() -> None:
    """Run the edge until a signal stops it."""
    config, groups = map(Path, sys.argv[1:])
    sys.exit(run_edge(load_config(config), cgroup_mount=groups))


if __name__ == "__main__":
    main()
