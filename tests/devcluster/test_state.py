"""The state file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devcluster.errors import DevclusterError
from devcluster.state import Process, State, load_state, save_state

if TYPE_CHECKING:
    from pathlib import Path


def test_state_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    """Saving and loading changes nothing."""
    process = Process(pid=7, start_ticks=8, boot_id="b")
    state = State(network="10.98.0", sites=["a", "b"], parts={"etcd": process}, edgelet=False)
    save_state(tmp_path / "sub" / "state.json", state)
    assert load_state(tmp_path / "sub" / "state.json") == state


def test_no_file_is_no_cluster(tmp_path: Path) -> None:
    """A missing file is no error."""
    assert load_state(tmp_path / "state.json") is None


def test_damaged_file_is_named(tmp_path: Path) -> None:
    """A file that is no state is an error that names it."""
    file = tmp_path / "state.json"
    file.write_text('{"network": 3}')
    with pytest.raises(DevclusterError, match=r"state\.json"):
        load_state(file)
