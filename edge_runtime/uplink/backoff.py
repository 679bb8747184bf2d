"""How long to wait before the next dial: exponential with full jitter; pure."""

from __future__ import annotations

BASE_DELAY_S = 0.5
MAX_DELAY_S = 30.0
# After a cut the node must be Ready again within 10 s of the heal, so for as long as a cut may
# plausibly last the delays stay small; an edge that never had a session need not hurry.
RECENT_MAX_DELAY_S = 2.0
RECENT_S = 120.0
# A provider that has refused the edge for good changes its mind when a person does something.
FINAL_MAX_DELAY_S = 300.0
# A connection was a good one when it lasted so long, or brought more than HTTP/2's own greeting
# (preface, SETTINGS, WINDOW_UPDATE). Whoever upgrades and hangs up is not dialled at once for ever.
GOOD_AFTER_S = 5.0
GREETING_BYTES = 256


class Backoff:
    """Delays between dials.

    The n-th delay is uniform in (0, min(cap, base * 2^n)] ("full jitter": a thousand edges that
    lost one provider do not come back at one instant). The cap is ``recent_max_s`` while a
    session was lost less than ``recent_s`` ago or can still be resumed, else ``max_s``; after a
    refusal that is final it is ``final_max_s``. Only a connection that was a good one starts the
    delays anew: one that ends right after its upgrade is a failed dial like any other.

    Args:
        base_s: Upper bound of the first delay.
        max_s: Cap of the upper bound.
        recent_max_s: Cap soon after a loss.
        recent_s: How long "soon" is.
        final_max_s: Cap after a refusal that is final.
    """

    def __init__(
        self,
        *,
        base_s: float = BASE_DELAY_S,
        max_s: float = MAX_DELAY_S,
        recent_max_s: float = RECENT_MAX_DELAY_S,
        recent_s: float = RECENT_S,
        final_max_s: float = FINAL_MAX_DELAY_S,
    ) -> None:
        self._base_s = base_s
        self._max_s = max_s
        self._recent_max_s = recent_max_s
        self._recent_s = recent_s
        self._final_max_s = final_max_s
        self._failures = 0
        self._attached_at = 0.0
        self._lost_at: float | None = None

    def attached(self, *, now: float) -> None:
        """A dial ended in an attached session at ``now`` (monotonic seconds)."""
        self._attached_at = now

    def lost(self, *, now: float, received_bytes: int) -> None:
        """The attached session's connection was lost.

        Args:
            now: Monotonic seconds.
            received_bytes: What it brought.
        """
        lasted_s = now - self._attached_at
        if lasted_s >= GOOD_AFTER_S or received_bytes > GREETING_BYTES:
            self._failures = 0
            self._lost_at = now

    def next_delay_s(
        self, *, now: float, chance: float, resumable: bool = False, is_final: bool = False
    ) -> float:
        """Count one failed or lost attempt and return how many seconds to wait.

        Args:
            now: Monotonic seconds.
            chance: Uniform in [0, 1).
            resumable: Whether the lost session can still be resumed.
            is_final: Whether the attempt was refused for good.
        """
        is_recent = self._lost_at is not None and now - self._lost_at < self._recent_s
        cap_s = self._recent_max_s if resumable or is_recent else self._max_s
        if is_final:
            cap_s = self._final_max_s
        bound_s = min(cap_s, self._base_s * 2.0 ** min(self._failures, 32))
        self._failures += 1
        return bound_s * (1.0 - chance)
