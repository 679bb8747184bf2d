"""The command line: what is wrong is one sentence and exit status 2."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge_runtime.cli import app, load_config
from edge_runtime.config import EDGELET_VERSION, ConfigError

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


@pytest.mark.parametrize("module", ["grpc", "sqlite_utils", "websockets", "h2", "yaml", "uvloop"])
def test_import_of_the_cli_is_light(module: str) -> None:
    """`edgelet --help` answers at once."""
    code = f"import sys, edge_runtime.cli; sys.exit({module!r} in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_missing_file_is_named(tmp_path: Path) -> None:
    """With the reason of the operating system."""
    with pytest.raises(ConfigError, match=r"cannot read .*absent\.yaml: No such file"):
        load_config(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("siteName: [", r"config\.yaml is no YAML in line 1"),
        ("", r"config\.yaml: the document is not a mapping"),
        ("siteName: site-a\nspeed: 9\n", r"config\.yaml: object (contains unknown|missing)"),
        ("a: 1\n" * 300_000, r"config\.yaml has more than 1048576 bytes"),
    ],
)
def test_bad_file_is_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    """That names the file."""
    path = tmp_path / "config.yaml"
    path.write_text(text)

    with pytest.raises(ConfigError, match=said):
        load_config(path)


def test_bad_input_ends_with_status_2(tmp_path: Path) -> None:
    """And nothing but the sentence on standard error."""
    command = [sys.executable, "-m", "edge_runtime", "run", "--config", str(tmp_path / "absent")]

    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert result.returncode == 2
    assert result.stderr.splitlines() == [
        f"edgelet: cannot read {tmp_path}/absent: No such file or directory"
    ]
