"""Tests of edge_runtime/telemetry/probe_metrics.py."""

from __future__ import annotations

import dataclasses

from edge_runtime.telemetry.probe_metrics import ProbedBy, ProbeMetrics

PROBE = ProbedBy(kind="Readiness", container="c", pod="p", namespace="ns", pod_uid="u")
LABELS = {"probe_type": "Readiness", "container": "c", "pod": "p", "namespace": "ns"}


def _count(metrics: ProbeMetrics, result: str, uid: str = "u") -> float | None:
    labels = {**LABELS, "result": result, "pod_uid": uid}
    return metrics.registry.get_sample_value("prober_probe_total", labels)


def test_attempts_are_counted_by_result() -> None:
    """Only those that succeeded are timed, as a kubelet does."""
    metrics = ProbeMetrics()
    metrics.answered(PROBE, is_success=True, duration_s=0.25)
    metrics.answered(PROBE, is_success=False, duration_s=9)
    metrics.answered(PROBE, is_success=False, duration_s=9)
    assert _count(metrics, "successful") == 1
    assert _count(metrics, "failed") == 2
    name = "prober_probe_duration_seconds_sum"
    assert metrics.registry.get_sample_value(name, LABELS) == 0.25


def test_a_pod_that_has_ended_leaves_nothing() -> None:
    """A node outlives thousands of pods."""
    metrics = ProbeMetrics()
    other = dataclasses.replace(PROBE, pod="q", pod_uid="v")
    metrics.answered(PROBE, is_success=True, duration_s=1)
    metrics.answered(PROBE, is_success=False, duration_s=1)
    metrics.answered(other, is_success=True, duration_s=1)
    metrics.forget("u")
    samples = [each for family in metrics.registry.collect() for each in family.samples]
    assert samples
    assert {each.labels["pod"] for each in samples} == {"q"}
    metrics.forget("v")
    metrics.forget("unknown")
    assert not [each for family in metrics.registry.collect() for each in family.samples]
