"""Times as a log has them, RFC 3339 with up to nine digits of fraction; pure."""

from __future__ import annotations

from datetime import datetime

FRACTION_DIGITS = 9
NS_PER_S = 1_000_000_000


class TimestampParser:
    """Read times of a log as nanoseconds; those of one second share the costly part."""

    def __init__(self) -> None:
        self._known: bytes | None = None
        self._known_s = 0

    def parse(self, text: bytes) -> int | None:
        """Return nanoseconds since the epoch, None for what is no RFC 3339 time with its zone."""
        head, fraction, zone = split_time(text)
        second = head + zone
        if second != self._known:
            try:
                moment = datetime.fromisoformat(second.decode("ascii"))
            except ValueError:
                return None
            if moment.tzinfo is None:
                return None
            self._known, self._known_s = second, int(moment.timestamp())
        digits = fraction[:FRACTION_DIGITS].ljust(FRACTION_DIGITS, b"0")
        return self._known_s * NS_PER_S + int(digits)


def fixed_width(time: bytes) -> bytes:
    """Write a time with nine digits of fraction, as a kubelet shows it."""
    head, fraction, zone = split_time(time)
    return head + b"." + fraction.ljust(FRACTION_DIGITS, b"0") + zone


def split_time(text: bytes) -> tuple[bytes, bytes, bytes]:
    """Split ``2026-01-02T03:04:05.678Z`` into seconds, fraction and zone."""
    head, tail = text[:19], text[19:]
    if not tail.startswith(b"."):
        return head, b"", tail
    digits = len(tail) - len(tail[1:].lstrip(b"0123456789"))
    return head, tail[1:digits], tail[digits:]
