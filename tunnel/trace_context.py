"""Which trace a call belongs to, as its caller says in the headers of W3C Trace Context; pure.

A call carries it from the kubelet port through the tunnel to the container runtime. What is no
trace context is dropped, and the call goes on without.

Source: www.w3.org/TR/trace-context-1 §3.2, §3.3.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
# What every participant must be able to carry (§3.3.1.5); more is not carried.
MAX_STATE_CHARACTERS: Final = 512
_NO_TRACE = "0" * 32
_NO_PARENT = "0" * 16
# A later version may have more fields behind these.
_PARENT = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<parent>[0-9a-f]{16})-[0-9a-f]{2}"
    r"(?P<more>-[\x21-\x7e]{0,64})?"
)
_STATE = re.compile(r"[\x20-\x7e\t]*")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TraceContext:
    """One caller's place in a trace.

    Attributes:
        traceparent: As it came: version, trace id, the caller's span id, flags.
        tracestate: What tracing systems add, as one value; "" for nothing.
    """

    traceparent: str
    tracestate: str = ""

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """What carries it on: lower-case names and values."""
        state = ((TRACESTATE, self.tracestate),) if self.tracestate else ()
        return ((TRACEPARENT, self.traceparent), *state)


def parse_trace_context(headers: Iterable[tuple[str, str]]) -> TraceContext | None:
    """Return what the headers say; None where they say nothing, or nothing that is valid.

    Args:
        headers: Lower-case names and values, repeats kept.
    """
    pairs = list(headers)
    parents = [value for name, value in pairs if name == TRACEPARENT]
    if len(parents) != 1 or not _is_parent(parents[0]):
        return None
    state = ",".join(value for name, value in pairs if name == TRACESTATE)
    if len(state) > MAX_STATE_CHARACTERS or not _STATE.fullmatch(state):
        state = ""
    return TraceContext(traceparent=parents[0], tracestate=state)


def _is_parent(value: str) -> bool:
    found = _PARENT.fullmatch(value)
    if found is None or found["version"] == "ff":
        return False
    if found["version"] == "00" and found["more"] is not None:
        return False
    return found["trace"] != _NO_TRACE and found["parent"] != _NO_PARENT
