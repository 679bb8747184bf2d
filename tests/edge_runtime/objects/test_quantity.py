"""Quantities: every suffix, exact values, refusals."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.objects.quantity import (
    QuantityError,
    format_bytes,
    format_milli,
    milli_value,
    parse_quantity,
    whole_value,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("1", 1),
        ("100m", Fraction(1, 10)),
        ("1.5", Fraction(3, 2)),
        ("64Mi", 64 << 20),
        ("1Ki", 1024),
        ("2Ei", 2 << 60),
        ("1E", 10**18),
        ("1e3", 1000),
        ("1E3", 1000),
        ("5.", 5),
        (".5Gi", 1 << 29),
        ("-2k", -2000),
        ("+3", 3),
        ("12n", Fraction(12, 10**9)),
        ("7u", Fraction(7, 10**6)),
        ("12e-3", Fraction(12, 1000)),
    ],
)
def test_suffixes_and_exponents_are_read_exactly(text: str, value: Fraction) -> None:
    """Every form that the API server accepts."""
    assert parse_quantity(text) == value


@pytest.mark.parametrize("text", ["", "m", "1 Mi", "1Mb", "1.2.3", "0x10", "1e", "Ki", "1KiB", "٣"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    """A wrong text is an error, never a zero."""
    with pytest.raises(QuantityError):
        parse_quantity(text)


def test_values_round_up() -> None:
    """A tenth of a unit still needs a whole one."""
    assert whole_value("1.1") == 2
    assert milli_value("1.0001") == 1001
    assert milli_value("250m") == 250
    assert whole_value("-1.5") == -1


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=1 << 70))
def test_formatted_values_read_back_the_same(value: int) -> None:
    """Writing loses nothing."""
    assert whole_value(format_bytes(value)) == value
    assert milli_value(format_milli(value)) == value


def test_bytes_keep_the_largest_whole_suffix() -> None:
    """As a user would write it."""
    assert format_bytes(64 << 20) == "64Mi"
    assert format_bytes(1000) == "1000"
    assert format_bytes(0) == "0"
    assert format_bytes(1536) == "1536"
