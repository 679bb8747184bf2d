"""The command line: what is wrong is one sentence and exit status 2."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge_runtime.cli import app, join
from edge_runtime.config import EDGELET_VERSION
from edge_runtime.uplink.enrolment_error import Trouble

ROOT = Path(__file__).parents[2]


def test_help_shows_an_example() -> None:
    """Without any of the heavy imports' time."""
    result = CliRunner().invoke(app, ["run", "--help"])

    assert result.exit_code == 0
    assert "edgelet run --config" in result.output


def test_version_is_one_line() -> None:
    """For scripts."""
    result = CliRunner().invoke(app, ["version"])

    assert result.output == f"{EDGELET_VERSION}\n"


@pytest.mark.parametrize(
    "module",
    ["grpc", "sqlite3", "websockets", "h2", "yaml", "uvloop", "cryptography", "ssl"],
)
def test_import_of_the_cli_is_light(module: str) -> None:
    """`edgelet --help` answers at once."""
    code = f"import sys, edge_runtime.cli; sys.exit({module!r} in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_bad_input_ends_with_status_2(tmp_path: Path) -> None:
    """And nothing but the sentence on standard error."""
    command = [sys.executable, "-m", "edge_runtime", "run", "--config", str(tmp_path / "absent")]

    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert result.returncode == 2
    assert result.stderr.splitlines() == [
        f"edgelet: cannot read {tmp_path}/absent: No such file or directory"
    ]


def test_help_of_join_says_why_not_on_the_command_line() -> None:
    """And names the other ways."""
    result = CliRunner().invoke(app, ["join", "--help"], env={"COLUMNS": "200"})

    assert result.exit_code == 0
    for word in (
        "list of processes",
        "--token-file",
        "EDGELET_TOKEN",
        "--force",
        "23 the site has",
    ):
        assert word in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name the provider with --server"),
        (["--server", "cloud"], "option --server: 'cloud' is not HOST:PORT"),
        (["--server", "cloud:1", "--token-file", "/absent"], "cannot read /absent: No such file"),
        (["--server", "cloud:1", "--token-file", "/absent", "t"], "not both"),
        (["--server", "cloud:1", "--config", "/absent"], "cannot read /absent"),
    ],
)
def test_bad_option_of_join_ends_with_status_2(arguments: list[str], said: str) -> None:
    """Before anything is done."""
    result = CliRunner().invoke(app, ["join", *arguments])

    assert result.exit_code == 2
    assert said in result.output


def test_every_trouble_has_an_exit_status_of_its_own_and_stands_in_the_help() -> None:
    """They are an interface: a number that moved would send scripts astray."""
    statuses = {trouble.name: trouble.exit_status for trouble in Trouble}

    assert len(set(statuses.values())) == len(statuses)
    assert statuses["TOKEN_USED"] == 14
    assert statuses["SITE_HAS_EDGE"] == 23
    text = " ".join((join.__doc__ or "").split())
    for trouble in Trouble:
        if trouble not in (Trouble.RECOVERY_TOO_LATE, Trouble.EXPIRED):
            assert re.search(rf"[\s,]{trouble.exit_status} [a-zA-Z]", text), trouble
