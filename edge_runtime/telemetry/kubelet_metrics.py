"""What a kubelet counts of its own work, under its names: dashboards and alerts know them.

Source: kubernetes pkg/kubelet/metrics/metrics.go.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from prometheus_client import Counter, Histogram

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

# 5 ms to 12.4 min, each 2.5 times the one before.
_CALL_BUCKETS = tuple(0.005 * 2.5**power for power in range(14))
_START_BUCKETS = (
    *(0.5, 1, 2, 3, 4, 5, 6, 8, 10, 20, 30, 45, 60, 120, 180),
    *(240, 300, 360, 480, 600, 900, 1200, 1800, 2700, 3600),
)
# Names of calls that a kubelet does not simply write in small letters.
_OPERATIONS = {"UpdateContainerResources": "update_container"}
_WORD = re.compile(r"(?<!^)(?=[A-Z])")


class KubeletMetrics:
    """Histograms and counters; no method waits."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._operations: dict[str, str] = {}
        self._calls = Counter(
            "kubelet_runtime_operations",
            "Calls to the container runtime, by operation.",
            labelnames=["operation_type"],
            registry=registry,
        )
        self._call_errors = Counter(
            "kubelet_runtime_operations_errors",
            "Calls to the container runtime that failed, by operation.",
            labelnames=["operation_type"],
            registry=registry,
        )
        self._call_durations = Histogram(
            "kubelet_runtime_operations_duration_seconds",
            "How long calls to the container runtime took, by operation.",
            labelnames=["operation_type"],
            buckets=_CALL_BUCKETS,
            registry=registry,
        )
        self._relists = Histogram(
            "kubelet_pleg_relist_duration_seconds",
            "How long looks at the whole container runtime took.",
            registry=registry,
        )
        self._relist_intervals = Histogram(
            "kubelet_pleg_relist_interval_seconds",
            "From one look at the whole container runtime to the next.",
            registry=registry,
        )
        self._pod_work = Histogram(
            "kubelet_pod_worker_duration_seconds",
            "How long one step of work on a pod took, by what was done with it.",
            labelnames=["operation_type"],
            registry=registry,
        )
        self._pod_starts = Histogram(
            "kubelet_pod_start_duration_seconds",
            "From when a pod was first seen to when it ran, with the pulls of its images.",
            buckets=_START_BUCKETS,
            registry=registry,
        )

    def called(self, method: str, *, duration_s: float, has_failed: bool) -> None:
        """Count a call to the runtime; ``method`` as CRI names it, such as ``RunPodSandbox``."""
        operation = self._operations.get(method)
        if operation is None:
            operation = self._operations[method] = _operation(method)
        self._calls.labels(operation).inc()
        self._call_durations.labels(operation).observe(duration_s)
        if has_failed:
            self._call_errors.labels(operation).inc()

    def relisted(self, *, duration_s: float, interval_s: float | None) -> None:
        """Count a look at the whole runtime; None as interval for the first."""
        self._relists.observe(duration_s)
        if interval_s is not None:
            self._relist_intervals.observe(interval_s)

    def worked(self, operation: str, *, duration_s: float) -> None:
        """Count a step of work on a pod; ``operation`` is one of a few words."""
        self._pod_work.labels(operation).observe(duration_s)

    def started(self, duration_s: float) -> None:
        """Count a pod that began to run."""
        self._pod_starts.observe(duration_s)


def _operation(method: str) -> str:
    """Return ``run_podsandbox`` for ``RunPodSandbox``.

    Source: kubernetes pkg/kubelet/kuberuntime/instrumented_services.go.
    """
    known = _OPERATIONS.get(method)
    return known or _WORD.sub("_", method.replace("PodSandbox", "Podsandbox")).lower()
