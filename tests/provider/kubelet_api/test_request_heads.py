"""What of a request goes to the edge, and what of its answer to the client."""

from __future__ import annotations

import pytest

from provider.kubelet_api.request_heads import (
    MAX_CALLER_LENGTH,
    BadAnswer,
    answer_headers,
    tunnel_request,
)
from tunnel.protocol import ResponseHead


def travelling(
    *headers: tuple[str, str], peer: str | None = None, caller: str = "jane"
) -> list[tuple[str, str]]:
    """Return the headers of a GET that travel."""
    head = tunnel_request(method="GET", raw_path="/pods", headers=headers, peer=peer, caller=caller)
    return list(head.headers)


def kept(*headers: tuple[str, str], peer: str | None = None) -> list[tuple[str, str]]:
    """Return those of them that the caller's own headers led to."""
    found = travelling(*headers, peer=peer)
    assert found.count(("edgelet-caller", "jane")) == 1
    found.remove(("edgelet-caller", "jane"))
    return found


@pytest.mark.parametrize(
    "name",
    [
        *("Authorization", "Cookie", "Proxy-Authorization", "Host", "Connection", "Upgrade"),
        *("Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "Content-Length", "Expect"),
        *("Impersonate-User", "Impersonate-Extra-Scope", "X-Remote-User", "edgelet-method"),
        *("X-Remote-Group", "X-Remote-Extra-Scopes", "Impersonate-Group", "Impersonate-Uid"),
        *("Edgelet-Caller", "edgelet-session", "Edgelet-Anything", "X-Forwarded-Client-Cert"),
    ],
)
def test_what_is_for_this_hop_or_secret_stays(name: str) -> None:
    """Neither credentials nor what describes the connection travels."""
    assert kept((name, "value"), ("Accept", "*/*")) == [("accept", "*/*")]


def test_what_connection_names_stays() -> None:
    """A header that the client called one of its connection is one."""
    headers = (("Connection", "close, X-Mine"), ("X-Mine", "1"), ("X-Other", "2"))
    assert kept(*headers) == [("x-other", "2")]


def test_repeats_keep_their_order() -> None:
    """Five offers of a subprotocol stay five, in the order of preference."""
    offers = [("X-Stream-Protocol-Version", f"v{n}.channel.k8s.io") for n in (5, 4, 3)]
    assert [value for _, value in kept(*offers)] == [value for _, value in offers]


def test_the_peer_is_added_to_those_before_it() -> None:
    """Proxies in a row leave one list."""
    assert kept(
        ("X-Forwarded-For", "10.0.0.1"), ("x-forwarded-for", "10.0.0.2"), peer="10.0.0.3"
    ) == [("x-forwarded-for", "10.0.0.1, 10.0.0.2, 10.0.0.3")]


def test_a_token_in_the_guise_of_a_subprotocol_stays() -> None:
    """Browsers send bearer tokens that way."""
    offered = "base64url.bearer.authorization.k8s.io.c2VjcmV0, v4.channel.k8s.io"
    assert kept(("Sec-WebSocket-Protocol", offered)) == [
        ("sec-websocket-protocol", "v4.channel.k8s.io")
    ]


def test_an_upgrade_carries_its_protocol_and_method() -> None:
    """The edge rebuilds the request from them."""
    head = tunnel_request(
        method="POST",
        raw_path="/exec/ns/p/c?command=a%20b",
        headers=[("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1")],
        peer=None,
        caller="jane",
        protocol="SPDY/3.1",
    )
    assert (head.method, head.protocol, head.path) == (
        "CONNECT",
        "SPDY/3.1",
        "/exec/ns/p/c?command=a%20b",
    )
    assert head.headers == (("edgelet-caller", "jane"), ("edgelet-method", "POST"))


def test_a_token_alone_on_its_line_leaves_no_empty_line() -> None:
    """Subprotocols may come on lines of their own; the token's is left out altogether."""
    lines = ("base64url.bearer.authorization.k8s.io.c2VjcmV0", "v4.channel.k8s.io")
    assert kept(*(("Sec-WebSocket-Protocol", line) for line in lines)) == [
        ("sec-websocket-protocol", "v4.channel.k8s.io")
    ]


@pytest.mark.parametrize(
    ("caller", "value"),
    [
        ("system:serviceaccount:ns:name", "system:serviceaccount:ns:name"),
        ("jane@example.com", "jane@example.com"),
        ("a b", "a%20b"),
        ("100%", "100%25"),
        ("a\r\nX-Remote-User: root", "a%0D%0AX-Remote-User:%20root"),
        ("j\u00fcrgen", "j%C3%BCrgen"),
        ("nul\x00", "nul%00"),
    ],
)
def test_the_edge_is_told_who_calls(caller: str, value: str) -> None:
    """In a form that is always one header, and can be read back."""
    assert travelling(caller=caller) == [("edgelet-caller", value)]


def test_long_names_are_cut_and_stay_different() -> None:
    """Two names that begin alike do not become one in the audit log."""
    names = ["x" * 2000 + end for end in "ab"]
    values = [travelling(caller=name)[0][1] for name in names]
    assert [len(value) for value in values] == [MAX_CALLER_LENGTH] * 2
    assert values[0] != values[1]


def test_a_header_that_connection_names_does_not_take_ours_away() -> None:
    """The caller cannot have who it is called a header of its connection."""
    headers = (("Connection", "edgelet-caller, audit-id"), ("Audit-ID", "1-2"))
    assert travelling(*headers) == [("edgelet-caller", "jane"), ("audit-id", "1-2")]


@pytest.mark.parametrize(
    "values",
    [["x" * 65], [""], ["a b"], ["a\u00e9"], ["-a"], ["one", "two"], ['"; DROP']],
)
def test_no_other_audit_id_than_an_api_server_sends(values: list[str]) -> None:
    """It is written to a log on another machine."""
    assert kept(*(("Audit-ID", value) for value in values)) == []


def test_an_audit_id_travels() -> None:
    """That of the API server's own audit log."""
    audit_id = "6e2b0b4e-6a5e-4b0e-9a39-5f0d6d2b7e11"
    assert kept(("Audit-Id", audit_id)) == [("audit-id", audit_id)]


def test_only_headers_of_a_kubelet_come_back() -> None:
    """An edge sets no cookies and opens no other origins."""
    answer = ResponseHead(
        status=200,
        headers=(
            ("content-type", "text/plain"),
            ("set-cookie", "a=b"),
            ("location", "http://elsewhere"),
            ("transfer-encoding", "chunked"),
            ("sec-websocket-accept", "x"),
        ),
    )
    assert answer_headers(answer) == [("content-type", "text/plain")]
    assert answer_headers(answer, is_upgrade=True) == [("sec-websocket-accept", "x")]


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "\x1b[2J", "\x00", "\u00e9"])
def test_no_control_characters_come_back(value: str) -> None:
    """Neither a second header nor a terminal's escape."""
    with pytest.raises(BadAnswer, match="retry-after"):
        answer_headers(ResponseHead(status=200, headers=(("retry-after", value),)))


@pytest.mark.parametrize("status", [300, 302, 307, 308, 399])
def test_redirects_are_no_answer(status: int) -> None:
    """An edge does not send the API server's credentials elsewhere."""
    with pytest.raises(BadAnswer, match="redirect"):
        answer_headers(ResponseHead(status=status))


def test_a_trace_goes_on_to_the_edge() -> None:
    """As the API server named it: the edge hands it to the container runtime."""
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    assert kept(("Traceparent", parent), ("Tracestate", "a=1")) == [
        ("traceparent", parent),
        ("tracestate", "a=1"),
    ]
