"""Spans of calls, for whoever runs OpenTelemetry; without it, a call's trace only passes through.

It is on where the environment names a collector, as every program with OpenTelemetry reads it
(``OTEL_EXPORTER_OTLP_ENDPOINT``, with ``OTEL_TRACES_SAMPLER`` and the rest); else nothing of
OpenTelemetry is even imported.

Source: opentelemetry.io/docs/specs/otel/protocol/exporter.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunnel.trace_context import TraceContext

logger = logging.getLogger(__name__)

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_DISABLED: Final = "OTEL_SDK_DISABLED"


class Tracer(Protocol):
    """Who is told of calls."""

    def span(
        self, name: str, *, parent: TraceContext | None, is_server: bool
    ) -> contextlib.AbstractContextManager[TraceContext | None]:
        """Follow a call while the block runs.

        Args:
            name: Of the call; without names of pods, of which there is no end.
            parent: The caller's place in its trace, None for a call that begins one.
            is_server: Whether it is answered here; else it is made here.

        Returns:
            What gives the place that the call's own calls carry on.
        """


class NoTracer:
    """Tells nobody; what came goes on."""

    def span(
        self, name: str, *, parent: TraceContext | None, is_server: bool
    ) -> contextlib.AbstractContextManager[TraceContext | None]:
        """Give the caller's own place."""
        del name, is_server
        return contextlib.nullcontext(parent)


def tracer_of(environment: Mapping[str, str], *, service: str) -> Tracer:
    """Return the tracer that the environment asks for.

    Args:
        environment: The process'.
        service: Under which name the spans are found, unless ``OTEL_SERVICE_NAME`` says another.
    """
    is_wanted = any(environment.get(name) for name in _ENDPOINTS)
    if not is_wanted or environment.get(_DISABLED, "").lower() == "true":
        return NoTracer()
    if importlib.util.find_spec("opentelemetry") is None:
        logger.warning("no traces: a collector is named, but edgelet[tracing] is not installed")
        return NoTracer()
    # MUST NOT be imported before: without tracing it would cost memory and time to start.
    from tunnel.otel_tracer import OtelTracer

    return OtelTracer(service=environment.get("OTEL_SERVICE_NAME") or service)
