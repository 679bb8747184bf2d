"""Moments as the API writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from provider.kube.timestamps import format_micro_time, format_time, utc_now


def test_other_zones_become_utc() -> None:
    """The API knows one zone."""
    moment = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=timezone(timedelta(hours=2)))
    assert format_time(moment) == "2026-01-02T01:04:05Z"
    assert format_micro_time(moment) == "2026-01-02T01:04:05.000678Z"


def test_micro_time_keeps_six_digits_of_zero() -> None:
    """metav1.MicroTime refuses fewer."""
    assert format_micro_time(datetime(2026, 1, 1, tzinfo=UTC)).endswith(":00.000000Z")
    assert utc_now().tzinfo is UTC
