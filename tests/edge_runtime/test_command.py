"""The way into the ``edgelet`` command: an edge that runs carries no parser with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Told by the process itself, once its configuration was refused.
SCRIPT = """
import sys
from edge_runtime.command import main
sys.argv[1:] = {arguments}
try:
    main()
finally:
    print(*sorted({{each.partition(".")[0] for each in sys.modules}} & {{"typer", "pydantic"}}))
"""


def _main(*arguments: str) -> subprocess.CompletedProcess[str]:
    script = SCRIPT.format(arguments=list(arguments))
    command = [sys.executable, "-c", script]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", [("--config", "/absent"), ("--config=/absent",)])
def test_run_needs_no_parser(arguments: tuple[str, ...]) -> None:
    """However its one option is written."""
    result = _main("run", *arguments)

    assert result.returncode == 2
    assert result.stderr == "edgelet: cannot read /absent: No such file or directory\n"
    assert result.stdout.split() == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--config"),
        ("run", "--config="),
        ("run", "--config", "--help"),
        ("run", "--speed", "9"),
        ("run", "--config", "/a", "/b"),
        ("walk",),
    ],
)
def test_all_else_is_parsed(arguments: tuple[str, ...]) -> None:
    """And told in the words of the parser."""
    result = _main(*arguments)

    assert result.returncode == 2
    assert "typer" in result.stdout.split()
    assert result.stderr


def test_help_of_run() -> None:
    """Comes from the parser, too."""
    result = _main("run", "--help")

    assert result.returncode == 0
    assert "--config" in result.stdout
