"""Tests of provider/kubelet_api/request_trace.py."""

from __future__ import annotations

from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from provider.kubelet_api.request_trace import carry_on, headers_of, trace_of
from tunnel.trace_context import TraceContext

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OWN = PARENT.replace("00f067aa0ba902b7", "11f067aa0ba902b7")
HEADERS = CIMultiDict([("Accept", "a"), ("Traceparent", PARENT), ("Accept", "b")])


def test_the_clients_own_place_goes_on_unless_another_is_noted() -> None:
    """Without tracing nothing changes, not even the order."""
    request = make_mocked_request("GET", "/pods", headers=HEADERS)
    assert trace_of(request) == TraceContext(traceparent=PARENT)
    assert headers_of(request) == list(HEADERS.items())
    carry_on(request, None)
    assert headers_of(request) == list(HEADERS.items())


def test_a_place_of_our_own_takes_the_clients() -> None:
    """The edge's spans are children of the provider's."""
    request = make_mocked_request("GET", "/pods", headers=HEADERS)
    carry_on(request, TraceContext(traceparent=OWN, tracestate="b=2"))
    assert headers_of(request) == [
        *(("Accept", "a"), ("Accept", "b")),
        *(("traceparent", OWN), ("tracestate", "b=2")),
    ]
