"""What came of probes, as ``/metrics/probes`` shows it: by container, gone with its pod.

Source: kubernetes pkg/kubelet/prober/prober_manager.go ``ProberResults``, ``ProberDuration``.
"""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbedBy:
    """One probe of one container.

    Attributes:
        kind: ``Liveness``, ``Readiness`` or ``Startup``.
    """

    kind: str
    container: str
    pod: str
    namespace: str
    pod_uid: str


class ProbeMetrics:
    """Counts attempts; bounded by the probes of the pods that are there.

    Attributes:
        registry: Whoever serves them collects from it.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._probes: dict[str, set[ProbedBy]] = {}
        self._results = Counter(
            "prober_probe",
            "Attempts of liveness, readiness and startup probes, by container and result.",
            labelnames=["probe_type", "result", "container", "pod", "namespace", "pod_uid"],
            registry=self.registry,
        )
        self._durations = Histogram(
            "prober_probe_duration_seconds",
            "How long attempts took that succeeded.",
            labelnames=["probe_type", "container", "pod", "namespace"],
            registry=self.registry,
        )

    def answered(self, probe: ProbedBy, *, is_success: bool, duration_s: float) -> None:
        """Count an attempt that says something of its container."""
        self._probes.setdefault(probe.pod_uid, set()).add(probe)
        result = "successful" if is_success else "failed"
        self._results.labels(*_with_result(probe, result)).inc()
        if is_success:
            self._durations.labels(*_without_result(probe)).observe(duration_s)

    def forget(self, pod_uid: str) -> None:
        """Drop the series of a pod that has ended."""
        for probe in self._probes.pop(pod_uid, ()):
            for result in ("successful", "failed"):
                self._results.remove(*_with_result(probe, result))
            self._durations.remove(*_without_result(probe))


def _with_result(probe: ProbedBy, result: str) -> tuple[str, ...]:
    return probe.kind, result, probe.container, probe.pod, probe.namespace, probe.pod_uid


def _without_result(probe: ProbedBy) -> tuple[str, ...]:
    return probe.kind, probe.container, probe.pod, probe.namespace
