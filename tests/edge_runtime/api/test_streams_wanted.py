"""Which streams a request asks for."""

from __future__ import annotations

import pytest

from edge_runtime.api.request import ApiError, ApiRequest
from edge_runtime.api.streams_wanted import StreamsWanted, parse_streams_wanted


def parse(**query: str) -> StreamsWanted:
    """Parse a query with one value each."""
    values = {name: (value,) for name, value in query.items()}
    return parse_streams_wanted(ApiRequest(method="POST", query=values))


def test_streams_are_asked_for_with_1() -> None:
    """As the API server does."""
    assert parse(input="1", output="1", error="1") == StreamsWanted(
        stdin=True, stdout=True, stderr=True, tty=False
    )


def test_terminal_has_no_stderr() -> None:
    """The runtime refuses both together."""
    assert parse(output="1", error="1", tty="1") == StreamsWanted(
        stdin=False, stdout=True, stderr=False, tty=True
    )


@pytest.mark.parametrize(
    "query", [{}, {"tty": "1"}, {"output": "true"}, {"stdin": "1"}, {"error": "1", "tty": "1"}]
)
def test_no_stream_is_refused(query: dict[str, str]) -> None:
    """With the kubelet's text."""
    with pytest.raises(ApiError) as refused:
        parse(**query)

    assert refused.value.status == 400
    assert refused.value.text == "you must specify at least 1 of stdin, stdout, stderr"
