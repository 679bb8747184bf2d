"""Thresholds as the configuration writes them."""

from __future__ import annotations

import pytest

from edge_runtime.objects.eviction_thresholds import (
    DEFAULT_EVICTION_HARD,
    Signal,
    Threshold,
    ThresholdError,
    ThresholdValue,
    hard_reservation,
    parse_thresholds,
)

MIB = 1 << 20
HARD = Threshold(signal=Signal.MEMORY_AVAILABLE, value=ThresholdValue("100Mi"))
SOFT = Threshold(
    signal=Signal.NODEFS_AVAILABLE,
    value=ThresholdValue("10%"),
    grace_period_s=90,
    minimum_reclaim=ThresholdValue("5"),
)


@pytest.mark.parametrize(
    ("text", "capacity", "expected"),
    [
        ("100Mi", 0, 100 * MIB),
        ("10%", 1000, 100),
        # 32 bits of a tenth are a little more than a tenth.
        ("10%", 10_000_000_000, 1_000_000_014),
        ("12.5%", 1000, 125),
        ("1k", 5, 1000),
    ],
)
def test_values(text: str, capacity: int, expected: int) -> None:
    """As a kubelet computes them."""
    assert ThresholdValue(text).of(capacity) == expected


def test_parsing() -> None:
    """Hard ones first; 0% and 100% are none."""
    found = parse_thresholds(
        hard={"memory.available": "100Mi", "imagefs.available": "0%", "pid.available": "100%"},
        soft={"nodefs.available": "10%"},
        soft_grace_periods_s={"nodefs.available": 90},
        minimum_reclaim={"nodefs.available": "5"},
    )
    assert found == (HARD, SOFT)
    assert [each.is_hard for each in found] == [True, False]


@pytest.mark.parametrize(
    ("hard", "soft", "grace", "reclaim", "problem"),
    [
        ({"memory": "1"}, {}, {}, {}, "evictionHard: 'memory' is no signal"),
        ({"memory.available": "x"}, {}, {}, {}, "evictionHard: memory.available: 'x'"),
        ({"memory.available": "0"}, {}, {}, {}, "must be more than 0"),
        ({"memory.available": "-1"}, {}, {}, {}, "out of range"),
        ({"memory.available": "101%"}, {}, {}, {}, "out of range"),
        ({"memory.available": "x%"}, {}, {}, {}, "no percentage"),
        ({}, {"memory.available": "1"}, {}, {}, "needs a grace period"),
        ({}, {}, {"nope": 1.0}, {}, "evictionSoftGracePeriod: 'nope'"),
        ({}, {}, {}, {"nope": "1"}, "evictionMinimumReclaim: 'nope'"),
        ({}, {}, {}, {"memory.available": "-5"}, "out of range"),
    ],
)
def test_what_makes_no_sense_is_named(
    hard: dict[str, str],
    soft: dict[str, str],
    grace: dict[str, float],
    reclaim: dict[str, str],
    problem: str,
) -> None:
    """With the field and the signal."""
    with pytest.raises(ThresholdError, match=problem):
        parse_thresholds(hard=hard, soft=soft, soft_grace_periods_s=grace, minimum_reclaim=reclaim)


def test_hard_thresholds_are_kept_from_pods() -> None:
    """Memory and storage; soft ones and other signals are not."""
    found = parse_thresholds(
        hard=DEFAULT_EVICTION_HARD,
        soft={"memory.available": "500Mi"},
        soft_grace_periods_s={"memory.available": 1},
        minimum_reclaim={},
    )
    capacity = {"memory": 1000 * MIB, "ephemeral-storage": 1000}
    assert hard_reservation(found, capacity) == {"memory": 100 * MIB, "ephemeral-storage": 100}
