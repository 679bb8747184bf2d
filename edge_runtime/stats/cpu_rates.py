"""CpuRates: how fast groups use processors, from one reading to the next; pure.

Source: kubernetes pkg/kubelet/stats/cri_stats_provider.go ``getAndUpdateContainerUsageNanoCores``.
"""

from __future__ import annotations

_NS_PER_S = 1_000_000_000
# Two readings nearer to each other say little: the kernel counts by ticks of some milliseconds.
MIN_INTERVAL_NS = 100_000_000


class CpuRates:
    """Remembers one reading per group; those that were not in the last round are forgotten."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, int]] = {}
        self._rates: dict[str, int] = {}
        self._seen: set[str] = set()

    def put(self, group: str, *, usage_ns: int, at_ns: int) -> int | None:
        """Take a reading, and return the use per second since the one before.

        Args:
            group: Whose reading it is.
            usage_ns: Core-nanoseconds since the group was made.
            at_ns: When it was read, on a clock that is never set back.

        Returns:
            Billionths of a core; None with the first reading, and when the counter went back, as
            of a group that was made again.
        """
        self._seen.add(group)
        last = self._last.get(group)
        if last is None or usage_ns < last[0]:
            self._last[group] = (usage_ns, at_ns)
            self._rates.pop(group, None)
            return None
        interval_ns = at_ns - last[1]
        if interval_ns >= MIN_INTERVAL_NS:
            self._last[group] = (usage_ns, at_ns)
            self._rates[group] = (usage_ns - last[0]) * _NS_PER_S // interval_ns
        return self._rates.get(group)

    def end_round(self) -> None:
        """Forget the groups that were not read since the last call."""
        for group in self._last.keys() - self._seen:
            del self._last[group]
            self._rates.pop(group, None)
        self._seen = set()
