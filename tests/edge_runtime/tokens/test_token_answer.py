"""What the provider says is looked at before it is stored or shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.tokens.token_answer import (
    MAX_ERROR_CHARS,
    MAX_TOKEN_BYTES,
    compute_refusal,
    format_unix_time_s,
    parse_unix_time_s,
)
from tunnel.sync import TokenPut

EXPIRY = "2026-01-01T01:00:00Z"


def _put(**fields: str) -> TokenPut:
    return TokenPut(**({"key": "k", "token": "t", "expiry": EXPIRY} | fields))


def test_token_with_times_is_good() -> None:
    """The time of its issue may be left out."""
    assert compute_refusal(_put()) == ""
    assert compute_refusal(_put(issued_at="2026-01-01T00:00:00Z")) == ""


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"token": "", "error": 'serviceaccounts "x" not found'}, 'serviceaccounts "x" not found'),
        ({"token": ""}, "the API server gave none"),
        ({"expiry": "soon"}, "the token came with a time that is none"),
        ({"expiry": ""}, "the token came with a time that is none"),
        ({"issued_at": "9999-99-99"}, "the token came with a time that is none"),
        ({"token": "t" * 65537}, f"the token has 65537 bytes, at most {MAX_TOKEN_BYTES} are kept"),
    ],
)
def test_refusal_is_named(fields: dict[str, str], refusal: str) -> None:
    """In the API server's words where there are some."""
    assert compute_refusal(_put(**fields)) == refusal


@given(st.text(min_size=1))
def test_refusal_speaks_to_no_terminal_and_has_an_end(error: str) -> None:
    """It ends up in events and logs."""
    refusal = compute_refusal(_put(token="", error=error * 500))
    assert refusal.isprintable()
    assert 0 < len(refusal) <= MAX_ERROR_CHARS


@given(st.integers(min_value=0, max_value=4_000_000_000))
def test_times_are_read_as_they_are_written(unix_time_s: int) -> None:
    """To the second, in UTC."""
    assert parse_unix_time_s(format_unix_time_s(unix_time_s)) == unix_time_s


def test_time_without_a_zone_is_utc() -> None:
    """Not this machine's."""
    assert parse_unix_time_s("1970-01-01T01:00:00") == 3600.0
