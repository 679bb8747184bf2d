"""Ten thousand calls with random ends leave nothing behind in either process.

EDGELET_CHURN chooses another number.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CALLS = int(os.environ.get("EDGELET_CHURN", "10000"))
TIMEOUT_S = 100 + CALLS / 100
# Of resident memory.
SEND_GATE_FDS = 1
TOLERANCE = 0.05


@pytest.mark.timeout(TIMEOUT_S + 30)
def test_nothing_is_left_of_many_calls() -> None:
    """Memory within 5 %, and the same tasks, streams and file descriptors as before."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak.churn", "--calls", str(CALLS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert sum(report["outcomes"].values()) == CALLS
    assert len(report["outcomes"]) >= 8, "every kind of end was among them"
    assert report["reconnects"] == {}, "one connection did it all"
    for end in ("provider", "edge"):
        before, after = report["before"][end], report["after"][end]
        assert after["rss_bytes"] <= before["rss_bytes"] * (1 + TOLERANCE), report
        for what in ("streams", "pid"):
            assert after[what] == before[what], (end, what, report)
        # Idle connections of the API server's stand-in, each with a task, close meanwhile; and from
        # its first slow moment on, an end watches its one connection with a descriptor of its own.
        assert after["tasks"] <= before["tasks"], (end, report)
        assert after["fds"] <= before["fds"] + SEND_GATE_FDS, (end, report)
