"""The streaming server's answer, however it is cut into reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.api.runtime_response import (
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    MalformedResponse,
    RuntimeResponse,
    parse_body,
    parse_head,
)

HEAD = (
    b"HTTP/1.1 101 Switching Protocols\r\n"
    b"Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
    b"X-Stream-Protocol-Version:  v4.channel.k8s.io \r\n\r\n"
)


@pytest.mark.parametrize("cut", range(len(HEAD)))
def test_incomplete_head_is_waited_for(cut: int) -> None:
    """Whatever the first read brought."""
    assert parse_head(HEAD[:cut]) is None


@given(st.binary(max_size=100))
def test_bytes_behind_the_head_are_not_its_own(rest: bytes) -> None:
    """The server may speak the new protocol at once."""
    parsed = parse_head(HEAD + rest)

    assert parsed is not None
    response, length = parsed
    assert length == len(HEAD)
    assert response.status == 101
    assert response.end_to_end_headers == (("x-stream-protocol-version", "v4.channel.k8s.io"),)


def test_headers_named_by_connection_stay_here() -> None:
    """RFC 9110 §7.6.1."""
    parsed = parse_head(
        b"HTTP/1.1 200 OK\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\nA: b\r\n\r\n"
    )

    assert parsed is not None
    assert parsed[0].end_to_end_headers == (("a", "b"),)


@pytest.mark.parametrize(
    "data",
    [
        b"SPDY\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 99 Low\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nName : x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: x\x00y\r\n\r\n",
        b"x" * MAX_HEAD_BYTES,
    ],
)
def test_what_is_no_http_is_refused(data: bytes) -> None:
    """And what is longer than any head."""
    with pytest.raises(MalformedResponse):
        parse_head(data)


@given(st.binary(max_size=500))
def test_any_bytes_are_a_head_nothing_or_refused(data: bytes) -> None:
    """No other exception."""
    try:
        parsed = parse_head(data)
    except MalformedResponse:
        return
    assert parsed is None or 100 <= parsed[0].status <= 599


def refusal(*headers: tuple[str, str]) -> RuntimeResponse:
    """Make the head of a refusal."""
    return RuntimeResponse(status=404, headers=headers)


def test_body_of_given_length_is_cut_there() -> None:
    """Even if more came."""
    head = refusal(("content-length", "3"))

    assert parse_body(head, b"no", at_end=False) is None
    assert parse_body(head, b"nope", at_end=False) == b"nop"


def test_body_without_length_ends_with_the_connection() -> None:
    """HTTP/1.0 style."""
    assert parse_body(refusal(), b"no", at_end=False) is None
    assert parse_body(refusal(), b"no", at_end=True) == b"no"


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=8), st.data())
def test_chunked_body_is_put_together(chunks: list[bytes], data: st.DataObject) -> None:
    """And is waited for until its last chunk."""
    head = refusal(("transfer-encoding", "chunked"))
    encoded = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    cut = data.draw(st.integers(min_value=0, max_value=len(encoded) - 5))

    assert parse_body(head, encoded, at_end=False) == b"".join(chunks)
    assert parse_body(head, encoded[:cut], at_end=False) is None


@pytest.mark.parametrize(
    ("headers", "data"),
    [
        ((("content-length", "3"),), b"no"),
        ((("content-length", "-3"),), b"no"),
        ((("transfer-encoding", "chunked"),), b"3\r\nno"),
        ((("transfer-encoding", "chunked"),), b"no\r\nno"),
        ((), b"x" * (MAX_BODY_BYTES + 1)),
    ],
)
def test_torn_or_endless_body_is_refused(headers: tuple[tuple[str, str], ...], data: bytes) -> None:
    """Never passed on as if it were whole."""
    with pytest.raises(MalformedResponse):
        parse_body(refusal(*headers), data, at_end=True)
