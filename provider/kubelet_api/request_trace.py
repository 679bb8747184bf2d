"""The trace to which a request of the kubelet port belongs."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from tunnel.trace_context import TRACEPARENT, TRACESTATE, TraceContext, parse_trace_context

_KEY: Final = web.RequestKey("edgelet.trace", TraceContext)


def trace_of(request: web.BaseRequest) -> TraceContext | None:
    """Return what the client's headers say."""
    return parse_trace_context((name.lower(), value) for name, value in request.headers.items())


def carry_on(request: web.BaseRequest, context: TraceContext | None) -> None:
    """Note which place in the trace the request's own calls carry on."""
    if context is not None:
        request[_KEY] = context


def headers_of(request: web.BaseRequest) -> list[tuple[str, str]]:
    """Return the request's headers, repeats kept, with its trace as it is carried on."""
    headers = list(request.headers.items())
    context = request.get(_KEY)
    if context is None:
        return headers
    others = [pair for pair in headers if pair[0].lower() not in (TRACEPARENT, TRACESTATE)]
    return [*others, *context.headers]
