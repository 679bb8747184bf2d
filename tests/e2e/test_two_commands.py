"""Must show 1: `make demo` alone shows it all, and `make down` leaves the machine as it was.

A devcluster of its own (`DEVCLUSTER_DIR`) is used, so that the one of the other tests, or of the
person who runs them, is not touched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from devcluster.layout import ClusterLayout
from tests.e2e.cluster import ROOT, Cluster
from tests.e2e.machine import read_traces

if TYPE_CHECKING:
    from collections.abc import Iterator

# Beside other tests, which have the processors half of the time, twice that.
WARM_DEMO_S = 180 if "PYTEST_XDIST_WORKER" in os.environ else 90
MAKE_TIMEOUT_S = 240
# What the demo has to print, in its order: one of each of the outputs that the README names.
OUTPUTS = (
    "Ready",
    "containerd://",
    "edgelet.dev/site=",
    "3/3",
    "crashing",
    "exit code 3",
    "Forwarding from",
    "Unauthorized",
)


@pytest.fixture
def own_folder() -> Iterator[Path]:
    """A folder for the second devcluster; short, since sockets live below it."""
    folder = Path("/tmp/edgelet-e2e-demo")
    make("down", folder)  # of an earlier run that was interrupted
    yield folder
    make("down", folder)
    shutil.rmtree(folder, ignore_errors=True)


def make(target: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one make target for the devcluster of that folder, with nothing on standard input."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", "--no-print-directory", target],
        cwd=ROOT,
        env={**inherited, "DEVCLUSTER_DIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=MAKE_TIMEOUT_S,
        stdin=subprocess.DEVNULL,
        check=False,
    )


@pytest.mark.timeout(600, func_only=True)
def test_the_demo_shows_all_and_down_leaves_nothing(cluster: Cluster, own_folder: Path) -> None:
    """From nothing to the outputs in 90 s of a machine with warm caches, and back to nothing."""
    assert cluster.node_condition("Ready") == "True"
    layout = ClusterLayout(root=own_folder, network="")
    before = read_traces(layout)
    started = time.monotonic()
    demo = make("demo", own_folder)
    took_s = time.monotonic() - started
    assert demo.returncode == 0, f"{demo.stdout[-6000:]}\n{demo.stderr[-3000:]}"
    missing = [text for text in OUTPUTS if text not in demo.stdout]
    assert not missing, f"not in what the demo printed: {missing}\n{demo.stdout}"
    assert took_s < WARM_DEMO_S, f"make demo took {took_s:.0f} s with warm caches"

    again = make("demo", own_folder)
    assert again.returncode == 0, f"on a running devcluster: {again.stdout[-6000:]}{again.stderr}"

    down = make("down", own_folder)
    assert down.returncode == 0, down.stdout + down.stderr
    after = read_traces(layout)
    assert after.added_since(before) == {}
    assert after.missing_since(before) == {}
    assert cluster.node_condition("Ready") == "True", "the other devcluster was not touched"


def test_down_without_a_devcluster_is_no_error(own_folder: Path) -> None:
    """Twice down is down."""
    down = make("down", own_folder)
    assert down.returncode == 0, down.stdout + down.stderr
