"""Requests of probes and hooks as they are sent, and answers as they are understood."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.objects.container import Container
from edge_runtime.prober.http_message import (
    AnswerHead,
    BadAnswer,
    BadRequest,
    GetRequest,
    get_request,
    parse_head,
    redirected,
    resolve_port,
)

CONTAINER = Container(
    {"name": "c", "ports": [{"name": "web", "containerPort": 8080}, {"containerPort": 9}]}
)


def _request(**action: object) -> GetRequest:
    fields = {"port": 80} | action
    return get_request(fields, CONTAINER, pod_ip="10.0.0.1", purpose="probe")


def test_a_plain_probe_is_sent_as_a_kubelet_sends_it() -> None:
    """Host with its port, who asks, anything accepted, no connection kept."""
    assert _request(path="/healthz?full=1").encode() == (
        b"GET /healthz?full=1 HTTP/1.1\r\n"
        b"Host: 10.0.0.1:80\r\n"
        b"User-Agent: kube-probe/1.36\r\n"
        b"Accept: */*\r\n"
        b"Connection: close\r\n"
        b"\r\n"
    )


def test_a_hook_says_that_it_is_one() -> None:
    """The second word of the User-Agent."""
    request = get_request({"port": 80}, CONTAINER, pod_ip="10.0.0.1", purpose="lifecycle")
    assert ("User-Agent", "kube-lifecycle/1.36") in request.headers


def test_headers_of_the_spec_replace_the_usual_ones() -> None:
    """Also Host; an empty Accept or User-Agent is not sent; repeats are kept."""
    request = _request(
        httpHeaders=[
            {"name": "host", "value": "example.com"},
            {"name": "x-custom", "value": "1"},
            {"name": "X-Custom", "value": "2"},
            {"name": "accept", "value": ""},
            {"name": "User-Agent"},
        ]
    )
    assert request.host_header == "example.com"
    assert request.headers == (("X-Custom", "1"), ("X-Custom", "2"))
    assert b"Host: example.com\r\n" in request.encode()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("X-A", "a\r\nX-B: b", 'net/http: invalid header field value for "X-A"'),
        ("not a token", "a", 'net/http: invalid header field name "not a token"'),
    ],
)
def test_a_header_cannot_smuggle_another(name: str, value: str, message: str) -> None:
    """The API server checks names only."""
    request = _request(httpHeaders=[{"name": name, "value": value}])
    with pytest.raises(BadRequest, match=message):
        request.encode()


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("", "/"),
        ("/", "/"),
        ("healthz", "/healthz"),
        ("/a b", "/a%20b"),
        ("/a%20b", "/a%20b"),
        ("/a%2Fb?x=1&y=%20", "/a%2Fb?x=1&y=%20"),
        ("/ü", "/%C3%BC"),
        ("/a#fragment", "/a"),
        ("//host/path", "/path"),
        ("/%zz?x", "/%25zz%3Fx"),
        ("/a\nb", "/a%0Ab"),
        ("a:b", "/a:b"),
        ("/a?q=1 2", "/a?q=1%202"),
        ("/healthz:ready/[x]", "/healthz:ready/[x]"),
    ],
)
def test_paths_are_escaped_as_go_does(path: str, target: str) -> None:
    """What is no URL is a path as a whole."""
    assert _request(path=path).target == target


@given(st.text())
def test_no_path_breaks_the_request_line(path: str) -> None:
    """Whatever is asked for, one line and two spaces remain."""
    first = _request(path=path).encode().split(b"\r\n", 1)[0]
    assert first.count(b" ") == 2
    assert first.startswith(b"GET /")


@pytest.mark.parametrize(
    ("port", "number"), [(1, 1), (65535, 65535), ("web", 8080), ("8081", 8081)]
)
def test_ports_have_numbers_or_names(port: object, number: int) -> None:
    """A number in quotes is the last resort."""
    assert resolve_port(port, CONTAINER) == number


@pytest.mark.parametrize(
    ("port", "message"),
    [
        (0, "invalid port number: 0"),
        (65536, "invalid port number: 65536"),
        ("-1", "invalid port number: -1"),
        ("nobody", 'strconv.Atoi: parsing "nobody": invalid syntax'),
        (None, "invalid port number: None"),
    ],
)
def test_other_ports_are_refused(port: object, message: str) -> None:
    """With the kubelet's words."""
    with pytest.raises(BadRequest, match=message):
        resolve_port(port, CONTAINER)


def test_addresses_of_ipv6_stand_in_brackets() -> None:
    """In the URL of messages and in the Host header."""
    request = get_request({"port": 80}, CONTAINER, pod_ip="fd00::1", purpose="probe")
    assert request.url == "http://[fd00::1]:80/"
    assert b"Host: [fd00::1]:80\r\n" in request.encode()


def test_a_head_is_read() -> None:
    """Names without case, of repeats the first."""
    head = parse_head(["HTTP/1.1 200 OK", "Content-Length: 3", "X: 1", "x: 2"])
    assert head == AnswerHead(status=200, headers={"content-length": "3", "x": "1"})
    assert head.content_length == 3


@pytest.mark.parametrize("status", [204, 304])
def test_some_answers_have_no_body(status: int) -> None:
    """Whatever their headers say."""
    assert AnswerHead(status=status, headers={"content-length": "3"}).content_length == 0


def test_a_length_that_is_no_number_is_no_answer() -> None:
    """It cannot be told where the body ends."""
    with pytest.raises(BadAnswer, match='bad Content-Length "x"'):
        _ = AnswerHead(status=200, headers={"content-length": "x"}).content_length


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["SSH-2.0-dropbear"], 'malformed HTTP response "SSH-2.0-dropbear"'),
        (["\x15\x03"], r'malformed HTTP response "\\x15\\x03"'),
        (["HTTP/1.1 200 OK", "no colon"], "malformed MIME header line: no colon"),
    ],
)
def test_what_is_no_http_is_refused(lines: list[str], message: str) -> None:
    """With Go's words."""
    with pytest.raises(BadAnswer, match=message):
        parse_head(lines)


def _redirect(location: str, *, status: int = 302, **fields: object) -> GetRequest | None:
    request = _request(path="/a/b", **fields)
    return redirected(request, AnswerHead(status=status, headers={"location": location}))


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/next", "http://10.0.0.1:80/next"),
        ("c?x=1", "http://10.0.0.1:80/a/c?x=1"),
        ("http://10.0.0.1:81/x", "http://10.0.0.1:81/x"),
        ("https://10.0.0.1/x", "https://10.0.0.1:443/x"),
    ],
)
def test_redirects_on_the_same_host_are_followed(location: str, url: str) -> None:
    """Another port or scheme is still the same host."""
    following = _redirect(location)
    assert following is not None
    assert following.url == url
    assert ("Referer", "http://10.0.0.1:80/a/b") in following.headers


@pytest.mark.parametrize("location", ["http://example.com/", "//10.0.0.2/", ""])
def test_redirects_to_other_hosts_are_not_followed(location: str) -> None:
    """Nobody asked for those; the answer is the last one, as is one that leads nowhere."""
    assert _redirect(location) is None


def test_what_only_looks_like_a_redirect_is_none() -> None:
    """304 and 300 lead nowhere."""
    assert _redirect("/next", status=304) is None
    assert _redirect("/next", status=300) is None


def test_a_host_header_is_kept_within_the_same_site_only() -> None:
    """A location with a host of its own replaces it."""
    headers = [{"name": "Host", "value": "example.com"}]
    relative = _redirect("/next", httpHeaders=headers)
    absolute = _redirect("http://10.0.0.1:81/", httpHeaders=headers)
    assert relative is not None
    assert absolute is not None
    assert (relative.host_header, absolute.host_header) == ("example.com", "")


def test_a_redirect_to_another_protocol_fails() -> None:
    """As Go's client has no way to follow it."""
    with pytest.raises(BadAnswer, match='unsupported protocol scheme "ftp"'):
        _redirect("ftp://10.0.0.1/")
    with pytest.raises(BadAnswer, match="failed to parse Location header"):
        _redirect("http://10.0.0.1:port/")
