"""Tests of tunnel/trace_context.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunnel.trace_context import MAX_STATE_CHARACTERS, TraceContext, parse_trace_context

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_what_came_goes_on_as_it_came() -> None:
    """With what tracing systems add, which may be in several headers."""
    headers = (
        ("accept", "*/*"),
        ("traceparent", PARENT),
        ("tracestate", "a=1"),
        ("tracestate", "b=2"),
    )
    found = parse_trace_context(headers)
    assert found == TraceContext(traceparent=PARENT, tracestate="a=1,b=2")
    assert found.headers == (("traceparent", PARENT), ("tracestate", "a=1,b=2"))
    assert TraceContext(traceparent=PARENT).headers == (("traceparent", PARENT),)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "00",
        PARENT.upper(),
        PARENT + "-extra",
        PARENT + "\n",
        PARENT.replace("00-4bf", "ff-4bf"),
        PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        PARENT.replace("00f067aa0ba902b7", "0" * 16),
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-" + "x" * 65,
    ],
)
def test_what_is_none_is_dropped(value: str) -> None:
    """Such a header is treated as if it were not there."""
    assert parse_trace_context([("traceparent", value), ("tracestate", "a=1")]) is None


def test_a_later_version_may_say_more() -> None:
    """What is known of it is enough to carry it on."""
    later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-will-be-like"
    assert parse_trace_context([("traceparent", later)]) == TraceContext(traceparent=later)


def test_two_parents_are_none() -> None:
    """Nobody could say which of them it is."""
    assert parse_trace_context([("traceparent", PARENT), ("traceparent", PARENT)]) is None


@pytest.mark.parametrize("state", ["x" * (MAX_STATE_CHARACTERS + 1), "a=\x00", "a=ä"])
def test_a_state_that_cannot_be_carried_is_dropped_alone(state: str) -> None:
    """The trace goes on."""
    headers = [("traceparent", PARENT), ("tracestate", state)]
    assert parse_trace_context(headers) == TraceContext(traceparent=PARENT)


@given(st.text(), st.text())
def test_any_value_is_carried_or_dropped(parent: str, state: str) -> None:
    """What goes on can be a header: printable ASCII, bounded."""
    found = parse_trace_context([("traceparent", parent), ("tracestate", state)])
    for _, value in found.headers if found else ():
        assert value.isascii()
        assert len(value) <= MAX_STATE_CHARACTERS
