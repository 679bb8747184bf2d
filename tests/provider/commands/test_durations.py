"""Lengths of time as people write them."""

from __future__ import annotations

import pytest

from provider.commands.durations import parse_duration_s
from provider.commands.failure import BadInput


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("24h", 86400), ("30d", 30 * 86400), ("999999s", 999999)],
)
def test_a_number_and_a_unit(text: str, seconds: float) -> None:
    """Seconds, minutes, hours, days."""
    assert parse_duration_s(text, option="--ttl") == seconds


@pytest.mark.parametrize(
    "text", ["", "1", "0s", "-1h", "1.5h", "1w", "1h30m", " 1h", "1h\n", "\uff19h"]
)
def test_anything_else_is_refused_with_the_options_name(text: str) -> None:
    """The sentence names the option."""
    with pytest.raises(BadInput, match=r"--ttl .* is no length of time"):
        parse_duration_s(text, option="--ttl")
