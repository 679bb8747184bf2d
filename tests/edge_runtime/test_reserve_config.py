"""Configuration of what pods cannot have: defaults of a kubelet, sums, and sentences."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from edge_runtime.objects.eviction_thresholds import DEFAULT_EVICTION_HARD, Signal
from edge_runtime.reserve_config import ReserveConfig, reserve_problem


def read(**document: Any) -> ReserveConfig:  # noqa: ANN401  # what YAML may hold
    """Read a configuration as it stands in the file."""
    return msgspec.convert(document, ReserveConfig)


def test_defaults_are_the_kubelets() -> None:
    """Nothing reserved, hard thresholds, five minutes of pressure."""
    config = read()
    assert reserve_problem(config) is None
    assert set(config.reserved.values()) == {0}
    assert [each.signal for each in config.thresholds] == list(DEFAULT_EVICTION_HARD)
    assert config.eviction_pressure_transition_period_s == 300.0


def test_reservations_add_up() -> None:
    """The machine's and edgelet's own are one to a pod."""
    config = read(
        systemReserved={"cpu": "500m", "memory": "1Gi"},
        kubeReserved={"cpu": "0.5", "ephemeral-storage": "1k"},
    )
    assert config.reserved == {"cpu": 1, "memory": 1 << 30, "ephemeral-storage": 1000}


def test_soft_thresholds_have_their_grace() -> None:
    """What stands in four fields is one threshold."""
    config = read(
        evictionHard={},
        evictionSoft={"memory.available": "1Gi"},
        evictionSoftGracePeriod={"memory.available": "1m30s"},
        evictionMinimumReclaim={"memory.available": "10%"},
    )
    assert reserve_problem(config) is None
    (threshold,) = config.thresholds
    assert (threshold.signal, threshold.grace_period_s) == (Signal.MEMORY_AVAILABLE, 90.0)
    assert threshold.minimum_reclaim is not None
    assert threshold.minimum_reclaim.of(1000) == 100


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"systemReserved": {"pid": "100"}}, "systemReserved: 'pid' cannot be reserved, only cpu"),
        ({"kubeReserved": {"memory": "-1"}}, "kubeReserved: memory: '-1' is less than 0"),
        ({"kubeReserved": {"cpu": "lots"}}, "kubeReserved: cpu: "),
        ({"evictionMaxPodGracePeriod": -1}, "evictionMaxPodGracePeriod: must not be negative"),
        ({"allowedUnsafeSysctls": ["vm.swappiness"]}, "allowedUnsafeSysctls: "),
        (
            {"evictionPressureTransitionPeriod": "0s"},
            "evictionPressureTransitionPeriod: '0s' is not a duration",
        ),
        (
            {"evictionSoftGracePeriod": {"memory.available": "x"}},
            "evictionSoftGracePeriod: memory.available: 'x' is not a duration",
        ),
        ({"evictionHard": {"memory": "1"}}, "evictionHard: 'memory' is no signal"),
        (
            {"evictionSoft": {"memory.available": "1"}},
            "evictionSoftGracePeriod: memory.available needs a grace period",
        ),
    ],
)
def test_what_makes_no_sense_is_named(document: dict[str, Any], problem: str) -> None:
    """Beginning with the field."""
    found = reserve_problem(read(**document))
    assert found is not None
    assert found.startswith(problem)
