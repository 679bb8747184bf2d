"""Log queries, decoded and validated as the kubelet does."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.api.log_query import LogQuery, parse_log_query
from edge_runtime.api.request import ApiError, ApiRequest


def parse(**query: str) -> LogQuery:
    """Parse a query with one value each."""
    values = {name: (value,) for name, value in query.items()}
    return parse_log_query(ApiRequest(method="GET", query=values))


def test_nothing_asked_is_the_whole_log() -> None:
    """The defaults."""
    assert parse() == LogQuery()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("true", True), ("1", True), ("", True), ("yes", True), ("0", False), ("False", False)],
)
def test_only_0_and_false_are_no(text: str, expected: bool) -> None:
    """Source: apimachinery Convert_Slice_string_To_bool."""
    assert parse(follow=text).follow is expected


def test_every_parameter_has_its_place() -> None:
    """As the API server sends them."""
    query = parse(
        follow="true",
        previous="true",
        timestamps="true",
        sinceSeconds="5",
        tailLines="0",
        limitBytes="1",
    )

    assert query == LogQuery(
        follow=True, previous=True, timestamps=True, since_s=5, tail_lines=0, limit_bytes=1
    )


def test_old_clients_say_tail() -> None:
    """``all`` means no limit, a number wins over tailLines."""
    assert parse(tail="all", tailLines="3").tail_lines is None
    assert parse(tail="5", tailLines="3").tail_lines == 5


SECOND_NS = 1767323045_000000000  # 2026-01-02T03:04:05Z


@pytest.mark.parametrize(
    ("text", "expected_ns"),
    [
        ("2026-01-02T03:04:05Z", SECOND_NS),
        ("2026-01-02t03:04:05z", SECOND_NS),
        ("2026-01-02T04:04:05.123456789+01:00", SECOND_NS + 123456789),
        ("2026-01-02T03:04:05,5Z", SECOND_NS + 500000000),
        ("2026-01-02T03:04:05.1234567899Z", SECOND_NS + 123456789),
    ],
)
def test_since_time_keeps_its_zone_and_nanoseconds(text: str, expected_ns: int) -> None:
    """Two lines of one microsecond are two lines."""
    assert parse(sinceTime=text).since_ns == expected_ns


def test_a_limit_beyond_all_logs_carries_nanoseconds() -> None:
    """Kubectl and the API server cut them off the time, and leave limits as they are."""
    query = parse(sinceTime="2026-01-02T03:04:05Z", limitBytes="9000000000000000042")

    assert query == LogQuery(since_ns=SECOND_NS + 42)
    assert query.is_resumed
    alone = parse(limitBytes="9000000000000000042")
    assert alone == LogQuery(limit_bytes=9000000000000000042)


@pytest.mark.parametrize(
    ("text", "is_resumed"),
    [("2026-01-02T03:04:05Z", False), ("2026-01-02T03:04:05.000000001Z", True)],
)
def test_only_a_time_with_nanoseconds_is_where_somebody_was(text: str, is_resumed: bool) -> None:
    """Seconds counted from now are nowhere in particular: no file is looked through for them."""
    assert parse(sinceTime=text).is_resumed is is_resumed
    assert not parse(sinceSeconds="60").is_resumed


@pytest.mark.parametrize(
    "query",
    [
        {"tailLines": "ten"},
        {"tailLines": ""},
        {"limitBytes": "9" * 30},
        {"sinceSeconds": "1.5"},
        {"sinceTime": "yesterday"},
        {"sinceTime": "2026-13-02T03:04:05Z"},
        {"sinceTime": "2026-01-02"},
    ],
)
def test_what_cannot_be_decoded_is_400(query: dict[str, str]) -> None:
    """With the kubelet's body."""
    with pytest.raises(ApiError) as refused:
        parse(**query)

    assert refused.value.status == 400
    assert refused.value.text == '{"message": "Unable to decode query."}'


@pytest.mark.parametrize(
    "query",
    [
        {"tailLines": "-1"},
        {"limitBytes": "0"},
        {"sinceSeconds": "0"},
        {"sinceSeconds": "1", "sinceTime": "2026-01-02T03:04:05Z"},
        {"stream": "Both"},
        {"stream": "Stdout", "tailLines": "1"},
    ],
)
def test_what_makes_no_sense_is_422(query: dict[str, str]) -> None:
    """With the kubelet's body."""
    with pytest.raises(ApiError) as refused:
        parse(**query)

    assert refused.value.status == 422
    assert refused.value.text == '{"message": "Invalid request."}'


@given(
    st.dictionaries(
        st.sampled_from(
            ["follow", "sinceSeconds", "sinceTime", "tailLines", "limitBytes", "tail", "stream"]
        ),
        st.text(max_size=30),
    )
)
def test_any_query_is_decoded_or_refused(query: dict[str, str]) -> None:
    """No other exception, whatever a client sends."""
    with contextlib.suppress(ApiError):
        parse(**query)
