"""Figures are medians, and the table has one line for each."""

from __future__ import annotations

from benchmarks.figure import Figure, median_figure, table


def test_a_median_figure_has_both_medians_and_the_range() -> None:
    """One slow outlier does not move the figure, and shows in the range."""
    figure = median_figure("f", [1.0, 2.0, 9.0], [4.0, 4.0, 4.0], unit="s", baseline_name="b")
    assert (figure.value, figure.baseline, figure.spread) == (2.0, 4.0, "1 to 9")


def test_the_table_shows_the_ratio_to_the_baseline() -> None:
    """Edgelet's value over the baseline's."""
    figure = Figure(name="f", value=3.0, baseline=2.0, unit="s", baseline_name="bare")
    head, line = table([figure]).splitlines()
    assert head.split()[0] == "figure"
    assert line.split() == ["f", "3", "s", "2", "s", "1.50", "bare"]
