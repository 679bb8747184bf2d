"""Which thresholds are met, since when, and what the Node's conditions say; pure.

    seen ── grace period over ──> acted on ── value + minimumReclaim free again ──> over
      └──> pressure condition, which stays for the transition period after it was last seen

Source: kubernetes pkg/kubelet/eviction/eviction_manager.go ``synchronize``, helpers.go
``thresholdsMet``, ``nodeConditionsObservedSince``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_runtime.eviction.observations import CONDITIONS, RESOURCES
from edge_runtime.objects.eviction_thresholds import Signal, Threshold

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edge_runtime.eviction.observations import Observation

# Source: KubeletConfiguration evictionPressureTransitionPeriod.
PRESSURE_TRANSITION_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdState:
    """What the last look left behind; times are monotonic seconds.

    Attributes:
        first_seen_at: When each threshold that is met now was first met.
        acted_on: Those met beyond their grace period, the ones to reclaim first at the front.
        last_seen_at: When each pressure was last seen.
        pressures: Conditions of the Node that are true, in the order of their types.
    """

    first_seen_at: Mapping[Threshold, float] = field(default_factory=dict)
    acted_on: tuple[Threshold, ...] = ()
    last_seen_at: Mapping[str, float] = field(default_factory=dict)
    pressures: tuple[str, ...] = ()


def advance(
    state: ThresholdState,
    thresholds: Iterable[Threshold],
    observations: Mapping[Signal, Observation],
    *,
    now: float,
    transition_s: float = PRESSURE_TRANSITION_S,
) -> ThresholdState:
    """Return the state after another look; a signal that was not observed meets no threshold."""
    met = thresholds_met(thresholds, observations)
    unresolved = thresholds_met(state.acted_on, observations, enforce_reclaim=True)
    met = (*met, *(each for each in unresolved if each not in met))
    first_seen_at = {each: state.first_seen_at.get(each, now) for each in met}
    seen = {CONDITIONS[RESOURCES[each.signal]]: now for each in met}
    last_seen_at = {**state.last_seen_at, **seen}
    acted_on = [each for each in met if now - first_seen_at[each] >= each.grace_period_s]
    # Memory comes first: without it nothing else can be done.
    acted_on.sort(key=lambda each: each.signal is not Signal.MEMORY_AVAILABLE)
    return ThresholdState(
        first_seen_at=first_seen_at,
        acted_on=tuple(acted_on),
        last_seen_at=last_seen_at,
        pressures=tuple(
            sorted(name for name, at in last_seen_at.items() if now - at < transition_s)
        ),
    )


def thresholds_met(
    thresholds: Iterable[Threshold],
    observations: Mapping[Signal, Observation],
    *,
    enforce_reclaim: bool = False,
) -> tuple[Threshold, ...]:
    """Return the thresholds below which the machine is.

    Args:
        thresholds: Those to look at.
        observations: What is left.
        enforce_reclaim: Ask for as much more as their minimumReclaim says.
    """
    return tuple(
        each
        for each in thresholds
        if each.signal in observations
        and observations[each.signal].available
        < _wanted(each, observations[each.signal].capacity, enforce_reclaim=enforce_reclaim)
    )


def _wanted(threshold: Threshold, capacity: int, *, enforce_reclaim: bool) -> int:
    wanted = threshold.value.of(capacity)
    if enforce_reclaim and threshold.minimum_reclaim is not None:
        wanted += threshold.minimum_reclaim.of(capacity)
    return wanted
