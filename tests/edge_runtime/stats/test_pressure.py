"""Pressure files are read, whatever kernel wrote them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.objects.node_stats import Pressure, PressureShare
from edge_runtime.stats.pressure import parse_pressure

_NONE = PressureShare(avg10=0.0, avg60=0.0, avg300=0.0, total_us=0)


def test_some_and_full() -> None:
    """Shares in percent, totals in microseconds."""
    text = (
        "some avg10=97.87 avg60=97.55 avg300=95.76 total=6582509120\n"
        "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
    )
    some = PressureShare(avg10=97.87, avg60=97.55, avg300=95.76, total_us=6582509120)
    assert parse_pressure(text) == Pressure(some=some, full=_NONE)


def test_a_kernel_without_full_for_processors() -> None:
    """Before 5.13."""
    found = parse_pressure("some avg10=1.00 avg60=0.00 avg300=0.00 total=5\n")
    assert found is not None
    assert found.full == _NONE


@given(text=st.text(max_size=100))
def test_what_is_no_pressure_is_none(text: str) -> None:
    """Whatever stands there."""
    assert parse_pressure(text) is None
