"""Heads and header lists."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunnel.errors import HeadError, ProtocolError
from tunnel.heads import (
    MAX_HEADER_LIST_BYTES,
    RequestHead,
    ResponseHead,
    declared_length,
    decode_request,
    decode_response,
    encode_request,
    encode_response,
)


def test_plain_request_becomes_pseudo_headers_and_headers() -> None:
    """In the order that HTTP/2 demands; repeats stay."""
    head = RequestHead(
        method="GET",
        path="/containerLogs/ns/p/c?follow=true",
        headers=(("accept", "*/*"), ("x-a", "1"), ("x-a", "2")),
    )
    assert encode_request(head) == [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", b"edgelet"),
        (b":path", b"/containerLogs/ns/p/c?follow=true"),
        (b"accept", b"*/*"),
        (b"x-a", b"1"),
        (b"x-a", b"2"),
    ]
    assert decode_request(encode_request(head)) == head


def test_upgrade_becomes_extended_connect() -> None:
    """The token is :protocol; what was said of the HTTP/1.1 connection stays behind."""
    head = RequestHead(
        method="POST",
        path="/exec/ns/p/c?command=sh",
        headers=(
            ("Host", "10.0.0.1:10250"),
            ("Connection", "Upgrade, X-Hop"),
            ("Upgrade", "SPDY/3.1"),
            ("x-hop", "1"),
            ("TE", "trailers"),
            ("Transfer-Encoding", "chunked"),
            ("X-Stream-Protocol-Version", "v4.channel.k8s.io"),
            ("edgelet-method", "POST"),
        ),
        protocol="SPDY/3.1",
    )
    headers = encode_request(head)
    assert headers[:5] == [
        (b":method", b"CONNECT"),
        (b":scheme", b"https"),
        (b":authority", b"10.0.0.1:10250"),
        (b":path", b"/exec/ns/p/c?command=sh"),
        (b":protocol", b"SPDY/3.1"),
    ]
    assert headers[5:] == [
        (b"x-stream-protocol-version", b"v4.channel.k8s.io"),
        (b"edgelet-method", b"POST"),
    ]
    decoded = decode_request(headers)
    assert (decoded.method, decoded.protocol) == ("CONNECT", "SPDY/3.1")


@pytest.mark.parametrize(
    "head",
    [
        RequestHead(method="", path="/"),
        RequestHead(method="G T", path="/"),
        RequestHead(method="GET", path=""),
        RequestHead(method="GET", path="pods"),
        RequestHead(method="GET", path="/a b"),
        RequestHead(method="GET", path="/a\r\nx: y"),
        RequestHead(method="GET", path="/", protocol=""),
        RequestHead(method="GET", path="/", protocol="a\n"),
        RequestHead(method="GET", path="/", headers=((":path", "/x"),)),
        RequestHead(method="GET", path="/", headers=(("", "x"),)),
        RequestHead(method="GET", path="/", headers=(("a b", "x"),)),
        RequestHead(method="GET", path="/", headers=(("ä", "x"),)),
        RequestHead(method="GET", path="/", headers=(("a", "x\ny"),)),
        RequestHead(method="GET", path="/", headers=(("a", "x\x00y"),)),
        RequestHead(method="GET", path="/", headers=(("host", "a\rb"),)),
        RequestHead(method="GET", path="/", headers=(("a", "x" * MAX_HEADER_LIST_BYTES),)),
    ],
    ids=repr,
)
def test_request_that_would_cost_the_session_is_refused(head: RequestHead) -> None:
    """The peer's HTTP/2 would end everything for it."""
    with pytest.raises(HeadError):
        encode_request(head)


@pytest.mark.parametrize("status", [0, 101, 199, 600])
def test_only_final_statuses_are_sent(status: int) -> None:
    """101 does not exist in HTTP/2."""
    with pytest.raises(HeadError):
        encode_response(ResponseHead(status=status))


def test_response_travels() -> None:
    """Status and headers, values trimmed, bytes that are no UTF-8 kept."""
    head = ResponseHead(status=404, headers=(("content-type", " text/plain "), ("x", "\udcff")))
    headers = encode_response(head)
    assert headers == [(b":status", b"404"), (b"content-type", b"text/plain"), (b"x", b"\xff")]
    assert decode_response(headers) == ResponseHead(
        status=404, headers=(("content-type", "text/plain"), ("x", "\udcff"))
    )


@pytest.mark.parametrize("status", [b"", b"abc", b"99", b"600", b"20000", b"\xb2\xb2\xb2"])
def test_impossible_status_is_the_peers_fault(status: bytes) -> None:
    """It would go to kubectl's line."""
    with pytest.raises(ProtocolError, match="status"):
        decode_response([(b":status", status)])


def test_ordinary_connect_is_refused() -> None:
    """The edge dials nothing of the cloud's choice."""
    with pytest.raises(ProtocolError, match="without a path"):
        decode_request([(b":method", b"CONNECT"), (b":authority", b"10.0.0.1:22")])


@pytest.mark.parametrize(
    ("headers", "length"),
    [([], None), ([(b"content-length", b"12")], 12), ([(b"content-length", b"0")] * 2, 0)],
)
def test_declared_length(headers: list[tuple[bytes, bytes]], length: int | None) -> None:
    """None, one, or the same twice."""
    assert declared_length(headers) == length


@pytest.mark.parametrize("values", [[b"1", b"2"], [b"-1"], [b"1,1"], [b""], [b"9" * 19]])
def test_length_that_is_none_is_refused(values: list[bytes]) -> None:
    """The peer's h2 would end the session for it."""
    with pytest.raises(HeadError):
        declared_length([(b"content-length", value) for value in values])


@given(
    st.lists(st.tuples(st.text(max_size=8), st.text(max_size=12)), max_size=6).map(tuple),
    st.text(max_size=20).map(lambda text: "/" + text),
)
def test_any_head_is_refused_or_survives(headers: tuple[tuple[str, str], ...], path: str) -> None:
    """What is sent is what arrives, and nothing breaks the encoder."""
    head = RequestHead(method="GET", path=path, headers=headers)
    try:
        encoded = encode_request(head)
    except HeadError:
        return
    decoded = decode_request(encoded)
    assert decoded.path == path
    sent = [(name.lower(), value.strip(" \t")) for name, value in headers]
    assert [header for header in sent if header in decoded.headers] == list(decoded.headers)
