"""How little of a resource may be left before the machine defends itself.

    memory.available < 100Mi       a quantity
    nodefs.available < 10%         a share of the capacity

Source: kubernetes pkg/kubelet/eviction/helpers.go ``ParseThresholdConfig``,
pkg/kubelet/eviction/api/types.go.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from edge_runtime.objects.quantity import QuantityError, parse_quantity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Signal(enum.StrEnum):
    """What is measured; the values are KubeletConfiguration's."""

    MEMORY_AVAILABLE = "memory.available"
    NODEFS_AVAILABLE = "nodefs.available"
    NODEFS_INODES_FREE = "nodefs.inodesFree"
    IMAGEFS_AVAILABLE = "imagefs.available"
    IMAGEFS_INODES_FREE = "imagefs.inodesFree"
    PID_AVAILABLE = "pid.available"


# Source: kubernetes pkg/kubelet/eviction/defaults_linux.go ``DefaultEvictionHard``.
DEFAULT_EVICTION_HARD: Mapping[str, str] = {
    Signal.MEMORY_AVAILABLE: "100Mi",
    Signal.NODEFS_AVAILABLE: "10%",
    Signal.NODEFS_INODES_FREE: "5%",
    Signal.IMAGEFS_AVAILABLE: "15%",
    Signal.IMAGEFS_INODES_FREE: "5%",
}


class ThresholdError(ValueError):
    """A threshold that makes no sense; one sentence that names field and signal."""


@dataclass(frozen=True, slots=True)
class ThresholdValue:
    """A quantity, or a share of the capacity.

    Attributes:
        text: As it was written, ``100Mi`` or ``10%``.
    """

    text: str

    def of(self, capacity: int) -> int:
        """Return how much that is, of a resource of which there is so much in all."""
        if not self.text.endswith("%"):
            value = parse_quantity(self.text)
            return -(-value.numerator // value.denominator)
        # A kubelet keeps the share in 32 bits, which shows in the last bytes of large disks.
        (share,) = struct.unpack("f", struct.pack("f", _percent(self.text)))
        (share,) = struct.unpack("f", struct.pack("f", share / 100))
        return int(capacity * float(share))


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """Less than this is too little.

    Attributes:
        grace_period_s: How long too little is borne; 0 is a hard threshold.
        minimum_reclaim: How much more must be free before it is over.
    """

    signal: Signal
    value: ThresholdValue
    grace_period_s: float = 0.0
    minimum_reclaim: ThresholdValue | None = None

    @property
    def is_hard(self) -> bool:
        """Whether nothing is borne: pods get a second to end."""
        return self.grace_period_s == 0


def parse_thresholds(
    *,
    hard: Mapping[str, str],
    soft: Mapping[str, str],
    soft_grace_periods_s: Mapping[str, float],
    minimum_reclaim: Mapping[str, str],
) -> tuple[Threshold, ...]:
    """Read the thresholds of the configuration.

    Raises:
        ThresholdError: A signal or value is none, or a soft threshold has no grace period.
    """
    for name, values in (
        ("evictionSoftGracePeriod", soft_grace_periods_s),
        ("evictionMinimumReclaim", minimum_reclaim),
    ):
        for signal in values:
            _signal(name, signal)
    reclaims = {
        signal: _value("evictionMinimumReclaim", signal, text)
        for signal, text in minimum_reclaim.items()
    }
    found = [
        Threshold(signal=signal, value=value, minimum_reclaim=reclaims.get(signal))
        for signal, value in _statements("evictionHard", hard)
    ]
    for signal, value in _statements("evictionSoft", soft):
        grace_period_s = soft_grace_periods_s.get(signal, 0.0)
        if grace_period_s <= 0:
            raise ThresholdError(f"evictionSoftGracePeriod: {signal} needs a grace period")
        found.append(
            Threshold(
                signal=signal,
                value=value,
                grace_period_s=grace_period_s,
                minimum_reclaim=reclaims.get(signal),
            )
        )
    return tuple(found)


def hard_reservation(
    thresholds: tuple[Threshold, ...], capacity: Mapping[str, int]
) -> dict[str, int]:
    """Return how much of memory and storage the hard thresholds keep from pods.

    Source: kubernetes pkg/kubelet/cm/helpers.go ``hardEvictionReservation``.
    """
    resources = {
        Signal.MEMORY_AVAILABLE: "memory",
        Signal.NODEFS_AVAILABLE: "ephemeral-storage",
    }
    return {
        name: each.value.of(capacity[name])
        for each in thresholds
        if each.is_hard and (name := resources.get(each.signal)) is not None
    }


def _statements(
    field: str, statements: Mapping[str, str]
) -> Iterator[tuple[Signal, ThresholdValue]]:
    for name, text in statements.items():
        signal = _signal(field, name)
        if text not in ("0%", "100%"):  # a kubelet takes both for "no threshold"
            value = _value(field, name, text)
            if not text.endswith("%") and value.of(0) <= 0:
                raise ThresholdError(f"{field}: {name} must be more than 0")
            yield signal, value


def _signal(field: str, name: str) -> Signal:
    try:
        return Signal(name)
    except ValueError:
        known = ", ".join(Signal)
        raise ThresholdError(f"{field}: {name!r} is no signal; known are {known}") from None


def _value(field: str, name: str, text: str) -> ThresholdValue:
    try:
        value = _percent(text) if text.endswith("%") else parse_quantity(text)
    except ValueError as exc:
        raise ThresholdError(f"{field}: {name}: {exc}") from exc
    if value < 0 or (text.endswith("%") and value > 100):
        raise ThresholdError(f"{field}: {name}: {text!r} is out of range")
    return ThresholdValue(text)


def _percent(text: str) -> float:
    try:
        return float(Fraction(text.removesuffix("%")))
    except (ValueError, ZeroDivisionError):
        raise QuantityError(f"{text!r} is no percentage") from None
