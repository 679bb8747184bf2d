"""What of a request goes to the edge, and what of its answer to the client."""

from __future__ import annotations

import pytest

from provider.kubelet_api.request_heads import BadAnswer, answer_headers, tunnel_request
from tunnel.protocol import ResponseHead


def kept(*headers: tuple[str, str], peer: str | None = None) -> list[tuple[str, str]]:
    """Return the headers of a GET that travel."""
    head = tunnel_request(method="GET", raw_path="/pods", headers=headers, peer=peer)
    return list(head.headers)


@pytest.mark.parametrize(
    "name",
    [
        *("Authorization", "Cookie", "Proxy-Authorization", "Host", "Connection", "Upgrade"),
        *("Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "Content-Length", "Expect"),
        *("Impersonate-User", "Impersonate-Extra-Scope", "X-Remote-User", "edgelet-method"),
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
        protocol="SPDY/3.1",
    )
    assert (head.method, head.protocol, head.path) == (
        "CONNECT",
        "SPDY/3.1",
        "/exec/ns/p/c?command=a%20b",
    )
    assert head.headers == (("edgelet-method", "POST"),)


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
