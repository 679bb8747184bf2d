"""When to PING, and when to give up."""

from __future__ import annotations

import pytest

from tunnel.liveness import MAX_PINGS_UNDER_WAY, PROBE_EVERY_S, Liveness


def test_a_ping_is_due_at_once_and_every_five_seconds() -> None:
    """The first round trip is known early."""
    liveness = Liveness()
    assert liveness.regular_ping(now=100.0) is not None
    assert liveness.regular_ping(now=104.9) is None
    assert liveness.next_at() == 105.0
    assert liveness.regular_ping(now=105.0) is not None


def test_answers_give_the_round_trip() -> None:
    """Of the PING that they answer; others mean nothing."""
    liveness = Liveness()
    assert liveness.round_trip_s is None
    opaque = liveness.ping(now=1.0)
    assert liveness.answered(b"12345678", now=1.1) is None
    assert liveness.answered(opaque, now=1.25) == pytest.approx(0.25)
    assert liveness.answered(opaque, now=1.3) is None
    assert liveness.round_trip_s == pytest.approx(0.25)


def test_silence_is_counted_from_what_is_owed() -> None:
    """An idle connection is not silent, and whatever is acknowledged ends the silence."""
    liveness = Liveness()
    assert liveness.silent_s(now=100.0) == 0.0
    opaque = liveness.ping(now=100.0)
    assert liveness.silent_s(now=103.0) == pytest.approx(3.0)
    liveness.acknowledged(now=104.0)
    assert liveness.silent_s(now=105.0) == pytest.approx(1.0)
    liveness.answered(opaque, now=106.0)
    assert liveness.silent_s(now=200.0) == 0.0


def test_silence_for_ten_seconds_is_death() -> None:
    """Counted from the oldest PING that nobody answered."""
    liveness = Liveness()
    assert not liveness.is_dead(now=1000.0)
    liveness.regular_ping(now=0.0)
    liveness.regular_ping(now=5.0)
    assert not liveness.is_dead(now=9.9)
    assert liveness.next_at() == 10.0
    assert liveness.is_dead(now=10.0)


def test_acknowledgements_keep_a_busy_link_alive() -> None:
    """A PING that waits behind a slow link's bytes is no death, as long as they arrive."""
    liveness = Liveness()
    liveness.regular_ping(now=0.0)
    liveness.acknowledged(now=8.0)
    assert not liveness.is_dead(now=17.9)
    assert liveness.is_dead(now=18.0)


def test_old_acknowledgements_do_not_help() -> None:
    """Only what came since the PING counts."""
    liveness = Liveness()
    liveness.acknowledged(now=50.0)
    liveness.regular_ping(now=60.0)
    assert liveness.is_dead(now=70.0)


def test_a_later_answer_covers_the_earlier_ping() -> None:
    """Answers come in order, so an earlier one will not come any more."""
    liveness = Liveness()
    liveness.ping(now=0.0)
    liveness.answered(liveness.ping(now=5.0), now=6.0)
    assert not liveness.is_dead(now=100.0)


def test_probes_are_few() -> None:
    """One under way, and one in 50 ms."""
    liveness = Liveness()
    probe = liveness.probing_ping(now=0.0)
    assert probe is not None
    assert liveness.probing_ping(now=1.0) is None
    liveness.answered(probe, now=1.0)
    second = liveness.probing_ping(now=1.0)
    assert second is not None
    liveness.answered(second, now=1.01)
    assert liveness.probing_ping(now=1.0 + PROBE_EVERY_S / 2) is None
    assert liveness.probing_ping(now=1.0 + PROBE_EVERY_S) is not None


def test_pings_under_way_are_bounded() -> None:
    """A peer that acknowledges and never answers costs no memory."""
    liveness = Liveness()
    opaques = [liveness.ping(now=float(number)) for number in range(MAX_PINGS_UNDER_WAY + 5)]
    assert liveness.answered(opaques[-1], now=30.0) is None
    assert liveness.answered(opaques[0], now=30.0) == 30.0
