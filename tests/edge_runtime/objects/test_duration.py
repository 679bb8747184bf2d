"""Durations, as Kubernetes configuration writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.objects.duration import parse_duration_s


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10s", 10.0),
        ("1m30s", 90.0),
        ("250ms", 0.25),
        ("1.5s", 1.5),
        ("2h", 7200.0),
        ("1h1m1s1ms", 3661.001),
    ],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    """Each unit once, the largest first."""
    assert parse_duration_s(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "0", "0s", "5", "-5s", "1s1m", "1m 30s", "1d", "\u0661s", "1S"]
)
def test_what_is_no_positive_duration_is_refused(text: str) -> None:
    """A period of nothing would be a loop that never rests."""
    with pytest.raises(ValueError, match="is not a duration such as 10s or 1m30s"):
        parse_duration_s(text)


@given(st.text())
def test_any_text_is_a_positive_duration_or_a_value_error(text: str) -> None:
    """No other exception, whatever stands in the file."""
    try:
        seconds = parse_duration_s(text)
    except ValueError:
        return
    assert seconds > 0


@given(
    st.integers(min_value=0, max_value=99),
    st.integers(min_value=0, max_value=99),
    st.integers(min_value=1, max_value=99),
)
def test_duration_adds_its_units(hours: int, minutes: int, seconds: int) -> None:
    """Units in descending order, each once."""
    text = f"{hours}h{minutes}m{seconds}s"
    assert parse_duration_s(text) == hours * 3600 + minutes * 60 + seconds
