"""Tests of edge_runtime/telemetry/edge_figures.py."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry

from edge_runtime.telemetry.edge_figures import EdgeFigures, EdgeSources


def _value(name: str, labels: dict[str, str] | None = None, **changes: object) -> float | None:
    sources: dict[str, Any] = {
        "node_name": "site-a",
        "running_pods": lambda: 3,
        "desired_pods": lambda: 4,
        "containers": lambda: {"running": 5, "exited": 1},
        "relisted_at_s": lambda: 1000.5,
        "certificate_end_s": lambda: 2000.0,
        "statuses_pending": lambda: 6,
        "events_pending": lambda: 7,
        "store_bytes": lambda: 8192,
    }
    registry = CollectorRegistry()
    registry.register(EdgeFigures(EdgeSources(**{**sources, **changes})))
    return registry.get_sample_value(name, labels or {})


def test_a_kubelets_figures_have_a_kubelets_names() -> None:
    """Dashboards for kubelets show an edge, too."""
    assert _value("kubelet_node_name", {"node": "site-a"}) == 1
    assert _value("kubelet_running_pods") == 3
    assert _value("kubelet_desired_pods", {"static": ""}) == 4
    assert _value("kubelet_running_containers", {"container_state": "running"}) == 5
    assert _value("kubelet_running_containers", {"container_state": "exited"}) == 1
    assert _value("kubelet_pleg_last_seen_seconds") == 1000.5


def test_what_waits_for_the_cloud_is_told() -> None:
    """And how much of the disk it takes."""
    assert _value("edgelet_statuses_pending") == 6
    assert _value("edgelet_events_pending") == 7
    assert _value("edgelet_store_size_bytes") == 8192


def test_what_is_not_known_has_no_figure() -> None:
    """A 0 would be a certificate that ended in 1970, and a runtime never looked at since."""
    name, labels = "edgelet_certificate_expiration_timestamp_seconds", {"certificate": "edge"}
    assert _value(name, labels) == 2000
    assert _value(name, labels, certificate_end_s=lambda: None) is None
    assert _value("kubelet_pleg_last_seen_seconds", relisted_at_s=lambda: None) is None
