"""Texts as Go writes them."""

from __future__ import annotations

import pytest

from edge_runtime.objects.go_text import go_quote, go_seconds


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (1, "1s"), (60, "1m0s"), (90, "1m30s"), (3600, "1h0m0s")]
)
def test_durations(seconds: int, text: str) -> None:
    """No unit is left out below the largest."""
    assert go_seconds(seconds) == text


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("sh -c x", '"sh -c x"'),
        ('a"b\\c', '"a\\"b\\\\c"'),
        ("a\n\t\x00é\u200b", '"a\\n\\t\\x00é\\u200b"'),
        ("\U000e0001", '"\\U000e0001"'),
        ("del\x7f nbsp\xa0", '"del\\x7f nbsp\\u00a0"'),
    ],
)
def test_quoted_text(text: str, quoted: str) -> None:
    """What cannot be printed is escaped."""
    assert go_quote(text) == quoted
