"""When a service account token is renewed; pure.

Source: kubernetes pkg/kubelet/token/token_manager.go ``requiresRefresh``.
"""

from __future__ import annotations

MAX_AGE_S = 24 * 3600.0
SHARE_OF_LIFE = 0.8
MAX_JITTER_S = 10.0
# An answer that does not come is asked for again: first after so long, then after twice as long.
FIRST_RETRY_S = 10.0
MAX_RETRY_S = 600.0


def compute_renewal_age_s(*, life_s: float, chance: float) -> float:
    """Return at which age a token is to be renewed, seconds.

    Args:
        life_s: From its issue to its expiry.
        chance: In [0, 1): tokens of one moment part.
    """
    return max(min(life_s * SHARE_OF_LIFE, MAX_AGE_S) - MAX_JITTER_S * chance, 0.0)


def compute_wait_s(
    *, issued_at_s: float, expires_at_s: float, now_s: float, chance: float
) -> float:
    """Return how long a token that was kept may still wait for its renewal, seconds.

    Args:
        issued_at_s: Unix time, by the clock of who issued it.
        expires_at_s: The same.
        now_s: Unix time, by this machine's clock.
        chance: As above.
    """
    age_s = now_s - issued_at_s
    if age_s < 0:
        # This machine's clock is behind, as after a start without a battery: it cannot tell.
        return 0.0
    renewal_age_s = compute_renewal_age_s(life_s=expires_at_s - issued_at_s, chance=chance)
    return max(renewal_age_s - age_s, 0.0)


def compute_retry_s(*, attempts: int) -> float:
    """Return how long an answer is waited for before it is asked for again, seconds.

    Args:
        attempts: How often it was asked for, at least once.
    """
    return min(FIRST_RETRY_S * 2.0 ** min(attempts - 1, 32), MAX_RETRY_S)
