"""Durations as Kubernetes configuration writes them; pure."""

from __future__ import annotations

import re

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?", re.ASCII)
_UNITS_S = (3600.0, 60.0, 1.0, 0.001)


def parse_duration_s(text: str) -> float:
    """Read a duration (``1m30s``, ``250ms``), in seconds.

    Raises:
        ValueError: The text is no positive duration.
    """
    match = _DURATION.fullmatch(text)
    seconds = 0.0
    if match is not None:
        parts = zip(match.groups(), _UNITS_S, strict=True)
        seconds = sum(float(part) * unit for part, unit in parts if part is not None)
    if seconds <= 0:
        raise ValueError(f"{text!r} is not a duration such as 10s or 1m30s")
    return seconds
