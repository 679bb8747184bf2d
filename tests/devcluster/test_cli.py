"""The command line."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from devcluster import cli
from devcluster.layout import PROJECT_ROOT
from devcluster.state import State, save_state

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cluster folder that is no one's."""
    monkeypatch.setenv("DEVCLUSTER_DIR", str(tmp_path / "cluster"))
    return tmp_path / "cluster"


def test_help_has_examples() -> None:
    """`--help` of the module and of a command show what to type."""
    for arguments in ([], ["up"]):
        done = subprocess.run(
            [sys.executable, "-m", "devcluster", *arguments, "--help"],
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert "examples:\n  python -m devcluster up" in done.stdout


@pytest.mark.parametrize("command", [["env"], ["status"], ["stop", "edge", "site-a"]])
def test_without_a_cluster_the_way_to_one_is_told(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence, status 1."""
    assert cli.main(command) == 1
    assert "python -m devcluster up" in capsys.readouterr().err


def test_missing_rights_end_with_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing has been done by then."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert cli.main(["up"]) == 2
    assert "sudo" in capsys.readouterr().err


@pytest.mark.parametrize("sites", ["Site_A", "a,,b", "-a"])
def test_bad_site_name_is_refused(sites: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence names the site."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["up", f"--sites={sites}"])
    assert caught.value.code == 2
    assert "DNS label" in capsys.readouterr().err


def test_unknown_site_names_those_that_are_there(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sentence helps to type the next command."""
    save_state(folder / "state.json", State(network="10.98.0", sites=["north", "south"]))
    assert cli.main(["link", "cut", "west"]) == 1
    assert "north, south" in capsys.readouterr().err


def test_status_tells_what_does_not_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A part that has ended is shown, and the exit status says so."""
    save_state(folder / "state.json", State(network="10.98.0", sites=["north"], edgelet=False))
    assert cli.main(["status"]) == 1
    shown = capsys.readouterr().out
    assert "containerd/north" in shown
    assert "not running" in shown
    assert "provider/north" not in shown
    assert "link north: absent" in shown
