"""``edgelet run``: what it does, without the parser of the command line.

That parser (typer, with pydantic behind it) would stay resident for as long as the edge runs: some
9 MiB. So `command.py` comes here directly where there is nothing to parse.
"""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

from edge_runtime.config import ConfigError
from edge_runtime.config_file import load_config

if TYPE_CHECKING:
    from pathlib import Path

# Bad input: the configuration, a file that it names, or another edgelet that holds its state.
EXIT_BAD_INPUT = 2


def run(config: Path | None) -> int:
    """Run the edge until SIGTERM or SIGINT; return the exit status.

    What was imported by then is never looked through for garbage again.

    Args:
        config: The configuration file; None is all defaults.
    """
    try:
        edge_config = load_config(config)
    except ConfigError as exc:
        return _refuse(exc)

    from edge_runtime.app import StartRefused, run_edge

    gc.freeze()
    gc.enable()
    try:
        return run_edge(edge_config)
    except StartRefused as exc:
        return _refuse(exc)


def _refuse(reason: Exception) -> int:
    sys.stderr.write(f"edgelet: {reason}\n")
    return EXIT_BAD_INPUT
