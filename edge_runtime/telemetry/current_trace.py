"""The trace to which what this task does belongs.

Tasks that a task starts belong to the same one. Without a trace it costs one look at a variable.
"""

from __future__ import annotations

import contextlib
import contextvars
from typing import TYPE_CHECKING

from tunnel.trace_context import parse_trace_context

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tunnel.trace_context import TraceContext

_CURRENT: contextvars.ContextVar[TraceContext | None] = contextvars.ContextVar(
    "edgelet_trace", default=None
)


@contextlib.contextmanager
def traced_by(headers: Iterable[tuple[str, str]]) -> Iterator[None]:
    """Belong to the trace that a request's headers name, if they do, while the block runs."""
    token = _CURRENT.set(parse_trace_context(headers))
    try:
        yield
    finally:
        _CURRENT.reset(token)


def trace_headers() -> tuple[tuple[str, str], ...]:
    """Return what a call carries on to whom it is made; empty without a trace."""
    context = _CURRENT.get()
    return () if context is None else context.headers
