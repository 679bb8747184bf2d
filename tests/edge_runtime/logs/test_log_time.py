"""Times as a log has them."""

from __future__ import annotations

import pytest

from edge_runtime.logs.log_time import TimestampParser, fixed_width

SECOND_NS = 1767323045 * 1_000_000_000  # 2026-01-02T03:04:05Z


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"2026-01-02T03:04:05Z", SECOND_NS),
        (b"2026-01-02T03:04:05.000000001Z", SECOND_NS + 1),
        (b"2026-01-02T05:04:05.5+02:00", SECOND_NS + 500_000_000),
        (b"2026-01-02T03:04:05", None),
        (b"nonsense", None),
        (b"", None),
        (b"\xff", None),
    ],
)
def test_times(text: bytes, expected: int | None) -> None:
    """Nanoseconds, with the zone of the machine or without."""
    assert TimestampParser().parse(text) == expected


def test_fixed_width_keeps_the_zone() -> None:
    """As a kubelet prints it."""
    assert fixed_width(b"2026-01-02T03:04:05.25+02:00") == b"2026-01-02T03:04:05.250000000+02:00"
    assert fixed_width(b"2026-01-02T03:04:05Z") == b"2026-01-02T03:04:05.000000000Z"
