"""Port-forward: into the pod's sandbox, with SPDY or WebSocket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.api.port_forward import parse_ports
from edge_runtime.api.request import ApiError, ApiRequest
from tests.fakes.edge_api import edge_api
from tests.fakes.tunnel_pair import read_all

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("path", ["/portForward/ns/p", "/portForward/ns/p/u"])
async def test_connection_goes_to_the_pods_sandbox(tmp_path: Path, path: str) -> None:
    """With and without the pod's UID."""
    async with edge_api(tmp_path) as api:
        await api.run_pod()
        stream = await api.upgrade(path)
        await stream.write(b"bytes")
        await stream.close_write()
        received = await read_all(stream)

    (request,) = api.cri.called("PortForward")
    assert received == b"bytes"
    assert request.pod_sandbox_id in api.cri.sandboxes
    assert list(request.port) == []
    assert api.streaming.connections[0].request_line == "POST /portforward/token HTTP/1.1"


@pytest.mark.parametrize(
    ("path", "text"),
    [("/portForward/ns/none", "pod does not exist"), ("/portForward/ns/p/other", "pod not found")],
)
async def test_unknown_pod_has_the_kubelets_words(tmp_path: Path, path: str, text: str) -> None:
    """Another pod of the same name is not the one that was meant."""
    async with edge_api(tmp_path) as api:
        await api.run_pod()
        stream = await api.upgrade(path)
        head = await stream.response()
        body = await read_all(stream)

    assert (head.status, body.decode()) == (404, text)


async def test_pod_without_a_sandbox_has_the_kubelets_words(tmp_path: Path) -> None:
    """It was never started, or has ended."""
    async with edge_api(tmp_path) as api:
        await api.run_pod()
        api.cri.sandboxes.clear()
        stream = await api.upgrade("/portForward/ns/p")
        head = await stream.response()
        body = await read_all(stream)

    assert (head.status, body) == (500, b'pod not found ("p_ns")')


def ports(*values: str, protocol: str = "websocket") -> tuple[int, ...]:
    """Parse the ports of one request."""
    return parse_ports(ApiRequest(method="GET", query={"port": values}, protocol=protocol))


def test_websocket_names_its_ports_in_the_query() -> None:
    """SPDY names them later, in stream headers."""
    assert ports("80,443", "8080") == (80, 443, 8080)
    assert ports("80", protocol="SPDY/3.1") == ()


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((), 'query parameter "port" is required'),
        (("",), 'query parameter "port" cannot be empty'),
        (("80,x",), 'unable to parse "80,x" as a port'),
        (("70000",), 'unable to parse "70000" as a port'),
        (("0",), 'port "0" must be > 0'),
    ],
)
def test_ports_that_are_none_are_refused(values: tuple[str, ...], text: str) -> None:
    """Source: cri-streaming NewV4Options."""
    with pytest.raises(ApiError) as refused:
        ports(*values)

    assert (refused.value.status, refused.value.text) == (400, text)


@given(st.lists(st.text(max_size=8), max_size=4))
def test_any_query_is_ports_or_refused(values: list[str]) -> None:
    """No other exception; nothing but ports."""
    try:
        parsed = ports(*values)
    except ApiError:
        return
    assert all(0 < port < 65536 for port in parsed)
