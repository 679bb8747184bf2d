"""References in commands, arguments and environment values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.runtime.expansion import expand, references


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(B)z", "x1y2z"),
        ("$(MISSING)", "$(MISSING)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$$$$(A)", "$$(A)"),
        ("$A", "$A"),
        ("$", "$"),
        ("a$", "a$"),
        ("$(A", "$(A"),
        ("$()", "$()"),
        ("$((A))", "$((A))"),
        ("$(A)$(A)", "11"),
        ("é$(A)é", "é1é"),
    ],
)
def test_expand(text: str, expected: str) -> None:
    """The rules of the kubelet's expansion, case by case."""
    assert expand(text, {"A": "1", "B": "2"}) == expected


@given(st.text(alphabet=st.characters(exclude_characters="$")))
def test_text_without_dollar_stays(text: str) -> None:
    """Only a dollar means anything."""
    assert expand(text, {"A": "1"}) == text


@given(st.text(alphabet="$()A x"))
def test_escaping_every_dollar_keeps_any_text(text: str) -> None:
    """What a user escapes comes out as it was meant."""
    assert expand(text.replace("$", "$$"), {"A": "1"}) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", set()),
        ("$A ${B} $(", set()),
        ("$(A)/$(B)$(A)", {"A", "B"}),
        ("$$(A)/$$$(B)", {"B"}),
        ("$()", {""}),
    ],
)
def test_references(text: str, expected: set[str]) -> None:
    """What is escaped refers to nothing."""
    assert references(text) == expected
