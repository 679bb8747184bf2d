"""Tests of edge_runtime/telemetry/kubelet_metrics.py."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from edge_runtime.telemetry.kubelet_metrics import KubeletMetrics


@pytest.mark.parametrize(
    ("method", "operation"),
    [
        ("Version", "version"),
        ("RunPodSandbox", "run_podsandbox"),
        ("ListPodSandboxStats", "list_podsandbox_stats"),
        ("CreateContainer", "create_container"),
        ("UpdateContainerResources", "update_container"),
        ("ExecSync", "exec_sync"),
        ("ImageFsInfo", "image_fs_info"),
    ],
)
def test_operations_have_a_kubelets_names(method: str, operation: str) -> None:
    """Dashboards and alerts select by them."""
    registry = CollectorRegistry()
    KubeletMetrics(registry).called(method, duration_s=0.2, has_failed=True)
    labels = {"operation_type": operation}
    for name in (
        "kubelet_runtime_operations_total",
        "kubelet_runtime_operations_errors_total",
        "kubelet_runtime_operations_duration_seconds_count",
    ):
        assert registry.get_sample_value(name, labels) == 1


def test_a_call_that_worked_is_no_error() -> None:
    """Its series of errors does not even begin."""
    registry = CollectorRegistry()
    KubeletMetrics(registry).called("Status", duration_s=0.2, has_failed=False)
    labels = {"operation_type": "status"}
    assert registry.get_sample_value("kubelet_runtime_operations_errors_total", labels) is None


def test_the_first_relist_has_no_interval() -> None:
    """There was none before it."""
    registry = CollectorRegistry()
    metrics = KubeletMetrics(registry)
    metrics.relisted(duration_s=0.1, interval_s=None)
    metrics.relisted(duration_s=0.2, interval_s=1.5)
    assert registry.get_sample_value("kubelet_pleg_relist_duration_seconds_count") == 2
    assert registry.get_sample_value("kubelet_pleg_relist_interval_seconds_sum") == 1.5


def test_work_and_starts_are_timed() -> None:
    """Work by what was done, starts as a whole."""
    registry = CollectorRegistry()
    metrics = KubeletMetrics(registry)
    metrics.worked("sync", duration_s=0.5)
    metrics.started(7)
    name = "kubelet_pod_worker_duration_seconds_sum"
    assert registry.get_sample_value(name, {"operation_type": "sync"}) == 0.5
    name = "kubelet_pod_start_duration_seconds_bucket"
    assert registry.get_sample_value(name, {"le": "6.0"}) == 0
    assert registry.get_sample_value(name, {"le": "8.0"}) == 1
