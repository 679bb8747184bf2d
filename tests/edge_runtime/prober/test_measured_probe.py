"""Tests of edge_runtime/prober/measured_probe.py."""

from __future__ import annotations

import asyncio

import pytest

from edge_runtime.objects.container import Container, ContainerID, ProbeKind
from edge_runtime.objects.pod import Pod
from edge_runtime.prober.measured_probe import MeasuredProbe
from edge_runtime.prober.prober import ProbeOutcome, ProbeTarget
from edge_runtime.prober.thresholds import ProbeSpec
from edge_runtime.telemetry.probe_metrics import ProbeMetrics

LABELS = {"probe_type": "Startup", "container": "c", "pod": "p", "namespace": "ns"}
TARGET = ProbeTarget(
    pod=Pod({"metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": {}}),
    container=Container({"name": "c"}),
    spec=ProbeSpec.parse(ProbeKind.STARTUP, {"tcpSocket": {"port": 1}}),
    container_id=ContainerID("id"),
    pod_ip="127.0.0.1",
)


def _count(metrics: ProbeMetrics, result: str) -> float | None:
    labels = {**LABELS, "result": result, "pod_uid": "u"}
    return metrics.registry.get_sample_value("prober_probe_total", labels)


@pytest.mark.looptime
@pytest.mark.parametrize(("is_success", "result"), [(True, "successful"), (False, "failed")])
async def test_an_answer_is_counted_and_passed_on(*, is_success: bool, result: str) -> None:
    """Under a kubelet's names, with how long it took."""
    metrics, told = ProbeMetrics(), ProbeOutcome(is_success=is_success, message="so")

    async def probe(_target: ProbeTarget) -> ProbeOutcome:
        await asyncio.sleep(3)
        return told

    clock = asyncio.get_running_loop().time
    assert await MeasuredProbe(probe, metrics, monotonic=clock)(TARGET) is told
    assert _count(metrics, result) == 1
    took_s = metrics.registry.get_sample_value("prober_probe_duration_seconds_sum", LABELS)
    assert took_s == (pytest.approx(3) if is_success else None)


async def test_an_attempt_that_says_nothing_is_not_counted() -> None:
    """As with a kubelet, which throws such a result away."""
    metrics = ProbeMetrics()

    async def probe(_target: ProbeTarget) -> None:
        return None

    assert await MeasuredProbe(probe, metrics)(TARGET) is None
    assert _count(metrics, "successful") is None
    assert _count(metrics, "failed") is None


async def test_a_cancelled_attempt_is_not_counted() -> None:
    """Its pod may have ended, and its series with it."""
    metrics = ProbeMetrics()

    async def probe(_target: ProbeTarget) -> ProbeOutcome:
        await asyncio.Event().wait()
        return ProbeOutcome(is_success=True)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await MeasuredProbe(probe, metrics)(TARGET)
    assert _count(metrics, "successful") is None
