"""Resident memory of provider and edge, beside the same code merely imported."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from benchmarks.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.setting import Setting

MODULES = {"provider": "provider.app", "edge": "edge_runtime.app"}
IMPORT_TIMEOUT_S = 60
MB = 1_000_000


def measure(setting: Setting) -> Iterator[Figure]:
    """Yield a figure for each end, while the benchmark's pods run."""
    for part, module in MODULES.items():
        yield Figure(
            name=f"resident memory of the {part}",
            value=setting.process(part).memory_info().rss / MB,
            baseline=_import_rss(module) / MB,
            unit="MB",
            baseline_name=f"a Python that has imported {module} and does nothing",
        )


def _import_rss(module: str) -> int:
    """Return the resident bytes of a fresh interpreter after the import."""
    script = f"import psutil, {module}; print(psutil.Process().memory_info().rss)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=IMPORT_TIMEOUT_S,
        check=True,
    )
    return int(done.stdout)
