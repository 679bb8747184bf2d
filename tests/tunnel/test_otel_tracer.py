"""Tests of tunnel/otel_tracer.py, where the extra ``edgelet[tracing]`` is installed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from tunnel.trace_context import TraceContext

if TYPE_CHECKING:
    from collections.abc import Iterator

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


# A process as an edge or provider is one: what it makes spans with is what its environment names.
CALLS = """
import contextlib, os
from tunnel.trace_context import TraceContext
from tunnel.tracing import tracer_of

tracer = tracer_of(os.environ, service="edgelet")
parent = TraceContext(traceparent=os.environ["PARENT"]) if os.environ["PARENT"] else None
with contextlib.suppress(RuntimeError):
    with tracer.span("POST /exec", parent=parent, is_server=True) as outer:
        with tracer.span("runtime.v1.RuntimeService/Exec", parent=outer, is_server=False):
            raise RuntimeError("secret")
"""


class Collector(ThreadingHTTPServer):
    """Takes spans as a collector does: OTLP over HTTP, protobuf."""

    daemon_threads = True

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, bytes]] = []
        super().__init__(("127.0.0.1", 0), _Export)

    @property
    def url(self) -> str:
        """What the environment names."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def spans(self) -> list[tuple[dict[str, str], Any]]:
        """Return what came, each span with the attributes of who sent it."""
        import gzip

        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
        )

        found = []
        for path, encoding, body in self.requests:
            assert path == "/v1/traces"
            raw = gzip.decompress(body) if encoding == "gzip" else body
            for each in ExportTraceServiceRequest.FromString(raw).resource_spans:
                sender = {one.key: one.value.string_value for one in each.resource.attributes}
                found += [(sender, span) for scope in each.scope_spans for span in scope.spans]
        return found


class _Export(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Collector)
        assert self.headers["Content-Type"] == "application/x-protobuf"
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.requests.append((self.path, self.headers.get("Content-Encoding", ""), body))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Stay silent."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Listen on a port of this machine."""
    with Collector() as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        try:
            yield found
        finally:
            found.shutdown()
            thread.join()


def _make_calls(endpoint: str, *, parent: str, **environment: str) -> float:
    """Make the calls in a process of their own; return how long it took to end, in seconds."""
    began = time.monotonic()
    outcome = subprocess.run(
        [sys.executable, "-c", CALLS],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(sys.path),
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "PARENT": parent,
            **environment,
        },
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
    return time.monotonic() - began


def test_a_collector_gets_what_a_process_did(collector: Collector) -> None:
    """Also what it did last: it is sent before the process is gone."""
    _make_calls(collector.url, parent=PARENT.traceparent)
    spans = {span.name: (sender, span) for sender, span in collector.spans()}
    sender, server = spans["POST /exec"]
    _, client = spans["runtime.v1.RuntimeService/Exec"]
    assert len(spans) == 2
    assert sender["service.name"] == "edgelet"
    assert server.trace_id.hex() == client.trace_id.hex() == TRACE
    assert server.parent_span_id.hex() == "00f067aa0ba902b7"
    assert client.parent_span_id == server.span_id
    assert (server.kind, client.kind) == (server.SPAN_KIND_SERVER, client.SPAN_KIND_CLIENT)
    assert server.start_time_unix_nano <= client.start_time_unix_nano
    assert client.end_time_unix_nano <= server.end_time_unix_nano
    for span in (server, client):
        assert (span.status.code, span.status.message) == (2, "RuntimeError")
    assert not any(b"secret" in body for _, _, body in collector.requests)


def test_who_samples_nothing_sends_only_what_its_callers_follow(collector: Collector) -> None:
    """The environment says how much, as for every program with OpenTelemetry."""
    few = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}
    _make_calls(collector.url, parent="", **few)
    assert collector.requests == []
    _make_calls(collector.url, parent=PARENT.traceparent, OTEL_SERVICE_NAME="mine", **few)
    assert {sender["service.name"] for sender, _ in collector.spans()} == {"mine"}


def test_a_collector_that_hangs_holds_up_no_restart() -> None:
    """The SDK alone would try for ten seconds while the site is without its edge."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert _make_calls(address, parent=PARENT.traceparent) < 7
