"""Parts of a cluster and the state file."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from devcluster.layout import ClusterLayout
from devcluster.parts import Parts
from devcluster.state import State, load_state

if TYPE_CHECKING:
    from pathlib import Path


def new_parts(root: Path) -> Parts:
    """Return the parts of a cluster without any."""
    return Parts(ClusterLayout(root=root, network="10.98.0"), State(network="10.98.0"))


def test_running_part_is_kept_and_a_dead_one_is_started(tmp_path: Path) -> None:
    """The state file follows."""
    parts = new_parts(tmp_path)
    first = parts.start("edge/site-a", ["sleep", "60"])
    assert parts.start("edge/site-a", ["sleep", "60"]) == first
    parts.stop(["edge/site-a"], number=signal.SIGKILL)
    assert parts.running("edge/site-a") is None
    second = parts.start("edge/site-a", ["sleep", "60"])
    assert second != first
    saved = load_state(tmp_path / "state.json")
    assert saved is not None
    assert saved.parts == {"edge/site-a": second}
    assert parts.log("edge/site-a") == tmp_path / "logs" / "edge-site-a.log"
    parts.stop(["edge/site-a", "never-started"])
    saved = load_state(tmp_path / "state.json")
    assert saved is not None
    assert saved.parts == {}


def test_part_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    """Nothing outlives `stop`."""
    parts = new_parts(tmp_path)
    script = "trap '' TERM; echo deaf; while :; do sleep 1; done"
    process = parts.start("provider/a", ["sh", "-c", script])
    parts.wait_ready(
        "provider/a", lambda: "deaf" in parts.log("provider/a").read_text(), timeout_s=5
    )
    parts.stop(["provider/a"], grace_s=0.05)
    assert parts.running("provider/a") is None
    assert process.pid > 0
