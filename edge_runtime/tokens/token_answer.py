"""Reads what the provider says to a want for a token; pure.

Its words are shown to people, and its times are reckoned with: both are looked at first.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunnel.sync import TokenPut

# The largest tokens known, of clusters with long audiences, have some 4 KiB.
MAX_TOKEN_BYTES = 64 << 10
MAX_ERROR_CHARS = 1024


def compute_refusal(answer: TokenPut) -> str:
    """Return why an answer holds no usable token, in one printable line; "" if it does."""
    if answer.error or not answer.token:
        words = (answer.error or "the API server gave none")[:MAX_ERROR_CHARS]
        return "".join(each if each.isprintable() else " " for each in words)
    if len(answer.token) > MAX_TOKEN_BYTES:
        return f"the token has {len(answer.token)} bytes, at most {MAX_TOKEN_BYTES} are kept"
    try:
        parse_unix_time_s(answer.expiry)
        if answer.issued_at:
            parse_unix_time_s(answer.issued_at)
    except (ValueError, OverflowError):
        return "the token came with a time that is none"
    return ""


def parse_unix_time_s(text: str) -> float:
    """Return the Unix time of an RFC 3339 text, UTC where it names no zone.

    Raises:
        ValueError: It is no time.
        OverflowError: It is none that can be reckoned with.
    """
    parsed = datetime.fromisoformat(text)
    return parsed.replace(tzinfo=parsed.tzinfo or UTC).timestamp()


def format_unix_time_s(unix_time_s: float) -> str:
    """Return a Unix time as RFC 3339."""
    return datetime.fromtimestamp(unix_time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
