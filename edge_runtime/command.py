"""The ``edgelet`` command's way in: the edge itself at once, all else through `cli`."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

OPTION = "--config"


def main() -> None:
    """Console script."""
    match sys.argv[1:]:
        case ["run"]:
            sys.exit(_run(None))
        case ["run", option, file] if option == OPTION and not file.startswith("-"):
            sys.exit(_run(Path(file)))
        case ["run", both] if both.startswith(f"{OPTION}=") and both != f"{OPTION}=":
            sys.exit(_run(Path(both.removeprefix(f"{OPTION}="))))
        case _:
            from edge_runtime.cli import main as parse

            parse()


def _run(config: Path | None) -> int:
    # What is imported stays: to look through it for garbage meanwhile takes a sixth of that time.
    # `run` switches it on.
    gc.disable()
    from edge_runtime.run_command import run

    return run(config)
