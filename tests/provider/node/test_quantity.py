"""Quantities as numbers."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.node.quantity import parse_quantity


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("2", 2),
        ("2000m", 2),
        ("16384000Ki", 16384000 * 1024),
        ("1.5Gi", 3 * 2**29),
        ("1e3", 1000),
        ("1E", 10**18),
        (".5", Fraction(1, 2)),
        ("5.", 5),
        ("100n", Fraction(1, 10**7)),
        ("x", None),
        ("", None),
        ("1.2.3", None),
        ("1e999999999", None),
    ],
)
def test_amounts(text: str, amount: Fraction | int | None) -> None:
    """Every suffix of the API, and nothing else."""
    assert parse_quantity(text) == amount


@given(st.text(alphabet="0123456789.eEmkKMGTPi+-", max_size=12))
def test_any_text_has_an_answer(text: str) -> None:
    """The edge says what it likes."""
    assert parse_quantity(text) is None or isinstance(parse_quantity(text), Fraction)
