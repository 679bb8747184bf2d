"""Pressure stall information, as the kernel writes it; pure.

Source: kernel Documentation/accounting/psi.rst.
"""

from __future__ import annotations

import re

from edge_runtime.objects.node_stats import Pressure, PressureShare

_LINE = re.compile(
    r"(some|full) avg10=([0-9]+\.[0-9]+) avg60=([0-9]+\.[0-9]+)"
    r" avg300=([0-9]+\.[0-9]+) total=([0-9]+)"
)
_NONE = PressureShare(avg10=0.0, avg60=0.0, avg300=0.0, total_us=0)


def parse_pressure(text: str) -> Pressure | None:
    """Read a pressure file; None for what is none, as where the kernel was told not to count.

    Old kernels have no line "full" for processors: nothing waits there when something runs.
    """
    found = {
        kind: PressureShare(
            avg10=float(avg10), avg60=float(avg60), avg300=float(avg300), total_us=int(total)
        )
        for kind, avg10, avg60, avg300, total in _LINE.findall(text)
    }
    if "some" not in found:
        return None
    return Pressure(some=found["some"], full=found.get("full", _NONE))
