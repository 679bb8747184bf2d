"""Spans by OpenTelemetry's SDK, sent to a collector; imported only where that is asked for."""

from __future__ import annotations

import atexit
import contextlib
import threading
from typing import TYPE_CHECKING, Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tunnel.trace_context import parse_trace_context

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.trace import SpanProcessor

    from tunnel.trace_context import TraceContext


# How long the end of the process waits for spans that are not sent yet. The SDK's own end waits for
# all attempts, ten seconds and more where the collector is gone; a restart must not take longer.
FLUSH_S: Final = 2.0


class OtelTracer:
    """Makes spans; a thread of the SDK sends them, and drops what waits beyond its bound.

    When the process ends, what is left is sent within FLUSH_S or dropped.

    Args:
        service: Under which name they are found.
        processor: Takes the spans that have ended; None for the collector that the environment
            names.
    """

    def __init__(self, *, service: str, processor: SpanProcessor | None = None) -> None:
        resource = Resource.create({"service.name": service})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(processor or BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("edgelet")
        self._propagator = TraceContextTextMapPropagator()
        self._is_ending = threading.Event()
        # Started now: a process that ends may start no threads any more.
        self._end = threading.Thread(target=self._send_rest, name="traces-end", daemon=True)
        self._end.start()
        atexit.register(self._close)

    def _close(self) -> None:
        self._is_ending.set()
        self._end.join(FLUSH_S)

    def _send_rest(self) -> None:
        self._is_ending.wait()
        self._provider.shutdown()

    @contextlib.contextmanager
    def span(
        self, name: str, *, parent: TraceContext | None, is_server: bool
    ) -> Iterator[TraceContext | None]:
        """Follow a call while the block runs; an error that leaves it is the span's."""
        carrier = dict(parent.headers) if parent is not None else {}
        span = self._tracer.start_span(
            name,
            # An empty one: which span is current elsewhere in the process is not asked.
            context=self._propagator.extract(carrier, context=Context()),
            kind=SpanKind.SERVER if is_server else SpanKind.CLIENT,
        )
        carried: dict[str, str] = {}
        self._propagator.inject(carried, context=set_span_in_context(span, Context()))
        try:
            yield parse_trace_context(carried.items())
        except BaseException as exc:
            # Its type alone: a text may hold what the caller's command did.
            span.set_status(StatusCode.ERROR, type(exc).__name__)
            raise
        finally:
            span.end()
