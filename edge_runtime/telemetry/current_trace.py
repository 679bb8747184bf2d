"""The trace to which what this task does belongs.

Tasks that a task starts belong to the same one. Without a trace it costs one look at a variable.
"""

from __future__ import annotations

import contextlib
import contextvars
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunnel.trace_context import TraceContext

_CURRENT: contextvars.ContextVar[TraceContext | None] = contextvars.ContextVar(
    "edgelet_trace", default=None
)


@contextlib.contextmanager
def belonging_to(context: TraceContext | None) -> Iterator[None]:
    """Belong to a trace, or with None to no one, while the block runs."""
    token = _CURRENT.set(context)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def current_trace() -> TraceContext | None:
    """Return the place in it that a call carries on to whom it is made; None without a trace."""
    return _CURRENT.get()
