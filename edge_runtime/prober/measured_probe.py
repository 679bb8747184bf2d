"""Ask as a prober does, and count what came of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edge_runtime.telemetry.probe_metrics import ProbedBy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from edge_runtime.prober.prober import ProbeOutcome, ProbeTarget
    from edge_runtime.telemetry.probe_metrics import ProbeMetrics


class MeasuredProbe:
    """A probe whose attempts are counted; one of which nothing came is none.

    Args:
        probe: Asks once (prober.py); returns None when nothing came of it.
        metrics: Where they are counted.
        monotonic: A clock, in seconds.
    """

    def __init__(
        self,
        probe: Callable[[ProbeTarget], Awaitable[ProbeOutcome | None]],
        metrics: ProbeMetrics,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._probe = probe
        self._metrics = metrics
        self._monotonic = monotonic

    async def __call__(self, target: ProbeTarget) -> ProbeOutcome | None:
        """Ask once; cancelled, it counts nothing."""
        started_at_s = self._monotonic()
        outcome = await self._probe(target)
        if outcome is not None:
            self._metrics.answered(
                ProbedBy(
                    kind=target.spec.kind.value.removesuffix("Probe").capitalize(),
                    container=target.container.name,
                    pod=target.pod.name,
                    namespace=target.pod.namespace,
                    pod_uid=target.pod.uid,
                ),
                is_success=outcome.is_success,
                duration_s=self._monotonic() - started_at_s,
            )
        return outcome
