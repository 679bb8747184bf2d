"""Tests of tunnel/tracing.py."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from tunnel.trace_context import TraceContext
from tunnel.tracing import NoTracer, tracer_of

PARENT = TraceContext(
    traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", tracestate="a=1"
)
COLLECTOR = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}


@pytest.mark.parametrize("parent", [PARENT, None])
def test_without_tracing_what_came_goes_on(parent: TraceContext | None) -> None:
    """The caller's own place, unchanged."""
    with NoTracer().span("GET /pods", parent=parent, is_server=True) as context:
        assert context is parent


@pytest.mark.parametrize(
    "environment",
    [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, {**COLLECTOR, "OTEL_SDK_DISABLED": "true"}],
)
def test_it_is_off_unless_a_collector_is_named(environment: dict[str, str]) -> None:
    """As every program with OpenTelemetry reads it."""
    assert isinstance(tracer_of(environment, service="edgelet"), NoTracer)


def test_a_collector_without_the_extra_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A site is worth more than its traces: it starts all the same."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert isinstance(tracer_of(COLLECTOR, service="edgelet"), NoTracer)
    assert "edgelet[tracing] is not installed" in caplog.text


def test_off_nothing_of_it_is_imported() -> None:
    """It would cost memory and time to start."""
    code = (
        "import sys, edge_runtime.app, provider.app, tunnel.tracing;"
        "tunnel.tracing.tracer_of({}, service='edgelet');"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
