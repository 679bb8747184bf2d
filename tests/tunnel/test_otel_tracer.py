"""Tests of tunnel/otel_tracer.py, where the extra ``edgelet[tracing]`` is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tunnel.trace_context import TraceContext

if TYPE_CHECKING:
    from tunnel.otel_tracer import OtelTracer

pytest.importorskip("opentelemetry.sdk.trace", reason="edgelet[tracing] is not installed")

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = TraceContext(traceparent=f"00-{TRACE}-00f067aa0ba902b7-01", tracestate="a=1")


@pytest.fixture
def spans() -> Any:  # noqa: ANN401 - the SDK may not be installed
    """Keep the spans that have ended."""
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import (
        InMemorySpanExporter,
    )

    return InMemorySpanExporter()


@pytest.fixture
def tracer(spans: Any) -> OtelTracer:  # noqa: ANN401
    """Make spans for it, at once."""
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    from tunnel.otel_tracer import OtelTracer

    return OtelTracer(service="edgelet", processor=SimpleSpanProcessor(spans))


def test_a_call_is_the_child_of_its_caller(tracer: OtelTracer, spans: Any) -> None:  # noqa: ANN401
    """And the parent of the calls that are made for it, as a collector puts them together."""
    with tracer.span("GET /pods", parent=PARENT, is_server=True) as outer:
        assert outer is not None
        assert outer.tracestate == "a=1"
        with tracer.span("Version", parent=outer, is_server=False) as inner:
            assert inner is not None
    client, server = spans.get_finished_spans()
    assert (server.name, server.kind.name) == ("GET /pods", "SERVER")
    assert (client.name, client.kind.name) == ("Version", "CLIENT")
    assert f"{server.context.trace_id:032x}" == TRACE
    assert f"{server.parent.span_id:016x}" == "00f067aa0ba902b7"
    assert client.parent.span_id == server.context.span_id
    assert inner.traceparent == f"00-{TRACE}-{client.context.span_id:016x}-01"
    assert server.resource.attributes["service.name"] == "edgelet"


def test_a_call_without_a_caller_begins_a_trace(tracer: OtelTracer, spans: Any) -> None:  # noqa: ANN401
    """It has no parent."""
    with tracer.span("GET /pods", parent=None, is_server=True) as context:
        assert context is not None
    (span,) = spans.get_finished_spans()
    assert span.parent is None


def test_an_error_is_told_without_its_text(tracer: OtelTracer, spans: Any) -> None:  # noqa: ANN401
    """The text may hold what a command did."""
    with (
        pytest.raises(ValueError, match="secret"),
        tracer.span("POST /exec", parent=PARENT, is_server=True),
    ):
        raise ValueError("secret")
    (span,) = spans.get_finished_spans()
    assert (span.status.status_code.name, span.status.description) == ("ERROR", "ValueError")
    assert not span.events
