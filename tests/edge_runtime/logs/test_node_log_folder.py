"""The machine's own log folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_runtime.logs.descriptor import LogNotFound, LogReadError
from edge_runtime.logs.node_log_folder import NodeLogFile, NodeLogFolder

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_is_read_up_to_its_size_of_then(tmp_path: Path) -> None:
    """One that grows faster than it is read would have no end."""
    (tmp_path / "a").write_bytes(b"x" * 600_000)
    found = NodeLogFolder(str(tmp_path)).open(["a"])
    assert isinstance(found, NodeLogFile)
    with (tmp_path / "a").open("ab") as file:
        file.write(b"more")
    assert b"".join(iter(found.read, b"")) == b"x" * 600_000
    found.close()


def test_names_are_sorted_and_folders_marked(tmp_path: Path) -> None:
    """A link to a folder is none."""
    (tmp_path / "b").mkdir()
    (tmp_path / "a").touch()
    (tmp_path / "c").symlink_to(tmp_path, target_is_directory=True)
    assert NodeLogFolder(str(tmp_path)).open([]) == ["a", "b/", "c"]


@pytest.mark.parametrize("parts", [["c", "a"], ["c"]])
def test_links_are_refused(tmp_path: Path, parts: list[str]) -> None:
    """Wherever they lead."""
    (tmp_path / "a").touch()
    (tmp_path / "c").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(LogReadError):
        NodeLogFolder(str(tmp_path)).open(parts)


@pytest.mark.parametrize("parts", [["x"], [".."], ["a", "x"], ["a/.."], ["\0"], [""]])
def test_there_is_nothing_of_other_names(tmp_path: Path, parts: list[str]) -> None:
    """Also of those that are no names."""
    (tmp_path / "a").touch()
    with pytest.raises(LogNotFound):
        NodeLogFolder(str(tmp_path)).open(parts)
