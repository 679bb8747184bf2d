"""Numbers are shown as people write them."""

from __future__ import annotations

import pytest

from provider.status_page.amounts import (
    bytes_text,
    cores_text,
    duration_text,
    milliseconds_text,
)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "-"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (200 << 20, "200 MiB"),
        (5 << 40, "5.0 TiB"),
        (5000 << 40, "5000 TiB"),
    ],
)
def test_bytes(count: int | None, text: str) -> None:
    """In units of 1024, with a digit behind the point where it tells something."""
    assert bytes_text(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0s"),
        (0, "0s"),
        (59.6, "1m"),
        (61, "1m1s"),
        (3600, "1h"),
        (3605, "1h"),
        (90061, "1d1h"),
        (86400 * 40, "40d"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    """The two largest units, as kubectl has them; a clock that went back shows no minus."""
    assert duration_text(seconds) == text


def test_what_is_not_known_is_a_dash() -> None:
    """And not a zero."""
    assert cores_text(None) == milliseconds_text(None) == "-"
    assert (cores_text(249_600_000), milliseconds_text(0.01234)) == ("250m", "12.3 ms")
