"""When a certificate is renewed, and how long after a failure; pure.

not_before   obtained          70 %        90 %      not_after
─────┼───────────┼──────────────┼───────────┼────────────┼─────────────▶
     │  dated    │     wait     │   renew: one point in   │  recover
     │  back     │              │  here, by chance        │
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

EARLIEST = 0.7
LATEST = 0.9
BASE_RETRY_S = 1.0
# A machine may be offline for weeks, and a certificate lives for weeks.
MAX_RETRY_S = 3600.0
# Without a valid certificate there is no tunnel; whoever comes back is to be Ready soon.
MAX_RECOVERY_RETRY_S = 30.0
# Of what is left of the life, at most so much is waited between two attempts.
RETRY_SHARE = 0.1
MIN_RETRY_CAP_S = 0.5
# A clock may be set, a machine may sleep, and somebody may join anew meanwhile: no wait is longer.
LOOK_AGAIN_S = 60.0
# The same after a failure, which costs the provider something each time.
LONGEST_RETRY_S = 600.0


class Act(enum.Enum):
    """What to do now."""

    WAIT = enum.auto()
    RENEW = enum.auto()
    RECOVER = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalTime:
    """What ``compute_renewal`` decides.

    Attributes:
        act: What to do.
        wait_s: For how long to wait; 0 unless it is WAIT.
    """

    act: Act
    wait_s: float = 0.0


def compute_renewal(
    *, not_before: float, not_after: float, obtained_at: float, now: float, chance: float
) -> RenewalTime:
    """Decide what to do about a certificate.

    Args:
        not_before: Unix time, seconds; dated back from when it was issued.
        not_after: The same.
        obtained_at: When it came; counts as the begin of its life where that can be true.
        now: The time.
        chance: In [0, 1], one for each certificate: edges that joined together part.
    """
    if now >= not_after:
        return RenewalTime(act=Act.RECOVER)
    begin = obtained_at if not_before <= obtained_at < not_after else not_before
    renew_at = begin + (not_after - begin) * (EARLIEST + (LATEST - EARLIEST) * chance)
    if now >= renew_at:
        return RenewalTime(act=Act.RENEW)
    return RenewalTime(act=Act.WAIT, wait_s=renew_at - now)


def compute_retry_s(*, failures: int, left_s: float, chance: float, is_final: bool) -> float:
    """Decide how many seconds to wait after a failure.

    Args:
        failures: In a row, at least 1.
        left_s: Of the certificate's life; none or less when it has expired.
        chance: In [0, 1).
        is_final: Whether only a person can help, in which case nothing is urgent.
    """
    if is_final:
        return MAX_RETRY_S * (1.0 - 0.5 * chance)
    cap_s = MAX_RECOVERY_RETRY_S
    if left_s > 0:
        cap_s = min(MAX_RETRY_S, max(MIN_RETRY_CAP_S, left_s * RETRY_SHARE))
    bound_s = min(cap_s, BASE_RETRY_S * 2.0 ** min(failures - 1, 32))
    # Half of it at least: a provider that is overloaded is not asked again at once.
    return bound_s * (1.0 - 0.5 * chance)


def compute_pause_s(delay_s: float, *, has_failed: bool) -> float:
    """Return for how long to sleep of a delay before the time is looked at again."""
    return min(delay_s, LONGEST_RETRY_S if has_failed else LOOK_AGAIN_S)
