"""The parts of the edge's configuration that keep pods from taking all of the machine; pure.

Names and defaults are KubeletConfiguration's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edge_runtime.housekeeping_config import HousekeepingConfig
from edge_runtime.objects.duration import parse_duration_s
from edge_runtime.objects.eviction_thresholds import (
    DEFAULT_EVICTION_HARD,
    ThresholdError,
    parse_thresholds,
)
from edge_runtime.objects.quantity import QuantityError, parse_quantity
from edge_runtime.objects.sysctls import SysctlError, sysctl_allowlist

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

    from edge_runtime.objects.eviction_thresholds import Threshold

# Source: kubernetes cmd/kubelet/app/server.go ``parseResourceList``; pid is not enforced here.
RESERVABLE = ("cpu", "memory", "ephemeral-storage")


class ReserveConfig(
    HousekeepingConfig, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """What is the machine's own, and what pods may change of it.

    Attributes:
        system_reserved: Resource to quantity that is the machine's own: pods cannot have it.
        kube_reserved: The same for edgelet and the container runtime.
        eviction_hard: Signal to quantity or percentage: with less, a pod is ended at once.
        eviction_soft: The same, borne for its grace period.
        eviction_soft_grace_period: Signal to duration.
        eviction_minimum_reclaim: How much more must be free before it is over.
        eviction_max_pod_grace_period: Seconds that a pod gets at most at a soft threshold.
        eviction_pressure_transition_period: How long a pressure is told after it was seen last, a
            duration.
        allowed_unsafe_sysctls: Kernel parameters, or patterns ending in ``*``, that pods may set
            besides the safe ones.
    """

    system_reserved: dict[str, str] = msgspec.field(default_factory=dict)
    kube_reserved: dict[str, str] = msgspec.field(default_factory=dict)
    eviction_hard: dict[str, str] = msgspec.field(
        default_factory=lambda: dict(DEFAULT_EVICTION_HARD)
    )
    eviction_soft: dict[str, str] = msgspec.field(default_factory=dict)
    eviction_soft_grace_period: dict[str, str] = msgspec.field(default_factory=dict)
    eviction_minimum_reclaim: dict[str, str] = msgspec.field(default_factory=dict)
    eviction_max_pod_grace_period: int = 0
    eviction_pressure_transition_period: str = "5m"
    allowed_unsafe_sysctls: tuple[str, ...] = ()

    @property
    def eviction_pressure_transition_period_s(self) -> float:
        """``eviction_pressure_transition_period`` in seconds."""
        return parse_duration_s(self.eviction_pressure_transition_period)

    @property
    def thresholds(self) -> tuple[Threshold, ...]:
        """All eviction thresholds, the hard ones first."""
        return parse_thresholds(
            hard=self.eviction_hard,
            soft=self.eviction_soft,
            soft_grace_periods_s={
                signal: parse_duration_s(text)
                for signal, text in self.eviction_soft_grace_period.items()
            },
            minimum_reclaim=self.eviction_minimum_reclaim,
        )

    @property
    def reserved(self) -> Mapping[str, Fraction]:
        """What pods cannot have: ``system_reserved`` and ``kube_reserved`` together."""
        total = {name: parse_quantity("0") for name in RESERVABLE}
        for reserved in (self.system_reserved, self.kube_reserved):
            for name, text in reserved.items():
                total[name] += parse_quantity(text)
        return total


def reserve_problem(config: ReserveConfig) -> str | None:
    """Say what is wrong, beginning with the field; None for nothing."""
    for field, reserved in (
        ("systemReserved", config.system_reserved),
        ("kubeReserved", config.kube_reserved),
    ):
        problem = next(filter(None, map(_reserve_problem, reserved.items())), None)
        if problem is not None:
            return f"{field}: {problem}"
    if config.eviction_max_pod_grace_period < 0:
        return "evictionMaxPodGracePeriod: must not be negative"
    try:
        sysctl_allowlist(kernel_version="", unsafe=config.allowed_unsafe_sysctls)
    except SysctlError as exc:
        return f"allowedUnsafeSysctls: {exc}"
    return _eviction_problem(config)


def _reserve_problem(reserved: tuple[str, str]) -> str | None:
    name, text = reserved
    if name not in RESERVABLE:
        return f"{name!r} cannot be reserved, only {', '.join(RESERVABLE)}"
    try:
        return f"{name}: {text!r} is less than 0" if parse_quantity(text) < 0 else None
    except QuantityError as exc:
        return f"{name}: {exc}"


def _eviction_problem(config: ReserveConfig) -> str | None:
    try:
        parse_duration_s(config.eviction_pressure_transition_period)
    except ValueError as exc:
        return f"evictionPressureTransitionPeriod: {exc}"
    for signal, text in config.eviction_soft_grace_period.items():
        try:
            parse_duration_s(text)
        except ValueError as exc:
            return f"evictionSoftGracePeriod: {signal}: {exc}"
    try:
        _ = config.thresholds
    except ThresholdError as exc:
        return str(exc)
    return None
