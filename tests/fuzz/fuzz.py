"""Run one target under atheris, for as long as one likes.

    .venv/bin/python -m pip install atheris
    .venv/bin/python -m tests.fuzz.fuzz sync -max_total_time=600

What follows the target's name goes to libFuzzer. A folder that is named keeps what it found between
runs; the seeds of tests/fuzz/seeds.py are put there first. A crash is written to the current folder
and can be given again in place of a folder. Atheris is not in requirements.lock.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

try:
    import atheris  # type: ignore[import-untyped,unused-ignore]
except ImportError:
    sys.exit("atheris is missing: .venv/bin/python -m pip install atheris")

with atheris.instrument_imports(include=["tunnel", "provider.kubelet_api", "edge_runtime.api"]):
    from tests.fuzz.seeds import seeds
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Parse the target's name and run it until libFuzzer is done."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: python -m tests.fuzz.fuzz {{{','.join(TARGETS)}}} [LIBFUZZER OPTIONS]")
    name = sys.argv.pop(1)
    with tempfile.TemporaryDirectory(prefix=f"edgelet-fuzz-{name}-") as folder:
        for number, seed in enumerate(seeds(name)):
            (Path(folder) / f"seed-{number}").write_bytes(seed)
        atheris.Setup([*sys.argv, folder], TARGETS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
