"""Paths, methods and errors, through a real tunnel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.api.request import ApiError, ApiRequest, respond_bytes
from edge_runtime.api.router import Route, Router
from tests.fakes.tunnel_pair import tunnel_pair
from tunnel.protocol import METHOD_HEADER, RequestHead

if TYPE_CHECKING:
    from tunnel.stream import Stream


async def describe(request: ApiRequest, stream: Stream) -> None:
    """Answer with what the handler was given."""
    text = f"{request.method} {sorted(request.parameters.items())} {sorted(request.query.items())}"
    await respond_bytes(stream, text.encode())


ROUTER = Router(
    [
        Route("/containerLogs/{namespace}/{pod}/{container}", ("GET",), describe),
        Route("/exec/{namespace}/{pod}/{container}", ("GET", "POST"), describe),
        Route("/exec/{namespace}/{pod}/{uid}/{container}", ("GET", "POST"), describe),
        Route("/pods", ("GET",), describe),
        Route("/runningpods/", ("GET",), describe),
        Route("/metrics", ("GET",), describe),
        Route("/metrics/probes", ("GET",), describe),
        Route("/metrics/resource", ("GET",), describe),
        Route("/sync", ("CONNECT",), describe),
    ]
)


def resolve(path: str, **head: object) -> ApiRequest:
    """Route one request."""
    fields = {"method": "GET", **head}
    return ROUTER.resolve(RequestHead(path=path, **fields))[1]  # type: ignore[arg-type]


def test_parts_of_the_path_get_their_names() -> None:
    """With and without the pod's UID."""
    assert resolve("/exec/ns/p/c").parameters == {"namespace": "ns", "pod": "p", "container": "c"}
    assert resolve("/exec/ns/p/u/c").parameters["uid"] == "u"


def test_paths_of_one_length_are_told_apart_by_their_words() -> None:
    """As long as no path could be that of two routes."""
    for path in ("/metrics", "/metrics/probes", "/metrics/resource"):
        route, _ = ROUTER._find(path.removeprefix("/").split("/"))
        assert route.pattern == path
    with pytest.raises(ValueError, match=r"two routes have the shape of /a/\{x\}"):
        Router([Route("/a/b", ("GET",), describe), Route("/a/{x}", ("GET",), describe)])


@pytest.mark.parametrize("path", ["/pods", "/pods/", "/runningpods/", "/runningpods"])
def test_slash_at_the_end_makes_no_difference(path: str) -> None:
    """Callers write both."""
    assert resolve(path).parameters == {}


def test_parts_are_decoded_exactly_once() -> None:
    """An encoded slash makes no new part, an encoded percent sign is not decoded again."""
    parameters = resolve("/containerLogs/ns/a%2Fb/%2541").parameters

    assert parameters == {"namespace": "ns", "pod": "a/b", "container": "%41"}


def test_query_keeps_repeats_and_order() -> None:
    """A command's arguments are many."""
    request = resolve("/exec/ns/p/c?command=sh&command=-c&command=echo+a%26b%3D%20c&tty=&x")

    assert request.query["command"] == ("sh", "-c", "echo a&b= c")
    assert request.query["tty"] == ("",)
    assert request.first("x") == ""


def test_method_of_an_upgrade_is_its_own() -> None:
    """It stands in a header, since HTTP/2 knows CONNECT alone."""
    headers = ((METHOD_HEADER, "POST"),)

    request = resolve("/exec/ns/p/c", method="CONNECT", protocol="SPDY/3.1", headers=headers)

    assert request.method == "POST"
    assert request.protocol == "SPDY/3.1"


@pytest.mark.parametrize(
    ("path", "head", "status"),
    [
        ("/nothing", {}, 404),
        ("/", {}, 404),
        ("/exec/ns", {}, 404),
        ("/exec/ns/p/c/d/e", {}, 404),
        ("/metrics/other", {}, 404),
        ("/metrics/%7B", {}, 404),
        ("/metrics/{probes}", {}, 404),
        ("/pods", {"method": "POST"}, 405),
        ("/exec/ns/p/c", {"method": "PUT"}, 405),
        ("/exec/ns/p/c", {"method": "CONNECT", "protocol": "SPDY/3.1"}, 405),
        ("/sync", {}, 405),
        ("/exec/ns/%ff/c", {}, 400),
        ("/exec/ns/p/c?command=%ff", {}, 400),
    ],
)
def test_refusals(path: str, head: dict[str, str], status: int) -> None:
    """Unknown path, wrong method, no UTF-8."""
    with pytest.raises(ApiError) as refused:
        resolve(path, **head)

    assert refused.value.status == status


@given(st.text())
def test_any_path_is_routed_or_refused(path: str) -> None:
    """No other exception, whatever comes."""
    try:
        resolve("/exec/ns/" + path)
    except ApiError as refused:
        known = {400, 404}
        if refused.status not in known:
            raise


def test_two_routes_of_one_shape_are_refused() -> None:
    """One of them would never be reached."""
    with pytest.raises(ValueError, match="two routes"):
        Router([Route("/a/{x}", ("GET",), describe), Route("/a/{y}", ("GET",), describe)])


async def test_error_is_a_plain_text_answer() -> None:
    """With its status, its headers, and nothing else in the body."""

    async def refuse(_request: ApiRequest, _stream: Stream) -> None:
        raise ApiError(429, "later", headers=(("retry-after", "60"),))

    router = Router([Route("/pods", ("GET",), refuse)])
    async with tunnel_pair(router.handle) as pair:
        stream = await pair.request("/pods")
        head = await stream.response()
        body = await stream.read()

    assert head.status == 429
    assert ("retry-after", "60") in head.headers
    assert ("content-type", "text/plain; charset=utf-8") in head.headers
    assert body == b"later"


async def test_wrong_method_names_the_right_ones() -> None:
    """RFC 9110 §15.5.6."""
    async with tunnel_pair(ROUTER.handle) as pair:
        stream = await pair.request("/pods", method="DELETE")
        head = await stream.response()

    assert head.status == 405
    assert ("allow", "GET") in head.headers


async def test_handler_that_breaks_resets_its_stream_alone() -> None:
    """The next request is answered."""

    async def broken(_request: ApiRequest, _stream: Stream) -> None:
        raise RuntimeError("a bug")

    router = Router([Route("/pods", ("GET",), describe), Route("/broken", ("GET",), broken)])
    async with tunnel_pair(router.handle) as pair:
        stream = await pair.request("/broken")
        with pytest.raises(Exception, match="reset by peer"):
            await stream.response()
        status, _ = await pair.fetch("/pods")

    assert status == 200
