"""Attach: the terminal is the container's, not the query's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes.edge_api import edge_api
from tests.fakes.edge_pods import pod_json
from tests.fakes.tunnel_pair import read_all

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("tty", [True, False])
async def test_terminal_is_what_the_container_was_made_with(tmp_path: Path, tty: bool) -> None:
    """Whatever is asked for; and a terminal has no stderr."""
    container = {
        "name": "c",
        "image": "busybox:1",
        "imagePullPolicy": "Never",
        "stdin": True,
        "tty": tty,
    }
    async with edge_api(tmp_path) as api:
        container_id = await api.run_pod(pod_json(containers=[container]))
        stream = await api.upgrade("/attach/ns/p/c?input=1&output=1&error=1")
        await stream.write(b"typed")
        await stream.close_write()
        received = await read_all(stream)

    (request,) = api.cri.called("Attach")
    assert received == b"typed"
    assert request.container_id == container_id
    assert (request.tty, request.stdin, request.stderr) == (tty, True, not tty)
    assert api.streaming.connections[0].request_line == "POST /attach/token HTTP/1.1"


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/attach/ns/p/c", 400, "you must specify at least 1 of stdin, stdout, stderr"),
        ("/attach/ns/none/c?output=1", 404, "pod does not exist"),
        ("/attach/ns/p/none?output=1", 500, "container none not found in pod p_ns"),
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
