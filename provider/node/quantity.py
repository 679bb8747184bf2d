"""Quantities of the Kubernetes API as exact numbers. Pure."""

from __future__ import annotations

import re
from fractions import Fraction

# The exponent is bounded, since the number is built in full.
_QUANTITY = re.compile(
    r"([+-]?(?:[0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40}))"
    r"(?:[eE]([+-]?[0-9]{1,2})|(n|u|m|k|[MGTPE]|[KMGTPE]i)?)"
)
_SUFFIXES = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 10**3),
    "": Fraction(1),
    "k": Fraction(10**3),
    **{letter: Fraction(1000**power) for power, letter in enumerate("MGTPE", 2)},
    **{f"{letter}i": Fraction(1024**power) for power, letter in enumerate("KMGTPE", 1)},
}


def parse_quantity(text: str) -> Fraction | None:
    """Return the amount that a quantity stands for, or None when it is none.

    Source: apimachinery/pkg/api/resource/quantity.go, the grammar above type Quantity.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return None
    exponent = Fraction(10) ** int(match[2]) if match[2] else Fraction(1)
    return Fraction(match[1]) * exponent * _SUFFIXES[match[3] or ""]
