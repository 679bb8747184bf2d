"""Thresholds over time: grace, reclaim, pressures."""

from __future__ import annotations

from edge_runtime.eviction.observations import Observation
from edge_runtime.eviction.thresholds import ThresholdState, advance, thresholds_met
from edge_runtime.objects.eviction_thresholds import Signal, Threshold, ThresholdValue

MIB = 1 << 20
HARD = Threshold(signal=Signal.MEMORY_AVAILABLE, value=ThresholdValue("100Mi"))
SOFT = Threshold(
    signal=Signal.NODEFS_AVAILABLE,
    value=ThresholdValue("10%"),
    grace_period_s=90,
    minimum_reclaim=ThresholdValue("5"),
)


def memory(available_mib: int) -> dict[Signal, Observation]:
    """A machine of 1000 MiB."""
    return {Signal.MEMORY_AVAILABLE: Observation(available_mib * MIB, 1000 * MIB)}


def disk(available: int) -> dict[Signal, Observation]:
    """A disk of 100 bytes."""
    return {Signal.NODEFS_AVAILABLE: Observation(available, 100)}


def test_hard_threshold_is_acted_on_at_once() -> None:
    """And not while exactly as much is left as must be."""
    state = advance(ThresholdState(), [HARD], memory(100), now=0)
    assert (state.acted_on, state.pressures) == ((), ())
    state = advance(state, [HARD], memory(99), now=10)
    assert (state.acted_on, state.pressures) == ((HARD,), ("MemoryPressure",))


def test_pressure_stays_for_the_transition_period() -> None:
    """Or pods would come and go with every swing; acting ends at once."""
    state = advance(ThresholdState(), [HARD], memory(99), now=10)
    state = advance(state, [HARD], memory(500), now=309)
    assert (state.acted_on, state.pressures) == ((), ("MemoryPressure",))
    assert advance(state, [HARD], memory(500), now=310).pressures == ()


def test_soft_threshold_is_borne_for_its_grace_period() -> None:
    """It is a pressure from the first moment; a better look in between begins anew."""
    state = advance(ThresholdState(), [SOFT], disk(9), now=0)
    assert (state.acted_on, state.pressures) == ((), ("DiskPressure",))
    state = advance(state, [SOFT], disk(9), now=89)
    assert state.acted_on == ()
    state = advance(state, [SOFT], disk(10), now=89.5)
    state = advance(state, [SOFT], disk(9), now=90)
    assert state.acted_on == ()
    assert advance(state, [SOFT], disk(9), now=180).acted_on == (SOFT,)


def test_what_was_acted_on_is_over_when_the_minimum_is_reclaimed() -> None:
    """Or the next look but one would end the next pod."""
    state = advance(ThresholdState(), [SOFT], disk(9), now=0)
    state = advance(state, [SOFT], disk(9), now=90)
    state = advance(state, [SOFT], disk(14), now=100)
    assert state.acted_on == (SOFT,)
    assert advance(state, [SOFT], disk(15), now=110).acted_on == ()


def test_memory_goes_before_all_others() -> None:
    """Without it nothing else can be done."""
    hard_disk = Threshold(signal=Signal.NODEFS_AVAILABLE, value=ThresholdValue("10%"))
    seen = disk(1) | memory(1)
    state = advance(ThresholdState(), [hard_disk, HARD], seen, now=0)
    assert state.acted_on == (HARD, hard_disk)
    assert state.pressures == ("DiskPressure", "MemoryPressure")


def test_signal_that_is_not_observed_meets_nothing() -> None:
    """A filesystem without inodes never lacks them."""
    assert thresholds_met([HARD, SOFT], {}) == ()
