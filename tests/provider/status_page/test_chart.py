"""The picture shows every interruption and stays within its frame."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from provider.status_page.chart import link_chart
from provider.status_page.site_view import SampleView

_START = datetime(2026, 11, 1, tzinfo=UTC)


def _samples(trips_s: list[float | None]) -> list[SampleView]:
    return [
        SampleView(
            at=_START + timedelta(seconds=30 * index),
            connected=trip_s is not None,
            round_trip_seconds=trip_s,
        )
        for index, trip_s in enumerate(trips_s)
    ]


def test_nothing_is_drawn_of_no_samples() -> None:
    """Just after the start."""
    assert link_chart([]) == ""


def test_an_interruption_is_a_band_from_the_last_good_sample() -> None:
    """Between two lines, and told in words."""
    picture = link_chart(_samples([0.01, 0.01, None, None, 0.02]))
    assert picture.count('<rect class="gap"') == 1
    assert picture.count("<polyline") == 2
    assert "at most 20.0 ms, 1 interruption<" in picture


@given(trips_s=st.lists(st.none() | st.floats(0, 60), min_size=1, max_size=50))
def test_the_picture_is_well_formed_and_within_its_frame(trips_s: list[float | None]) -> None:
    """Whatever the link did."""
    picture = link_chart(_samples(trips_s))
    ElementTree.fromstring(f"<div>{picture}</div>")  # noqa: S314  # our own picture
    for points in re.findall(r'points="([^"]*)"', picture):
        for point in points.split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= 720
            assert 0 <= y <= 120
