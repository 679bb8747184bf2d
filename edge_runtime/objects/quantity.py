"""Resource quantities: ``500m``, ``1.5``, ``64Mi``, ``2e3``.

Source: kubernetes staging/src/k8s.io/apimachinery/pkg/api/resource/quantity.go.
"""

from __future__ import annotations

import re
from fractions import Fraction

_BINARY = {f"{letter}i": 1024**power for power, letter in enumerate("KMGTPE", start=1)}
_DECIMAL = {"": Fraction(1)} | {
    suffix: Fraction(10) ** power
    for suffix, power in {
        "n": -9,
        "u": -6,
        "m": -3,
        "k": 3,
        "M": 6,
        "G": 9,
        "T": 12,
        "P": 15,
        "E": 18,
    }.items()
}
# The exponent comes last: "1E" is an exa, "1E3" an exponent.
_QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:\d+\.?\d*|\.\d+))"
    r"(?:(?P<suffix>[KMGTPE]i|[numkMGTPE])|[eE](?P<exponent>[+-]?\d{1,3}))?",
    re.ASCII,
)


class QuantityError(ValueError):
    """A text that is no resource quantity."""


def parse_quantity(text: str) -> Fraction:
    """Read a quantity exactly.

    Raises:
        QuantityError: The text is none.
    """
    found = _QUANTITY.fullmatch(text)
    if found is None:
        raise QuantityError(f"{text!r} is not a resource quantity")
    number = Fraction(found["number"].rstrip("."))
    if found["exponent"] is not None:
        return number * Fraction(10) ** int(found["exponent"])
    suffix = found["suffix"] or ""
    return number * (_BINARY.get(suffix) or _DECIMAL[suffix])


def whole_value(text: str) -> int:
    """Return the quantity in whole units, rounded up.

    Raises:
        QuantityError: The text is no quantity.
    """
    return _ceil(parse_quantity(text))


def milli_value(text: str) -> int:
    """Return the quantity in thousandths, rounded up.

    Raises:
        QuantityError: The text is no quantity.
    """
    return _ceil(parse_quantity(text) * 1000)


def format_milli(milli: int) -> str:
    """Write thousandths as a quantity: 1500 is ``1500m``, 2000 is ``2``."""
    return str(milli // 1000) if milli % 1000 == 0 else f"{milli}m"


def format_bytes(size_bytes: int) -> str:
    """Write bytes with the largest binary suffix that keeps the number whole."""
    if size_bytes == 0:
        return "0"
    suffix = ""
    for each in _BINARY:
        if size_bytes % _BINARY[each]:
            break
        suffix = each
    return f"{size_bytes // _BINARY[suffix]}{suffix}" if suffix else str(size_bytes)


def format_quantity(value: int, *, binary: bool) -> str:
    """Write a whole number as the API does: the largest suffix that keeps it whole.

    Args:
        value: Units or bytes.
        binary: With suffixes of 1024; below that, as a kubelet, with those of 1000 all the same.

    Source: kubernetes staging/src/k8s.io/apimachinery/pkg/api/resource/quantity.go
    ``CanonicalizeBytes``.
    """
    if binary and abs(value) >= 1024:
        return format_bytes(value)
    suffix = ""
    for each in "kMGTPE":
        if not value or value % _DECIMAL[each]:
            break
        suffix = each
    return f"{value // (_DECIMAL[suffix] if suffix else 1)}{suffix}"


def _ceil(value: Fraction) -> int:
    return -((-value.numerator) // value.denominator)
