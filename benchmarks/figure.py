"""A figure beside its baseline."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table.

    Attributes:
        name: What was measured.
        value: Of edgelet, in `unit`.
        baseline: Of `baseline_name`, in the same unit and from the same run.
        unit: Such as `s` or `MB/s`.
        baseline_name: What it is compared with.
        spread: How far single measurements were apart, in words; empty for a single one.
    """

    name: str
    value: float
    baseline: float
    unit: str
    baseline_name: str
    spread: str = ""


def median_figure(
    name: str, values: Sequence[float], baselines: Sequence[float], *, unit: str, baseline_name: str
) -> Figure:
    """Return the medians of two series, with the range of the first."""
    return Figure(
        name=name,
        value=statistics.median(values),
        baseline=statistics.median(baselines),
        unit=unit,
        baseline_name=baseline_name,
        spread=f"{min(values):.3g} to {max(values):.3g}",
    )


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as aligned lines."""
    rows = [("figure", "edgelet", "baseline", "ratio", "range", "baseline is")]
    rows += [
        (
            one.name,
            f"{one.value:.3g} {one.unit}",
            f"{one.baseline:.3g} {one.unit}",
            f"{one.value / one.baseline:.2f}",
            one.spread,
            one.baseline_name,
        )
        for one in figures
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        "  ".join([*(row[i].ljust(widths[i]) for i in range(5)), row[5]]).rstrip() for row in rows
    )
