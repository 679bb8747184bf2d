"""Exec, from the path to the runtime's stream and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest

from tests.fakes.edge_api import edge_api
from tests.fakes.edge_pods import pod_json
from tests.fakes.tunnel_pair import read_all

if TYPE_CHECKING:
    from pathlib import Path


async def test_command_runs_in_the_named_container(tmp_path: Path) -> None:
    """Arguments unchanged, streams as asked for, bytes relayed."""
    async with edge_api(tmp_path) as api:
        container_id = await api.run_pod()
        stream = await api.upgrade(
            "/exec/ns/p/c?command=sh&command=-c&command=echo%20%24X&input=1&output=1&error=1"
        )
        head = await stream.response()
        await stream.write(b"bytes")
        await stream.close_write()
        received = await read_all(stream)

    (request,) = api.cri.called("Exec")
    assert head.status == 200
    assert received == b"bytes"
    assert request.container_id == container_id
    assert list(request.cmd) == ["sh", "-c", "echo $X"]
    assert (request.stdin, request.stdout, request.stderr, request.tty) == (True, True, True, False)
    assert api.streaming.connections[0].request_line == "POST /exec/token HTTP/1.1"


async def test_terminal_has_no_stderr(tmp_path: Path) -> None:
    """The runtime refuses both together."""
    async with edge_api(tmp_path) as api:
        await api.run_pod()
        stream = await api.upgrade("/exec/ns/p/u/c?command=sh&input=1&output=1&error=1&tty=1")
        await stream.response()
        stream.reset()

    (request,) = api.cri.called("Exec")
    assert (request.stderr, request.tty) == (False, True)


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/exec/ns/p/c?command=sh", 400, "you must specify at least 1 of stdin, stdout, stderr"),
        ("/exec/ns/none/c?command=sh&output=1", 404, "pod does not exist"),
        ("/exec/other/p/c?command=sh&output=1", 404, "pod does not exist"),
        ("/exec/ns/p/another-uid/c?command=sh&output=1", 404, "pod does not exist"),
        ("/exec/ns/p/none?command=sh&output=1", 500, 'container not found ("none")'),
    ],
)
async def test_refusals_have_the_kubelets_words(
    tmp_path: Path, path: str, status: int, text: str
) -> None:
    """Kubectl shows them."""
    async with edge_api(tmp_path) as api:
        await api.run_pod()
        stream = await api.upgrade(path)
        head = await stream.response()
        body = await read_all(stream)

    assert (head.status, body.decode()) == (status, text)
    assert api.cri.called("Exec") == []


async def test_container_that_ended_is_not_found(tmp_path: Path) -> None:
    """Only what runs can be entered."""
    async with edge_api(tmp_path) as api:
        container_id = await api.run_pod(pod_json(restartPolicy="Never"))
        api.cri.exit_container(container_id, 0)
        stream = await api.upgrade("/exec/ns/p/c?command=sh&output=1")
        head = await stream.response()
        body = await read_all(stream)

    assert (head.status, body) == (500, b'container not found ("c")')


async def test_plain_request_is_the_kubelets_500(tmp_path: Path) -> None:
    """And uses none of the runtime's tokens up."""
    async with edge_api(tmp_path) as api:
        await api.run_pod()
        answer = await api.pair.fetch("/exec/ns/p/c?command=sh&output=1", method="POST")

    assert answer == (500, b"Upgrade request required\n")
    assert api.cri.called("Exec") == []


@pytest.mark.parametrize(
    ("code", "status", "retry_after"),
    [
        (grpc.StatusCode.NOT_FOUND, 404, None),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 429, "60"),
        (grpc.StatusCode.UNKNOWN, 500, None),
        (grpc.StatusCode.UNAVAILABLE, 500, None),
    ],
)
async def test_failure_of_the_runtime_has_its_status(
    tmp_path: Path, code: grpc.StatusCode, status: int, retry_after: str | None
) -> None:
    """Source: cri-streaming WriteError."""
    async with edge_api(tmp_path) as api:
        await api.run_pod()
        api.cri.fail("Exec", code, "the runtime's own words")
        stream = await api.upgrade("/exec/ns/p/c?command=sh&output=1")
        head = await stream.response()
        body = await read_all(stream)

    assert head.status == status
    assert dict(head.headers).get("retry-after") == retry_after
    assert b"the runtime's own words" in body


async def test_url_that_leads_elsewhere_is_not_dialled(tmp_path: Path) -> None:
    """The edge dials loopback only."""
    async with edge_api(tmp_path) as api:
        await api.run_pod()
        api.cri.streaming_url = "http://192.0.2.1:80"
        stream = await api.upgrade("/exec/ns/p/c?command=sh&output=1")
        head = await stream.response()
        body = await read_all(stream)

    assert (head.status, b"not a loopback URL" in body) == (500, True)
