"""The past of the link is bounded, and no interruption is too short to be seen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from provider.status_page.link_history import MAX_SAMPLES, LinkHistory

_START = datetime(2026, 11, 1, tzinfo=UTC)


def test_a_loss_between_two_samples_is_seen() -> None:
    """The link was back in time for the second one."""
    history = LinkHistory()
    history.add(at=_START, is_connected=True, round_trip_s=0.01)
    history.lost()
    for second in (30, 60):
        at = _START + timedelta(seconds=second)
        history.add(at=at, is_connected=True, round_trip_s=0.02)
    assert [each.is_connected for each in history.samples()] == [True, False, True]
    assert history.samples()[1].round_trip_s == 0.02


def test_without_a_connection_there_is_no_round_trip() -> None:
    """What was measured last is of a link that is no more."""
    history = LinkHistory()
    history.add(at=_START, is_connected=False, round_trip_s=0.01)
    assert history.samples()[0].round_trip_s is None


def test_the_oldest_goes() -> None:
    """A provider runs for months."""
    history = LinkHistory()
    for index in range(MAX_SAMPLES + 3):
        at = _START + timedelta(seconds=index)
        history.add(at=at, is_connected=True, round_trip_s=None)
    assert len(history.samples()) == MAX_SAMPLES
    assert history.samples()[0].at == _START + timedelta(seconds=3)
