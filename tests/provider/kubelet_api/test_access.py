"""Verbs and subresources by path, and that no spelling makes less of a way into a container."""

from __future__ import annotations

import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.kubelet_api.access import Access, wanted_access
from provider.kubelet_api.server import ROUTES

CREATE_PROXY = Access(verb="create", subresources=("proxy",))


@pytest.mark.parametrize(
    ("path", "subresources"),
    [
        ("/pods", ("pods", "proxy")),
        ("/pods/", ("pods", "proxy")),
        ("/runningpods/", ("pods", "proxy")),
        ("/healthz", ("healthz", "proxy")),
        ("/healthz/syncloop", ("healthz", "proxy")),
        ("/configz", ("configz", "proxy")),
        ("/statusz", ("statusz",)),
        ("/flagz", ("configz",)),
        ("/stats/summary", ("stats",)),
        ("/metrics", ("metrics",)),
        ("/metrics/cadvisor", ("metrics",)),
        ("/edgelet/metrics", ("metrics",)),
        ("/edgelet/", ("proxy",)),
        ("/edgelet/metrics/", ("proxy",)),
        ("/logs/", ("log",)),
        ("/checkpoint/ns/pod/c", ("checkpoint",)),
        ("/containerLogs/ns/pod/c", ("proxy",)),
        ("/debug/pprof/heap", ("proxy",)),
        ("/podsx", ("proxy",)),
        ("/Pods", ("proxy",)),
        ("/", ("proxy",)),
        ("/no-such-path", ("proxy",)),
    ],
)
def test_subresources(path: str, subresources: tuple[str, ...]) -> None:
    """Each path belongs to the subresources that a kubelet gives it, in its order."""
    assert wanted_access(method="GET", path=path) == Access(verb="get", subresources=subresources)


@pytest.mark.parametrize(
    ("method", "verb"),
    [
        ("GET", "get"),
        ("POST", "create"),
        ("PUT", "update"),
        ("PATCH", "patch"),
        ("DELETE", "delete"),
        ("HEAD", ""),
        ("OPTIONS", ""),
        ("get", ""),
    ],
)
def test_verbs(method: str, verb: str) -> None:
    """Each method has a kubelet's verb."""
    assert wanted_access(method=method, path="/pods").verb == verb


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "SPDY"])
@pytest.mark.parametrize(
    "path",
    [
        *("/exec/ns/pod/c", "/attach/ns/pod/c", "/portForward/ns/pod", "/run/ns/pod/c"),
        *("/exec", "/exec/", "/EXEC/ns/pod/c", "/portforward/ns/pod", "/Run/ns/pod/c"),
    ],
)
def test_a_way_into_a_container_always_takes_create(method: str, path: str) -> None:
    """A WebSocket is a GET."""
    assert wanted_access(method=method, path=path) == CREATE_PROXY


@pytest.mark.parametrize(
    "path",
    [
        "",
        "*",
        "exec/ns/pod/c",
        "//exec/ns/pod/c",
        "/./exec/ns/pod/c",
        "/pods/../exec/ns/pod/c",
        "/metrics/../exec/ns/pod/c",
        "/%65xec/ns/pod/c",
        "/pods/%2e%2e/exec/ns/pod/c",
        "/pods/%2E%2E%2fexec/ns/pod/c",
        "/pods/%252e%252e/exec",
        "/metrics%2f..%2fexec/ns/pod/c",
        "/metrics\\..\\exec",
        "/exec\x00/ns/pod/c",
        "/metrics\x00/exec",
        "/metrics;x=1/exec",
        "/metrics\r\n/exec",
        "/metrics\n",
        "http://node/exec/ns/pod/c",
        "/\uff45xec/ns/pod/c",
    ],
)
def test_an_odd_spelling_takes_as_much(path: str) -> None:
    """Whoever may only read gets no answer to any of them."""
    assert wanted_access(method="GET", path=path) == CREATE_PROXY


SEGMENTS = st.sampled_from(
    [
        *("exec", "attach", "portForward", "run", "EXEC", "metrics", "pods", "stats", "ns"),
        *("..", ".", "", "%2e%2e", "%2F", "%00", "\x00", "%65xec", "..;", "%252e%252e", "\\"),
    ]
)


@given(segments=st.lists(SEGMENTS, max_size=6), slash=st.booleans())
def test_no_spelling_of_a_way_in_takes_less(segments: list[str], *, slash: bool) -> None:
    """Whatever a reader might make of a path: decoded twice, cleaned, in lower case."""
    path = "/" + "/".join(segments) + ("/" if slash else "")
    reading = urllib.parse.unquote(urllib.parse.unquote(path)).lower().replace("\\", "/")
    cleaned: list[str] = []
    for segment in reading.replace("\x00", "").replace(";", "").split("/"):
        if segment == ".." and cleaned:
            cleaned.pop()
        elif segment not in {"", ".", ".."}:
            cleaned.append(segment)
    if cleaned and cleaned[0] in {"exec", "attach", "portforward", "run"}:
        assert wanted_access(method="GET", path=path) == CREATE_PROXY


def test_every_route_is_reached_with_a_plain_path() -> None:
    """No row of the table needs a path that takes more than it should."""
    for route in ROUTES:
        parts = route.path.replace("*", "{path}").split("/")
        path = "/".join("x1" if part.startswith("{") else part for part in parts)
        access = wanted_access(method="GET", path=path)
        into_container = path.split("/")[1] in {"exec", "attach", "portForward", "run"}
        assert access.verb == ("create" if into_container else "get")
