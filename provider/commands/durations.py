"""Lengths of time as people write them: 90s, 15m, 24h, 30d."""

from __future__ import annotations

import re

from provider.commands.failure import BadInput

_DURATION = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration_s(text: str, *, option: str) -> float:
    """Return a length of time in seconds.

    Args:
        text: As ``24h``.
        option: Which option it is the value of, for the message.

    Raises:
        BadInput: It is none.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise BadInput(f"{option} {text!r} is no length of time such as 90s, 15m, 24h or 30d")
    return float(match[1]) * _UNITS_S[match[2]]
