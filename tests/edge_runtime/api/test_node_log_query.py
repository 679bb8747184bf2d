"""Queries for the node's logs, decoded and validated as the kubelet does."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.api.node_log_query import NodeLogQuery, parse_node_log_query
from edge_runtime.api.request import ApiError, ApiRequest


def parse(**query: str) -> NodeLogQuery | None:
    """Parse a query with one value each."""
    values = {name: (value,) for name, value in query.items()}
    return parse_node_log_query(ApiRequest(method="GET", query=values))


def test_nothing_asked_is_a_path() -> None:
    """Then the path alone says what is meant."""
    assert parse() is None
    assert parse(unknown="x") is None


def test_a_slash_makes_a_file() -> None:
    """Either slash, as Windows' clients write one."""
    assert parse(query="/a.log") == NodeLogQuery(files=("/a.log",))
    assert parse(query="a\\b.log") == NodeLogQuery(files=("a\\b.log",))
    assert parse(query="a.log") == NodeLogQuery(services=("a.log",))


@given(
    st.dictionaries(
        st.sampled_from(["query", "sinceTime", "untilTime", "tailLines", "boot", "pattern"]),
        st.text(max_size=30),
    )
)
def test_no_value_becomes_an_option_of_its_own(query: dict[str, str]) -> None:
    """Whatever a client sends, it is refused or stays the value of its option."""
    with contextlib.suppress(ApiError):
        found = parse(**query)
        if found is None:
            return
        for option in found.journal_options(found.services):
            name = option.partition("=")[0]
            assert name in {
                "--utc",
                "--no-pager",
                "--output",
                "--since",
                "--until",
                "--lines",
                "--unit",
                "--grep",
                "--boot",
            }
