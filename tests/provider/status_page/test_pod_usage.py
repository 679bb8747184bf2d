"""Usage is asked of the edge at most every few seconds, and what it answers is not trusted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from provider.edge_link.edge_client import EdgeClient
from provider.status_page import pod_usage
from provider.status_page.pod_usage import MAX_AGE_S, PodUsage, UsageUnknown
from tests.fakes.edge import connected_edge
from tunnel.identity import parse_site_name
from tunnel.protocol import ResponseHead

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tunnel.stream import Stream

_SUMMARY = {
    "node": {"nodeName": "site-a"},
    "pods": [
        {
            "podRef": {"name": "a", "namespace": "shop", "uid": "u1"},
            "cpu": {"usageNanoCores": 250_000_000},
            "memory": {"workingSetBytes": 1 << 20},
        },
        {"podRef": {"uid": "u2"}},
    ],
}


def _answers(
    body: bytes, *, status: int = 200
) -> tuple[Callable[[Stream], Awaitable[None]], list[str]]:
    asked: list[str] = []

    async def handle(stream: Stream) -> None:
        asked.append(stream.request.path)
        await stream.respond(ResponseHead(status=status, headers=()))
        await stream.write(body)
        await stream.close_write()

    return handle, asked


async def test_what_pods_use_is_known_by_their_uid() -> None:
    """A pod of which the edge tells nothing uses nobody knows what."""
    handle, _ = _answers(json.dumps(_SUMMARY).encode())
    async with connected_edge(handle) as edge:
        usage = await PodUsage(edge.client).read()
    assert usage["u1"].cpu_nano_cores == 250_000_000
    assert usage["u1"].memory_working_set_bytes == 1 << 20
    assert usage["u2"].cpu_nano_cores is None


async def test_open_pages_share_one_question() -> None:
    """Until the answer is old."""
    handle, asked = _answers(json.dumps(_SUMMARY).encode())
    clock = [0.0]
    async with connected_edge(handle) as edge:
        usage = PodUsage(edge.client, monotonic=lambda: clock[0])
        for _ in range(3):
            await usage.read()
        assert asked == ["/stats/summary?only_cpu_and_memory=true"]
        clock[0] = MAX_AGE_S + 1
        await usage.read()
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"<html>", 200, "the edge's answer is no summary of its figures"),
        (b'{"pods": 1}', 200, "the edge's answer is no summary of its figures"),
        (b"no", 500, "the edge answered with status 500"),
        (b" " * 3000, 200, "the edge's answer is too long"),
    ],
)
async def test_another_answer_is_none(
    monkeypatch: pytest.MonkeyPatch, body: bytes, status: int, said: str
) -> None:
    """And its text is not shown to whoever looks at the page."""
    monkeypatch.setattr(pod_usage, "MAX_BYTES", 2000)
    handle, _ = _answers(body, status=status)
    async with connected_edge(handle) as edge:
        with pytest.raises(UsageUnknown, match=f"^{said}$"):
            await PodUsage(edge.client).read()


async def test_an_offline_site_tells_nothing() -> None:
    """The page is there all the same."""
    with pytest.raises(UsageUnknown, match=r"^site site-a is offline since "):
        await PodUsage(EdgeClient(site=parse_site_name("site-a"))).read()
